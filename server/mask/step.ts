import { breathe, type Signal } from '../control.ts';
import type { Pair } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { emptyBlock, type KvBlock, pastFeeds, sharedFeeds } from '../generate/kv.ts';
import { blockFeeds } from '../model/batch.ts';
import { ComponentSpace, componentKinds } from '../model/components.ts';
import { maskGraph, type Objective } from '../model/graphs.ts';
import { overlayFeeds, overlayShape } from '../model/overlay.ts';
import { f32, i64, type Session } from '../onnx/session.ts';

/** A mask takes hundreds of one-row steps: worth a private copy of the weights up to this size. */
const REPACK_BYTES = 2 * 2 ** 30;

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
  private readonly session: Session;
  private readonly kv: readonly KvBlock[];
  /** Where a batch's keys and values are laid out, by input name: fresh memory would cost more than the copy. */
  private readonly laidOut = new Map<string, Float32Array>();

  private constructor(runner: Runner, pairs: readonly Pair[], session: Session, kv: readonly KvBlock[]) {
    this.runner = runner;
    this.pairs = pairs;
    this.session = session;
    this.kv = kv;
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
    const computed = await runner.forward(
      pairs
        .map(({ prefix }) => ({ ids: prefix.slice(skip, -1), keep: true, total: prefix.length }))
        .filter(({ ids }) => ids.length > 0),
      { signal },
    );
    const none = emptyBlock(model.config);
    let next = 0;
    const kv = pairs.map((pair) => (pair.prefix.length - skip > 1 ? computed[next++]!.kv! : none));
    const shared = runner.shared ? 'cached' : 'none';
    const session = await model.session(
      `mask ${objective} shared=${shared}`,
      overlayShape(runner.overlay),
      (context) => maskGraph(context, { objective, shared }),
      { repackBelow: REPACK_BYTES },
    );
    return new MaskSteps(runner, pairs, session, kv);
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
    await breathe(signal);
    const { runner, space } = this;
    const { model } = runner;
    const pairs = batch.map((i) => this.pairs[i]!);
    const prefixes = batch.map((i) => ({ block: this.kv[i]!, length: this.kv[i]!.length }));
    const columns = Math.max(1, ...prefixes.map((p) => p.length));
    const rows = pairs.map((pair, b) => ({
      ids: [pair.prefix.at(-1)!],
      offset: pair.prefix.length - 1,
      cached: prefixes[b]!.length,
    }));
    const size = batch.length;
    const weights = new Float32Array(size * 2 * size);
    pairs.forEach((_, b) => {
      pairs.forEach((_, k) => {
        const weight = pairing === 'reference' ? 1 / size : k === b ? 1 : 0;
        weights[b * 2 * size + 2 * k] = weight;
        weights[b * 2 * size + 2 * k + 1] = -weight;
      });
    });
    const gates: Record<string, ReturnType<typeof f32>> = {};
    for (const kind of componentKinds) {
      const width = space.width(kind);
      for (let layer = 0; layer < space.layers; layer++) {
        const row = gate.subarray(space.offset(kind, layer), space.offset(kind, layer) + width);
        const data = new Float32Array(size * width);
        for (let b = 0; b < size; b++) data.set(row, b * width);
        gates[`gate.${kind}.${layer}`] = f32(data, size, width);
      }
    }
    const out = await this.session.run({
      ...overlayFeeds(runner.overlay),
      ...(runner.shared && sharedFeeds(model.config, runner.shared)),
      ...blockFeeds(model, rows, { length: 1, past: columns, align: 'right' }).feeds,
      ...pastFeeds(model.config, prefixes, columns, { allocate: this.allocate }),
      ...gates,
      tokens: i64(pairs.flatMap((pair) => [pair.desired, pair.undesired])),
      weights: f32(weights, size, 2 * size),
      share: f32(new Float32Array(size).fill(1), size),
    });
    const gradients = new Float32Array(size * space.size);
    for (const kind of componentKinds) {
      const width = space.width(kind);
      for (let layer = 0; layer < space.layers; layer++) {
        const data = out[`grad.${kind}.${layer}`]!.data as Float32Array;
        for (let b = 0; b < size; b++) {
          gradients.set(
            data.subarray(b * width, (b + 1) * width),
            b * space.size + space.offset(kind, layer),
          );
        }
      }
    }
    return { loss: Number(out.loss!.data[0]) / size, margins: out.margin!.data as Float32Array, gradients };
  }

  /** What an earlier batch left beside shorter prefixes is hidden by the bias. */
  private readonly allocate = (name: string, size: number): Float32Array => {
    let memory = this.laidOut.get(name);
    if (!memory || memory.length < size) {
      memory = new Float32Array(size);
      this.laidOut.set(name, memory);
    }
    return memory.subarray(0, size);
  };
}
