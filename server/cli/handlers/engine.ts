import { type Engine, startEngine } from '../../engine/client.ts';
import type { ModelRef } from '../../engine/models.ts';
import { StageProgress } from '../../runs/progress.ts';
import type { Io } from '../command.ts';

/** An engine for one command. */
export async function withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = startEngine();
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** What the options on the model say. */
export function modelOf(values: {
  model: string;
  device: ModelRef['device'];
  threads: number | undefined;
  lean: boolean;
}): ModelRef {
  return { folder: values.model, device: values.device, threads: values.threads ?? null, lean: values.lean };
}

export const now = () => performance.now() / 1000;

/** Progress of a command that has a single stage, with the time that is left. */
export function meter(io: Io, stage: string, unit: string): (done: number, total: number) => void {
  const started = now();
  let progress: StageProgress | undefined;
  return (done, total) => {
    progress ??= new StageProgress(total, 0, started);
    progress.update(done, now());
    io.emit({ event: 'progress', stage, done, total, unit, remaining: progress.remaining(now()) });
  };
}
