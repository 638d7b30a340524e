import type { Signal } from '../control.ts';
import { extractAnswer, isCorrect } from '../data/answers.ts';
import type { Pair, Trace } from '../data/records.ts';
import { type Completer, completerOf } from '../generate/completer.ts';
import type { Runner } from '../generate/forward.ts';
import { greedy } from '../generate/sampler.ts';
import { Stopper } from '../generate/stop.ts';
import type { TraceOptions } from '../generate/traces.ts';
import { KV_BYTES, kvBytes } from '../model/sizes.ts';

/** A problem's greedy trace and one sampled trace of the other correctness. */
export interface Contrast {
  greedy: Trace;
  sampled: Trace;
}

/** Up to `counterparts` contrasts per problem, in the order of the samples. Problems without any yield none. */
export function contrasts(traces: readonly Trace[], counterparts: number): Contrast[] {
  const byProblem = new Map<string, { greedy: Trace | null; sampled: Trace[] }>();
  for (const trace of traces) {
    const entry = byProblem.get(trace.problem_id) ?? { greedy: null, sampled: [] };
    if (trace.decoding.strategy === 'greedy') entry.greedy = trace;
    else entry.sampled.push(trace);
    byProblem.set(trace.problem_id, entry);
  }
  return [...byProblem.values()].flatMap(({ greedy: own, sampled }) => {
    if (!own) return [];
    const others = sampled.filter((trace) => trace.correct !== own.correct && !trace.truncated);
    const distinct = others.filter(
      (trace, i) => others.findIndex((o) => `${o.completion_ids}` === `${trace.completion_ids}`) === i,
    );
    return distinct.slice(0, counterparts).map((trace) => ({ greedy: own, sampled: trace }));
  });
}

function pairOf(
  contrast: Contrast,
  method: 'prefix' | 'branching',
  prefix: number[],
  sampledToken: number,
  greedyToken: number,
): Pair {
  const { greedy: own, sampled } = contrast;
  const [desired, undesired] = sampled.correct ? [sampledToken, greedyToken] : [greedyToken, sampledToken];
  return {
    id: `${sampled.id}/${method}`,
    prefix,
    desired,
    undesired,
    problem_id: own.problem_id,
    ...(own.template_id !== undefined && { template_id: own.template_id }),
    ...(own.instance_id !== undefined && { instance_id: own.instance_id }),
    ...(own.split !== undefined && { split: own.split }),
    method,
    trace: sampled.id,
    status: 'auto',
  };
}

/** Prefix pairs (arXiv 2512.16914, stage 1): the first position where the two traces differ. No model work. */
export function prefixPairs(all: readonly Contrast[]): Pair[] {
  return all.flatMap((contrast) => {
    const { greedy: own, sampled } = contrast;
    const length = Math.min(own.completion_ids.length, sampled.completion_ids.length);
    let at = 0;
    while (at < length && own.completion_ids[at] === sampled.completion_ids[at]) at++;
    // One trace a prefix of the other: nothing to prefer one token by.
    if (at === length) return [];
    const prefix = [...sampled.prompt_ids, ...sampled.completion_ids.slice(0, at)];
    return [pairOf(contrast, 'prefix', prefix, sampled.completion_ids[at]!, own.completion_ids[at]!)];
  });
}

export interface BranchingReport {
  contrasts: number;
  pairs: number;
  /** Greedy completions that were run. */
  completions: number;
  /** Completions that walking every token up to the pivot would have run. */
  naiveCompletions: number;
  /** Contrasts where no branch flipped (a completion was cut at the token limit). */
  unresolved: number;
}

/** How the walk chooses the positions to complete at. */
export type Walk =
  /** Only where the sampled token deviates from the greedy one: elsewhere the completion cannot change. */
  | 'deviations'
  /** Every position, as the reference does. */
  | 'naive';

/**
 * Branching pairs (arXiv 2512.16914, stage 1): walk the sampled trace y and greedily complete y_1..y_k; the first k whose
 * completion has another correctness than the greedy trace is the pivot. One teacher-forced pass over y gives every
 * greedy token and the keys and values that all branches fork. The branches of all contrasts run in one batch, one
 * branch each per round; of so many at a time as have keys and values within `kvLimit`.
 * @returns pairs in the order of the contrasts
 */
export async function branchingPairs(
  runner: Runner,
  all: readonly Contrast[],
  options: TraceOptions,
  {
    signal,
    walk = 'deviations',
    completer = completerOf(runner),
    kvLimit = KV_BYTES,
    onProgress,
    onBranch,
  }: {
    signal: Signal;
    walk?: Walk;
    /** Completes the branches; by default the runner does. */
    completer?: Completer;
    /** Bytes of keys and values. */
    kvLimit?: number;
    /** Before every round: contrasts that are resolved, of how many, and branches that it completes. */
    onProgress?: (resolved: number, total: number, branches: number) => void;
    /** A branch has ended, after so many tokens. */
    onBranch?: (tokens: number) => void;
  },
): Promise<{ pairs: Pair[]; report: BranchingReport }> {
  const { config } = runner.model;
  // Under dynamic scaling a prefix's cache depends on the length that it is part of, so it cannot be forked.
  const forks = completer.takesKv && config.ropeScaling.type !== 'dynamic';
  const parts = forks ? partsWithin(all, kvLimit / kvBytes(config)) : [all];
  const pairs: Pair[] = [];
  const report: BranchingReport = {
    contrasts: all.length,
    pairs: 0,
    completions: 0,
    naiveCompletions: 0,
    unresolved: 0,
  };
  let before = 0;
  for (const part of parts) {
    const found = await branchTogether(runner, part, options, {
      signal,
      walk,
      completer,
      forks,
      onProgress: (resolved, branches) => onProgress?.(before + resolved, all.length, branches),
      onBranch,
    });
    before += part.length;
    pairs.push(...found.pairs);
    report.completions += found.completions;
    report.naiveCompletions += found.naiveCompletions;
    report.unresolved += found.unresolved;
  }
  report.pairs = pairs.length;
  return { pairs, report };
}

/** Consecutive contrasts whose sampled traces have at most `most` tokens together (one contrast at least). */
function partsWithin(all: readonly Contrast[], most: number): Contrast[][] {
  const parts: Contrast[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const contrast of all) {
    const { prompt_ids, completion_ids } = contrast.sampled;
    tokens += prompt_ids.length + completion_ids.length;
    if (tokens > most) {
      parts.push([]);
      tokens = prompt_ids.length + completion_ids.length;
    }
    parts.at(-1)!.push(contrast);
  }
  return parts;
}

/** `branchingPairs` of contrasts whose branches run in one batch. */
async function branchTogether(
  runner: Runner,
  all: readonly Contrast[],
  options: TraceOptions,
  {
    signal,
    walk,
    completer,
    forks,
    onProgress,
    onBranch,
  }: {
    signal: Signal;
    walk: Walk;
    completer: Completer;
    /** The branches go on from the walks' keys and values. */
    forks: boolean;
    onProgress: (resolved: number, branches: number) => void;
    onBranch: ((tokens: number) => void) | undefined;
  },
): Promise<{ pairs: Pair[] } & Pick<BranchingReport, 'completions' | 'naiveCompletions' | 'unresolved'>> {
  const { model } = runner;
  const skip = runner.sharedIds.length;
  const stopper = new Stopper(model.tokenizer, model.config.eosTokenIds, options.stop);
  const walks = await runner.forward(
    all.map(({ sampled }) => ({
      ids: [...sampled.prompt_ids, ...sampled.completion_ids].slice(skip),
      rows: sampled.completion_ids.map((_, k) => sampled.prompt_ids.length + k - 1 - skip),
      argmaxOnly: true,
      keep: forks,
    })),
    { signal },
  );
  const states = all.map((contrast, i) => {
    const { argmax, kv } = walks[i]!;
    const y = contrast.sampled.completion_ids;
    const positions = y.map((_, k) => k).filter((k) => walk === 'naive' || y[k] !== argmax[k]);
    return { contrast, argmax, kv, positions, next: 0, pivot: -1 };
  });
  const report = { completions: 0, naiveCompletions: 0, unresolved: 0 };
  for (;;) {
    const open = states.filter((s) => s.pivot < 0 && s.next < s.positions.length);
    onProgress(states.length - open.length, open.length);
    if (open.length === 0) break;
    const completed = await completer.complete(
      open.map(({ contrast: { sampled }, kv, positions, next }) => ({
        ids: [...sampled.prompt_ids, ...sampled.completion_ids.slice(0, positions[next]! + 1)].slice(
          completer.sharedIds.length,
        ),
        ...(kv && { kv }),
        sampling: greedy,
        maxTokens: Math.max(1, options.maxTokens - positions[next]! - 1),
      })),
      {
        batch: options.batch,
        signal,
        onDone: (_, { ids }) => onBranch?.(ids.length),
        stop: (ids, request) => {
          const { contrast, positions, next } = open[request]!;
          return stopper.isOver([...contrast.sampled.completion_ids.slice(0, positions[next]! + 1), ...ids]);
        },
      },
    );
    report.completions += open.length;
    open.forEach((state, i) => {
      const { contrast, positions, next } = state;
      const k = positions[next]!;
      const head = contrast.sampled.completion_ids.slice(0, k + 1);
      // A branch whose own tokens already end the trace has nothing to complete.
      const whole = stopper.isOver(head) ? head : [...head, ...completed[i]!.ids];
      const answer = extractAnswer(stopper.text(stopper.trim(whole)));
      if (isCorrect(answer, contrast.greedy.target) !== contrast.greedy.correct) state.pivot = k;
      state.next++;
    });
  }
  const pairs: Pair[] = [];
  for (const { contrast, argmax, pivot } of states) {
    const { sampled } = contrast;
    report.naiveCompletions += pivot < 0 ? sampled.completion_ids.length : pivot + 1;
    // The naive walk can meet a pivot without a deviation only when rounding differs between batches.
    if (pivot < 0 || sampled.completion_ids[pivot] === argmax[pivot]) {
      report.unresolved++;
      continue;
    }
    const prefix = [...sampled.prompt_ids, ...sampled.completion_ids.slice(0, pivot)];
    pairs.push(pairOf(contrast, 'branching', prefix, sampled.completion_ids[pivot]!, argmax[pivot]!));
  }
  return { pairs, ...report };
}
