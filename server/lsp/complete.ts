import type { Completed } from '../engine/jobs/complete.ts';
import type { StopRule } from '../generate/stop.ts';
import type { OpenTrace } from '../language/open-trace.ts';
import type { PatchRef } from '../protocol/message.ts';
import { readManifest } from '../runs/manifest.ts';
import { modelRef, type Services } from './services.ts';

/** Completes prefixes of a document as its run completed its problems. */
export async function complete(
  { engine, options }: Pick<Services, 'engine' | 'options'>,
  model: string,
  patch: readonly PatchRef[],
  prefixes: { ids: number[]; prompt: number }[],
  trace: OpenTrace,
  signal: AbortSignal,
  onTokens: (tokens: number) => void,
): Promise<Completed[]> {
  const ref = modelRef(model, options);
  const { maxTokens } = options;
  const params = { model: ref, patch, prefixes, maxTokens, stop: stopRule(trace.run) };
  let made = 0;
  const started = performance.now();
  const completed = await engine.callOn('complete', ref, params, {
    signal,
    onEvent: ({ tokens }) => {
      made = tokens;
      onTokens(tokens);
    },
  });
  engine.measure(made, (performance.now() - started) / 1000);
  return completed;
}

/** When completions of a run end; the end of the answer sentence for a document without one. */
export function stopRule(run: string | null): StopRule {
  try {
    const stop = run === null ? undefined : readManifest(run)?.stages.generate?.stop;
    const { answer = true, strings = [] } = (stop ?? {}) as Partial<StopRule>;
    return { answer, strings };
  } catch {
    return { answer: true, strings: [] };
  }
}
