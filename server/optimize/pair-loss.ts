import { breathe, type Signal } from '../control.ts';
import type { Pair } from '../data/records.ts';
import { groupByLength, type Runner } from '../generate/forward.ts';
import { blockFeeds, sharedPromptFeeds, tokensOf } from '../model/batch.ts';
import { type Objective, trainingGraph, type Wanted } from '../model/graphs.ts';
import type { GraphSession } from '../model/model.ts';
import { type Overlay, overlayFeeds, overlayShape } from '../model/overlay.ts';
import { trainingRows } from '../model/sizes.ts';
import { type Feeds, f32, i64 } from '../onnx/session.ts';
import { type Dropout, dropoutFeeds, dropoutTokens } from './dropout.ts';

/**
 * Own tokens in one run. A shared prompt runs once per block, which pays for large ones. Without one, a large model is as
 * fast in small blocks, and holds a fraction of the activations (125M parameters, 8 x 256: 0.9 GB against 2 GB).
 */
const BLOCK_TOKENS = 2048;
const LARGE_MODEL_BLOCK_TOKENS = 512;

const blockTokens = ({ sharedIds, model }: Runner): number =>
  trainingRows(sharedIds.length > 0 || model.isSmall ? BLOCK_TOKENS : LARGE_MODEL_BLOCK_TOKENS, model.config);

/** Tokens that `count` of the pairs take through the model on average, a shared prompt once per block. */
export function pairTokens(runner: Runner, pairs: readonly Pair[], count = pairs.length): number {
  const shared = runner.sharedIds.length;
  const own = pairs.reduce((sum, { prefix }) => sum + prefix.length - shared, 0) / Math.max(1, pairs.length);
  return count * own + shared * Math.ceil(count / Math.max(1, Math.floor(blockTokens(runner) / own)));
}

export interface LossAndGradients {
  /** Mean over the pairs. */
  loss: number;
  /** logit[desired] - logit[undesired] by pair. */
  margins: Float32Array;
  /** By graph output name less `grad.`, summed over micro-batches: the gradient of `loss`. */
  gradients: Map<string, Float32Array>;
}

/**
 * Mean loss over pairs and its gradient, by full backpropagation through the prefixes (arXiv 2512.16914, stage 3). A shared
 * prompt runs forward and backward once per call of a micro-batch, with all suffixes beside it.
 */
export class PairLoss {
  private readonly runner: Runner;
  private readonly session: GraphSession;
  private readonly shared: Feeds;

  private constructor(runner: Runner, session: GraphSession, shared: Feeds) {
    this.runner = runner;
    this.session = session;
    this.shared = shared;
  }

  /** @param wanted what to differentiate by; with `overlay`, the values of the overlay given to `run` */
  static async create(
    runner: Runner,
    objective: Objective,
    wanted: Wanted,
    overlay: Overlay = runner.overlay,
  ): Promise<PairLoss> {
    const { model, sharedIds } = runner;
    const shared = sharedIds.length > 0 ? 'live' : 'none';
    const session = model.session(
      `pairs ${objective} ${JSON.stringify(wanted)} shared=${shared}`,
      overlayShape(overlay),
      (context) => trainingGraph(context, { head: { kind: 'pairs', objective }, wanted, shared }),
    );
    return new PairLoss(runner, session, sharedIds.length > 0 ? sharedPromptFeeds(model, sharedIds) : {});
  }

  /**
   * @param pairs prefixes must start with the runner's shared prefix and go on after it
   * @param dropout by number of the pair, where the loss was made with it
   */
  async run(
    pairs: readonly Pair[],
    {
      overlay = this.runner.overlay,
      dropout,
      signal,
    }: { overlay?: Overlay; dropout?: Dropout | undefined; signal: Signal },
  ): Promise<LossAndGradients> {
    const { runner } = this;
    const offset = runner.sharedIds.length;
    const margins = new Float32Array(pairs.length);
    const gradients = new Map<string, Float32Array>();
    let loss = 0;
    const constants = { ...overlayFeeds(overlay), ...this.shared };
    const tokens = blockTokens(runner);
    for (const group of groupByLength(
      pairs.map((p) => p.prefix.length - offset),
      dropout ? Math.min(tokens, dropoutTokens(overlay)) : tokens,
    )) {
      await breathe(signal);
      const rows = group.map((i) => ({ ids: pairs[i]!.prefix.slice(offset), offset, cached: 0 }));
      const length = Math.max(...rows.map((r) => r.ids.length));
      const size = group.length;
      const weights = new Float32Array(size * 2 * size);
      for (let b = 0; b < size; b++) {
        weights[b * 2 * size + 2 * b] = 1;
        weights[b * 2 * size + 2 * b + 1] = -1;
      }
      const out = await this.session.run({
        ...constants,
        ...blockFeeds(runner.model, rows, { length, past: 0, align: 'left' }).feeds,
        ...(dropout && dropoutFeeds(overlay, dropout, group, rows, length)),
        at: i64(rows.map((row, b) => b * length + row.ids.length - 1)),
        tokens: i64(group.flatMap((i) => [pairs[i]!.desired, pairs[i]!.undesired])),
        weights: f32(weights, size, 2 * size),
        share: f32(new Float32Array(size).fill(1 / pairs.length), size),
      });
      signal.worked?.('train', offset + tokensOf(rows));
      loss += Number(out.loss!.data[0]);
      group.forEach((i, b) => {
        margins[i] = Number(out.margin!.data[b]);
      });
      addGradients(gradients, out);
    }
    return { loss, margins, gradients };
  }
}

/** Add a run's `grad.*` outputs to sums by name. */
export function addGradients(
  sums: Map<string, Float32Array>,
  outputs: Record<string, { data: Float32Array | BigInt64Array }>,
): void {
  for (const [name, { data }] of Object.entries(outputs)) {
    if (!name.startsWith('grad.')) continue;
    const key = name.slice('grad.'.length);
    const sum = sums.get(key);
    // Copied: the output's memory belongs to the runtime.
    if (!sum) sums.set(key, Float32Array.from(data as Float32Array));
    else for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + (data as Float32Array)[i]!;
  }
}
