import { breathe, neverAborted, type Signal } from '../control.ts';
import { blockFeeds, tokensOf } from '../model/batch.ts';
import { forwardGraph } from '../model/graphs.ts';
import type { Model } from '../model/model.ts';
import { noOverlay, type Overlay, overlayFeeds, overlayShape } from '../model/overlay.ts';
import { BLOCK_TOKENS, logitRows, SMALL_BYTES } from '../model/sizes.ts';
import type { Feeds, Value } from '../onnx/session.ts';
import { i64 } from '../onnx/session.ts';
import { cutBlock, emptyBlock, type KvBlock, pastFeeds, sharedFeeds } from './kv.ts';

/** A model with the weight changes that are in force and the prompt prefix that its sequences share. */
export class Runner {
  readonly model: Model;
  readonly overlay: Overlay;
  /** Keys and values of the shared prefix; sequences are given without it. */
  readonly shared: KvBlock | null;
  /** Token ids of the shared prefix. */
  readonly sharedIds: readonly number[];
  private readonly constantFeeds: Feeds;

  private constructor(model: Model, overlay: Overlay, sharedIds: readonly number[], shared: KvBlock | null) {
    this.model = model;
    this.overlay = overlay;
    this.sharedIds = sharedIds;
    this.shared = shared;
    this.constantFeeds = { ...overlayFeeds(overlay), ...(shared && sharedFeeds(model.config, shared)) };
  }

  /** @param sharedIds token ids that every sequence starts with; computed once, here */
  static async create(
    model: Model,
    overlay: Overlay = noOverlay,
    sharedIds: readonly number[] = [],
  ): Promise<Runner> {
    const alone = new Runner(model, overlay, [], null);
    if (sharedIds.length === 0) return alone;
    const [result] = await alone.forward([{ ids: sharedIds, keep: true }]);
    return new Runner(model, overlay, sharedIds, result!.kv!);
  }

  private session(past: boolean) {
    const shared = this.shared ? 'cached' : 'none';
    return this.model.session(
      `forward past=${past} shared=${shared}`,
      overlayShape(this.overlay),
      (context) => forwardGraph(context, { past, shared }),
      { repackBelow: past ? SMALL_BYTES : 0 },
    );
  }

  /** One run of the forward graph with the overlay's and the shared prefix's feeds added. */
  async run(past: boolean, feeds: Feeds): Promise<Record<string, Value>> {
    return this.session(past).run({ ...this.constantFeeds, ...feeds });
  }

  /**
   * Teacher-forced passes over full sequences, batched by length.
   * @returns by sequence: `logits` [rows, V] (a view that the caller may keep), `argmax` per row, `kv`; nothing where `onDone`
   * takes each as it is made
   */
  async forward(
    sequences: readonly Sequence[],
    {
      signal = neverAborted,
      onDone,
    }: { signal?: Signal; onDone?: (index: number, result: Forwarded) => void } = {},
  ): Promise<Forwarded[]> {
    const { config } = this.model;
    const results = new Array<Forwarded>(sequences.length);
    const lengths = sequences.map((s) => s.ids.length);
    const groups = groupByLength(lengths, BLOCK_TOKENS, {
      wanted: sequences.map((s) => s.rows?.length ?? 0),
      rows: logitRows(BLOCK_TOKENS, config.vocabSize),
    });
    for (const group of groups) {
      await breathe(signal);
      const offset = this.shared?.length ?? 0;
      const befores = group.map((i) => sequences[i]!.before);
      const rows = group.map((i, b) => {
        const cached = befores[b]?.length ?? 0;
        return { ids: sequences[i]!.ids, offset: offset + cached, cached, total: sequences[i]!.total ?? 0 };
      });
      const length = Math.max(...rows.map((r) => r.ids.length));
      // With a column of hidden cache, prefill and decoding share one session: weights are mapped once.
      const past = Math.max(this.model.isSmall ? 0 : 1, ...rows.map((r) => r.cached));
      const { feeds } = blockFeeds(this.model, rows, { length, past, align: 'left' });
      if (past > 0) {
        const prefixes = befores.map((block) => ({
          block: block ?? emptyBlock(config),
          length: block?.length ?? 0,
        }));
        Object.assign(feeds, pastFeeds(config, prefixes, past));
      }
      const wanted = group.flatMap((i, b) => (sequences[i]!.rows ?? []).map((row) => b * length + row));
      // An empty row list is legal but some providers reject empty tensors.
      feeds.rows = i64(wanted.length > 0 ? wanted : [0]);
      const out = await this.run(past > 0, feeds);
      signal.worked?.('forward', tokensOf(rows));
      const vocab = config.vocabSize;
      let at = 0;
      group.forEach((i, b) => {
        const count = sequences[i]!.rows?.length ?? 0;
        const result: Forwarded = {
          logits: sequences[i]!.argmaxOnly
            ? new Float32Array(0)
            : (out.logits!.data as Float32Array).subarray(at * vocab, (at + count) * vocab),
          argmax: Array.from((out.argmax!.data as BigInt64Array).subarray(at, at + count), Number),
          kv: sequences[i]!.keep ? cutBlock(config, out, b, 0, sequences[i]!.ids.length) : null,
        };
        at += count;
        if (onDone) onDone(i, result);
        else results[i] = result;
      });
    }
    return results;
  }
}

export interface Sequence {
  /** Token ids after the shared prefix. */
  ids: readonly number[];
  /** Positions whose next-token logits are wanted. */
  rows?: readonly number[];
  /** Of the rows only the argmax is wanted: their logits are let go. */
  argmaxOnly?: boolean;
  /** Return the keys and values of `ids`. */
  keep?: boolean;
  /** Cached keys and values of what stands between the shared prefix and `ids`. */
  before?: KvBlock;
  /** Tokens of the whole sequence that these are the start of (dynamic RoPE scaling). */
  total?: number;
}

export interface Forwarded {
  /** [rows, V], row-major; empty for `argmaxOnly`. */
  logits: Float32Array;
  argmax: number[];
  kv: KvBlock | null;
}

/**
 * Indices in groups of similar length, each of at most `tokens` padded tokens, `rows` of the rows that each sequence wants, and
 * `sequences` (one at least).
 */
export function groupByLength(
  lengths: readonly number[],
  tokens: number,
  {
    wanted = lengths,
    rows = tokens,
    sequences = Number.POSITIVE_INFINITY,
  }: { wanted?: readonly number[]; rows?: number; sequences?: number } = {},
): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const groups: number[][] = [];
  let current: number[] = [];
  let inGroup = 0;
  for (const i of order) {
    inGroup += wanted[i]!;
    const count = current.length + 1;
    if (count > 1 && (count * lengths[i]! > tokens || inGroup > rows || count > sequences)) {
      groups.push(current);
      current = [];
      inGroup = wanted[i]!;
    }
    current.push(i);
  }
  if (current.length > 0) groups.push(current);
  return groups;
}
