import { createHash } from 'node:crypto';
import type { Run } from '../../runs/run.ts';
import type { StageContext } from '../context.ts';

/** A stage's context with the run folder that it works in. */
export interface RunContext extends StageContext {
  run: Run;
}

/** Identity of what a stage reads, for the journal. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** Tell that a stage starts, or that it was finished before and is kept; returns a function that tells its end. */
export function announce(context: StageContext, stage: string, kept: boolean): () => void {
  const started = performance.now();
  context.emit({ event: 'stage', stage, state: kept ? 'kept' : 'started', seconds: 0 });
  return () => {
    if (!kept)
      context.emit({
        event: 'stage',
        stage,
        state: 'finished',
        seconds: (performance.now() - started) / 1000,
      });
  };
}
