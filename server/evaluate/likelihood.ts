/** Log-likelihoods of continuations. */
import type { Signal } from '../control.ts';
import type { Runner } from '../generate/forward.ts';
import { joinBlocks, type KvBlock } from '../generate/kv.ts';
import { logProbability } from '../generate/likelihood.ts';
import { kvBytes } from '../model/sizes.ts';

/** Token ids after the ids of their context; both have at least one. */
export interface Continuation {
  context: readonly number[];
  ids: readonly number[];
}

export interface Likelihood {
  /** Sum over the tokens of log p(token | what stands before it), nats. */
  logLikelihood: number;
  /** Every token is the most likely one at its place. */
  greedy: boolean;
}

/** A runner for sequences that begin with the prefix that many share, and one for any. */
export interface LikelihoodRunners {
  shared: Runner;
  plain: Runner;
}

export interface LikelihoodOptions {
  /** Tokens that the model sees at most: longer sequences lose their beginning. */
  maxLength: number;
  signal: Signal;
  /** Logits held at a time, in bytes. */
  logitBytes?: number;
}

/** Vocabularies of 256,000 would else take gigabytes. */
const LOGIT_BYTES = 256 * 2 ** 20;
/** Contexts' keys and values in flight, in bytes. */
const CACHE_BYTES = 512 * 2 ** 20;

/**
 * Scores groups of continuations; those of a group share their context, which then runs once.
 * @returns by group, by continuation
 */
export async function scoreContinuations(
  runners: LikelihoodRunners,
  groups: readonly (readonly Continuation[])[],
  options: LikelihoodOptions,
): Promise<Likelihood[][]> {
  const { config } = runners.plain.model;
  const rows = Math.max(1, Math.floor((options.logitBytes ?? LOGIT_BYTES) / (4 * config.vocabSize)));
  const results: Likelihood[][] = groups.map((group) => new Array<Likelihood>(group.length));
  const together: number[] = [];
  for (const [g, group] of groups.entries()) {
    const longest = Math.max(...group.map(({ context, ids }) => context.length + ids.length));
    // Under dynamic scaling what is cached of a context depends on the length of the whole sequence.
    const fits = longest <= options.maxLength + 1 && config.ropeScaling.type !== 'dynamic';
    if (fits && group.every(({ context, ids }) => context === group[0]!.context && ids.length <= rows)) {
      together.push(g);
    } else {
      for (const [i, one] of group.entries())
        results[g]![i] = await scoreAlone(runners.plain, one, rows, options);
    }
  }
  const cachePerToken = kvBytes(config);
  let batch: number[] = [];
  let wanted = 0;
  let cached = 0;
  const flush = async () => {
    if (batch.length === 0) return;
    const scored = await scoreTogether(
      runners,
      batch.map((g) => groups[g]!),
      options.signal,
    );
    for (const [n, g] of batch.entries()) results[g] = scored[n]!;
    batch = [];
    wanted = 0;
    cached = 0;
  };
  for (const g of together) {
    const count = groups[g]!.reduce((sum, { ids }) => sum + ids.length, 0);
    const bytes = cachePerToken * groups[g]![0]!.context.length;
    if (wanted + count > rows || cached + bytes > CACHE_BYTES) await flush();
    batch.push(g);
    wanted += count;
    cached += bytes;
  }
  await flush();
  return results;
}

/** The context runs once; only continuations of several tokens need their own pass, after its cache. */
async function scoreTogether(
  { shared, plain }: LikelihoodRunners,
  groups: readonly (readonly Continuation[])[],
  signal: Signal,
): Promise<Likelihood[][]> {
  const prefix = shared.sharedIds;
  const begins = ({ context }: Continuation) =>
    context.length > prefix.length && prefix.every((id, i) => context[i] === id);
  const runner = groups.every(([first]) => begins(first!)) ? shared : plain;
  const skip = runner.sharedIds.length;
  const vocab = runner.model.config.vocabSize;
  const contexts = await runner.forward(
    groups.map((group) => {
      const ids = group[0]!.context.slice(skip);
      return { ids, rows: [ids.length - 1], keep: group.some((c) => c.ids.length > 1) };
    }),
    { signal },
  );
  const results = groups.map((group, n) =>
    group.map(({ ids }) => ({
      logLikelihood: logProbability(contexts[n]!.logits, 0, ids[0]!, vocab),
      greedy: contexts[n]!.argmax[0] === ids[0],
    })),
  );
  const rest = groups.flatMap((group, n) =>
    group.flatMap(({ ids }, i) => (ids.length > 1 ? [{ n, i, ids }] : [])),
  );
  const continued = await runner.forward(
    rest.map(({ n, ids }) => ({
      ids: ids.slice(0, -1),
      rows: ids.slice(0, -1).map((_, t) => t),
      before: contexts[n]!.kv!,
    })),
    { signal },
  );
  for (const [r, { n, i, ids }] of rest.entries()) {
    const { logits, argmax } = continued[r]!;
    const result = results[n]![i]!;
    for (let t = 1; t < ids.length; t++) {
      result.logLikelihood += logProbability(logits, t - 1, ids[t]!, vocab);
      result.greedy &&= argmax[t - 1] === ids[t];
    }
  }
  return results;
}

/** One sequence by itself, its beginning cut to what the model takes, in pieces of at most `piece` positions. */
async function scoreAlone(
  runner: Runner,
  { context, ids }: Continuation,
  piece: number,
  { maxLength, signal }: LikelihoodOptions,
): Promise<Likelihood> {
  const { config } = runner.model;
  const input = [...context, ...ids].slice(-(maxLength + 1)).slice(0, -1);
  const first = input.length - ids.length;
  // The whole length sets the angles under dynamic scaling; later pieces keep those of the first.
  const size = config.ropeScaling.type === 'dynamic' ? input.length : Math.max(piece, 1);
  const result: Likelihood = { logLikelihood: 0, greedy: true };
  let before: KvBlock | undefined;
  for (let at = 0; at < input.length; at += size) {
    const part = input.slice(at, at + size);
    const rows = part.map((_, t) => t).filter((t) => at + t >= first);
    const last = at + size >= input.length;
    const [out] = await runner.forward(
      [{ ids: part, rows, keep: !last, total: input.length, ...(before && { before }) }],
      { signal },
    );
    for (const [r, t] of rows.entries()) {
      const id = ids[at + t - first]!;
      result.logLikelihood += logProbability(out!.logits, r, id, config.vocabSize);
      result.greedy &&= out!.argmax[r] === id;
    }
    if (!last) before = before ? joinBlocks(config, before, out!.kv!) : out!.kv!;
  }
  return result;
}
