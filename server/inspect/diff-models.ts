import { neverAborted, type Signal } from '../control.ts';
import type { Problem, Trace } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { greedyTraces, type TraceOptions } from '../generate/traces.ts';
import { firstDivergence } from './diff.ts';

/** What became of a problem's correctness. */
type Flip = 'wrong-to-right' | 'right-to-wrong' | 'same';

/** One problem under two models. */
export interface TraceDiff {
  base: Trace;
  changed: Trace;
  flip: Flip;
  /** Index into the completions of the first token that differs; null for equal completions. */
  firstDivergence: number | null;
}

/** Compare two traces of one problem. For the alignment itself see `diffCompletions`. */
export function diffTraces(base: Trace, changed: Trace): TraceDiff {
  const flip =
    base.correct === changed.correct ? 'same' : changed.correct ? 'wrong-to-right' : 'right-to-wrong';
  return {
    base,
    changed,
    flip,
    firstDivergence: firstDivergence(base.completion_ids, changed.completion_ids),
  };
}

export interface DiffModelsOptions extends TraceOptions {
  signal?: Signal;
  /** In the order of the problems. */
  onDiff?(index: number, diff: TraceDiff): void;
}

/**
 * Greedy traces of every problem under two models, compared. Both runners' shared prefix must be one that every
 * prompt starts with.
 * @returns in the order of the problems
 * @throws Cancelled when the signal fires; diffs handed to `onDiff` by then are whole
 */
export async function diffModels(
  baseRunner: Runner,
  changedRunner: Runner,
  problems: readonly Problem[],
  { signal = neverAborted, onDiff, ...options }: DiffModelsOptions,
): Promise<TraceDiff[]> {
  const diffs: TraceDiff[] = [];
  // A few batches at a time: enough to refill slots as sequences end, few enough that results come as they are made.
  const chunk = 4 * options.batch;
  for (let from = 0; from < problems.length; from += chunk) {
    const part = problems.slice(from, from + chunk);
    const base = await greedyTraces(baseRunner, part, options, { signal });
    const changed = await greedyTraces(changedRunner, part, options, { signal });
    part.forEach((_, i) => {
      diffs.push(diffTraces(base[i]!, changed[i]!));
      onDiff?.(from + i, diffs.at(-1)!);
    });
  }
  return diffs;
}
