import { breathe, neverAborted, type Signal } from '../control.ts';
import { blockFeeds } from '../model/batch.ts';
import { decodeBatch } from '../model/sizes.ts';
import { i64 } from '../onnx/session.ts';
import type { Rng } from '../random.ts';
import type { Runner } from './forward.ts';
import { DecodeCache, emptyBlock, type KvBlock } from './kv.ts';
import { type Sampling, sampleToken } from './sampler.ts';

/** One sequence to complete. */
export interface Request {
  /** Token ids after the runner's shared prefix, at least one. Requests with the same array are prefilled once. */
  ids: readonly number[];
  /** Keys and values of a sequence that starts with ids[0 .. ids.length - 1): no prefill then. */
  kv?: KvBlock;
  sampling: Sampling;
  /** Needed unless sampling is greedy. */
  rng?: Rng;
  maxTokens: number;
}

export interface Completion {
  ids: number[];
  /** Ended at maxTokens and not at a stop. */
  truncated: boolean;
  /** Where it was made, if not here. */
  served?: Served;
}

/** What a server told of a completion. */
export interface Served {
  /** The model's name there. */
  model: string;
  /**
   * Where the token ids come from: the server returned them; or it returned text, and they are that text's tokens by
   * this tokenizer, alike as far as the server tells (`encoded`) or known to be cut otherwise than there (`recut`).
   */
  ids: 'returned' | 'encoded' | 'recut';
  /** Log-probability of every id in nats, null where the server told none; absent where it told none at all. */
  logProbabilities?: (number | null)[];
}

export interface GenerateOptions {
  /** Sequences decoded together, or as many as have keys and values within bounds (model/sizes.ts). */
  batch: number;
  /** Asked after every token; a stop token is part of the completion. */
  stop(ids: readonly number[], request: number): boolean;
  signal?: Signal;
  onDone?(request: number, completion: Completion): void;
  /** After every decoding step: tokens made so far, over all requests. */
  onTokens?(total: number): void;
}

interface Slot {
  request: number;
  /** Tokens in the batch's cache. */
  cached: number;
  /** The token to feed next; its keys and values are not cached yet. */
  pending: number;
  out: number[];
}

/**
 * Complete many sequences in one batch that is refilled as they end. What a sequence's completion is depends on the
 * order of requests and the batch size only through float rounding: equal calls give equal bytes.
 */
export async function generate(
  runner: Runner,
  requests: readonly Request[],
  { batch: wanted, stop, signal = neverAborted, onDone, onTokens }: GenerateOptions,
): Promise<Completion[]> {
  const { model } = runner;
  const { config } = model;
  const offset = runner.shared?.length ?? 0;
  const batch = decodeBatch(
    config,
    wanted,
    requests.reduce((most, { ids, maxTokens }) => Math.max(most, ids.length + maxTokens), 0),
  );
  const completions = new Array<Completion>(requests.length);
  const prompts = new PromptCache(runner, requests);
  let slots: Slot[] = [];
  let next = 0;
  let cache = new DecodeCache(config, []);
  let tokens = 0;

  /** Drop finished slots, admit waiting requests, and lay the cache out anew. */
  const refill = async (live: Slot[]) => {
    const kept = live.map((slot) => cache.lift(slots.indexOf(slot), slot.cached));
    const admitted: Slot[] = [];
    while (live.length + admitted.length < batch && next < requests.length) {
      const { ids } = requests[next]!;
      admitted.push({ request: next++, cached: ids.length - 1, pending: ids.at(-1)!, out: [] });
    }
    const blocks = await prompts.take(
      admitted.map((slot) => slot.request),
      signal,
    );
    slots = [...live, ...admitted];
    cache = new DecodeCache(
      config,
      [...kept, ...blocks].map((block, b) => ({ block, length: slots[b]!.cached })),
    );
  };

  await refill([]);
  while (slots.length > 0) {
    await breathe(signal);
    const rows = slots.map((s) => ({ ids: [s.pending], offset: offset + s.cached, cached: s.cached }));
    const { feeds } = blockFeeds(model, rows, {
      length: 1,
      past: cache.columns,
      filled: cache.filled,
      align: 'right',
    });
    const out = await runner.run(true, { ...feeds, ...cache.feeds, rows: i64(slots.map((_, b) => b)) });
    const vocab = config.vocabSize;
    const before = tokens;
    const finished = new Set<Slot>();
    slots.forEach((slot, b) => {
      if (completions[slot.request]) {
        finished.add(slot);
        return;
      }
      const { sampling, rng, maxTokens } = requests[slot.request]!;
      const token =
        sampling.temperature === 0
          ? Number(out.argmax!.data[b])
          : sampleToken(
              (out.logits!.data as Float32Array).subarray(b * vocab, (b + 1) * vocab),
              sampling,
              rng!,
            );
      slot.out.push(token);
      slot.cached++;
      slot.pending = token;
      tokens++;
      const stopped = stop(slot.out, slot.request);
      if (stopped || slot.out.length >= maxTokens) {
        completions[slot.request] = { ids: slot.out, truncated: !stopped };
        onDone?.(slot.request, completions[slot.request]!);
        finished.add(slot);
      }
    });
    onTokens?.(tokens);
    signal.worked?.('decode', tokens - before);
    cache.append(out);
    // Re-laying the cache costs a copy of it, so a few slots idle before it is worth while.
    const waiting = next < requests.length;
    const live = slots.filter((slot) => !finished.has(slot));
    const idle = finished.size >= Math.max(1, slots.length / (waiting ? 4 : 2));
    if (live.length === 0 || idle || cache.full) await refill(live);
  }
  return completions;
}

/** Prefills prompts when they are admitted, each distinct one once, and drops them when their last request has it. */
class PromptCache {
  private readonly runner: Runner;
  private readonly requests: readonly Request[];
  private readonly blocks = new Map<readonly number[], KvBlock>();
  private readonly uses = new Map<readonly number[], number>();

  constructor(runner: Runner, requests: readonly Request[]) {
    this.runner = runner;
    this.requests = requests;
    for (const { ids } of requests) this.uses.set(ids, (this.uses.get(ids) ?? 0) + 1);
  }

  async take(indices: readonly number[], signal: Signal): Promise<KvBlock[]> {
    const wanted = indices.map((i) => this.requests[i]!);
    const missing = [...new Set(wanted.filter((r) => !r.kv && r.ids.length > 1).map((r) => r.ids))].filter(
      (ids) => !this.blocks.has(ids),
    );
    const computed = await this.runner.forward(
      // The whole prompt's length: dynamic RoPE turns all of a prompt by the frequencies of that.
      missing.map((ids) => ({
        ids: ids.slice(0, -1),
        keep: true,
        total: this.runner.sharedIds.length + ids.length,
      })),
      { signal },
    );
    missing.forEach((ids, i) => {
      this.blocks.set(ids, computed[i]!.kv!);
    });
    return wanted.map(({ ids, kv }) => {
      const left = this.uses.get(ids)! - 1;
      this.uses.set(ids, left);
      const block = kv ?? this.blocks.get(ids) ?? emptyBlock(this.runner.model.config);
      if (left === 0) this.blocks.delete(ids);
      return block;
    });
  }
}
