import { breathe, type Signal } from '../control.ts';
import type { Pair } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { type SlotCache, sharedFeeds, slotCache, slotFeeds } from '../generate/kv.ts';
import { blockFeeds } from '../model/batch.ts';
import { ComponentSpace, componentKinds } from '../model/components.ts';
import { maskGraph, type Objective } from '../model/graphs.ts';
import type { GraphSession } from '../model/model.ts';
import { overlayFeeds, overlayShape } from '../model/overlay.ts';
import { REPACK_BYTES } from '../model/sizes.ts';
import { type Feeds, f32, i64 } from '../onnx/session.ts';

/** Pairs that go through together; one graph serves batches of any size, in parts of this many. */
const SLOTS = 8;

/** Which token's logit each pair's loss reads; see `margins` in model/graphs.ts. */
export type TokenPairing =
  /** A pair's own desired minus its own undesired token. */
  | 'own'
  /** The reference implementation's indexing: every pair's tokens on every pair's logits, averaged. */
  | 'reference';

/**
 * Forward and backward through the last position of pairs' prefixes, with a gate on every component there.
 * Everything before the last position is a constant: its keys and values are computed once, here.
 */
export class MaskSteps {
  readonly space: ComponentSpace;
  readonly pairs: readonly Pair[];
  private readonly runner: Runner;
  private readonly session: GraphSession;
  /** By pair: fed where it lies, so that no step copies keys and values. */
  private readonly caches: readonly SlotCache[];
  /** What a slot without a pair, or a pair of one token, is fed. */
  private readonly none: SlotCache;

  private constructor(
    runner: Runner,
    pairs: readonly Pair[],
    session: GraphSession,
    caches: readonly SlotCache[],
  ) {
    this.runner = runner;
    this.pairs = pairs;
    this.session = session;
    this.caches = caches;
    this.none = slotCache(runner.model.config, null);
    this.space = new ComponentSpace(runner.model.config);
  }

  /**
   * @param pairs prefixes must start with the runner's shared prefix
   * @param objective how a margin becomes a loss: the paper's (-margin) or softplus(-margin)
   */
  static async create(
    runner: Runner,
    pairs: readonly Pair[],
    objective: Objective,
    signal: Signal,
  ): Promise<MaskSteps> {
    const { model } = runner;
    const skip = runner.sharedIds.length;
    const none = slotCache(model.config, null);
    const caches = pairs.map(() => none);
    const cached = pairs.map((_, i) => i).filter((i) => pairs[i]!.prefix.length - skip > 1);
    await runner.forward(
      cached.map((i) => ({
        ids: pairs[i]!.prefix.slice(skip, -1),
        keep: true,
        total: pairs[i]!.prefix.length,
      })),
      {
        signal,
        onDone: (at, { kv }) => {
          caches[cached[at]!] = slotCache(model.config, kv);
        },
      },
    );
    const shared = runner.shared ? 'cached' : 'none';
    const session = model.session(
      `mask ${objective} shared=${shared}`,
      overlayShape(runner.overlay),
      (context) => maskGraph(context, { objective, shared, slots: SLOTS }),
      { repackBelow: REPACK_BYTES },
    );
    return new MaskSteps(runner, pairs, session, caches);
  }

  /**
   * @param batch indices into `pairs`
   * @param gate factor on every component's output, flat [size] (2 * mask)
   * @returns the mean loss, each pair's margin, and for each pair the gradient of ITS loss by gate, flat [B, size]
   */
  async run(
    batch: readonly number[],
    gate: Float32Array,
    { pairing = 'own', signal }: { pairing?: TokenPairing; signal: Signal },
  ): Promise<{ loss: number; margins: Float32Array; gradients: Float32Array }> {
    const { size } = this.space;
    const margins = new Float32Array(batch.length);
    const gradients = new Float32Array(batch.length * size);
    const gates = this.gateFeeds(gate);
    let loss = 0;
    for (let first = 0; first < batch.length; first += SLOTS) {
      await breathe(signal);
      const out = await this.session.run({ ...gates, ...this.pairFeeds(batch, first, pairing) });
      const count = Math.min(SLOTS, batch.length - first);
      signal.worked?.('mask', count);
      loss += Number(out.loss!.data[0]);
      margins.set((out.margin!.data as Float32Array).subarray(0, count), first);
      this.collect(out, gradients.subarray(first * size, (first + count) * size));
    }
    return { loss: loss / batch.length, margins, gradients };
  }

  /** The same factors in every slot. */
  private gateFeeds(gate: Float32Array): Feeds {
    const { space } = this;
    const feeds: Feeds = {};
    for (const kind of componentKinds) {
      const width = space.width(kind);
      for (let layer = 0; layer < space.layers; layer++) {
        const row = gate.subarray(space.offset(kind, layer), space.offset(kind, layer) + width);
        const data = new Float32Array(SLOTS * width);
        for (let slot = 0; slot < SLOTS; slot++) data.set(row, slot * width);
        feeds[`gate.${kind}.${layer}`] = f32(data, SLOTS, width);
      }
    }
    return feeds;
  }

  /** What the pairs of a batch from `first` on feed; slots that are left over have no share in the loss. */
  private pairFeeds(batch: readonly number[], first: number, pairing: TokenPairing): Feeds {
    const { runner } = this;
    const { model } = runner;
    const inSlots = batch.slice(first, first + SLOTS);
    const caches = Array.from({ length: SLOTS }, (_, slot) => this.caches[inSlots[slot] ?? -1] ?? this.none);
    const rows = caches.map(({ length: cached }, slot) => {
      const prefix = this.pairs[inSlots[slot] ?? -1]?.prefix;
      return { ids: [prefix?.at(-1) ?? 0], offset: runner.sharedIds.length + cached, cached };
    });
    const past = Math.max(...caches.map((cache) => cache.columns));
    const size = batch.length;
    const weights = new Float32Array(SLOTS * 2 * size);
    const share = new Float32Array(SLOTS);
    inSlots.forEach((_, slot) => {
      share[slot] = 1;
      for (let k = 0; k < size; k++) {
        const weight = pairing === 'reference' ? 1 / size : Number(k === first + slot);
        weights[(slot * size + k) * 2] = weight;
        weights[(slot * size + k) * 2 + 1] = -weight;
      }
    });
    return {
      ...overlayFeeds(runner.overlay),
      ...(runner.shared && sharedFeeds(model.config, runner.shared)),
      ...blockFeeds(model, rows, { length: 1, past, align: 'right' }).feeds,
      ...slotFeeds(model.config, caches),
      tokens: i64(batch.flatMap((i) => [this.pairs[i]!.desired, this.pairs[i]!.undesired])),
      weights: f32(weights, SLOTS, 2 * size),
      share: f32(share, SLOTS),
    };
  }

  /** Gradients of the first slots, flat [count, size]. */
  private collect(out: Feeds, gradients: Float32Array): void {
    const { space } = this;
    for (const kind of componentKinds) {
      const width = space.width(kind);
      for (let layer = 0; layer < space.layers; layer++) {
        const data = out[`grad.${kind}.${layer}`]!.data as Float32Array;
        const offset = space.offset(kind, layer);
        for (let slot = 0; slot * space.size < gradients.length; slot++)
          gradients.set(data.subarray(slot * width, (slot + 1) * width), slot * space.size + offset);
      }
    }
  }
}
