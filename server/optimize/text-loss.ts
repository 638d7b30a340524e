import { breathe, type Signal } from '../control.ts';
import { groupByLength, type Runner } from '../generate/forward.ts';
import { blockFeeds, tokensOf } from '../model/batch.ts';
import { trainingGraph, type Wanted } from '../model/graphs.ts';
import type { GraphSession } from '../model/model.ts';
import { type Overlay, overlayFeeds, overlayShape } from '../model/overlay.ts';
import { logitRows, trainingRows } from '../model/sizes.ts';
import { type Feeds, f32, i64 } from '../onnx/session.ts';
import { type Dropout, dropoutFeeds, dropoutTokens } from './dropout.ts';
import { addGradients } from './pair-loss.ts';

/** Own tokens in one run; fewer of large models, and of large vocabularies, whose logits and targets are held for all. */
const BLOCK_TOKENS = 2048;

/** A sequence and the positions whose next-token distribution the loss reads. */
export interface TextItem {
  ids: readonly number[];
  rows: readonly number[];
  /** Weight of each row's loss in the sum. */
  share: number;
}

/** Cross entropy against labels, or KL(p || q) from log-probabilities of another model to this one. */
export type TextTarget =
  | { kind: 'crossEntropy'; labels: readonly number[] }
  | { kind: 'kl'; logp: Float32Array };

/** Loss over positions of full sequences, summed with their shares, and its gradient by full backpropagation. */
export class TextLoss {
  private readonly runner: Runner;
  private readonly session: GraphSession;

  private constructor(runner: Runner, session: GraphSession) {
    this.runner = runner;
    this.session = session;
  }

  /** @param wanted what to differentiate by; with `overlay`, the values of the overlay given to `run` */
  static async create(
    runner: Runner,
    kind: TextTarget['kind'],
    wanted: Wanted,
    overlay: Overlay,
  ): Promise<TextLoss> {
    const session = runner.model.session(
      `text ${kind} ${JSON.stringify(wanted)}`,
      overlayShape(overlay),
      (context) => trainingGraph(context, { head: { kind }, wanted, shared: 'none' }),
    );
    return new TextLoss(runner, session);
  }

  /**
   * @param targets one per item, all of the kind that the loss was made for
   * @param dropout by number of the item, where the loss was made with it
   */
  async run(
    items: readonly TextItem[],
    targets: readonly TextTarget[],
    { overlay, dropout, signal }: { overlay: Overlay; dropout?: Dropout | undefined; signal: Signal },
  ): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
    const { model } = this.runner;
    const vocab = model.config.vocabSize;
    const constants = overlayFeeds(overlay);
    const gradients = new Map<string, Float32Array>();
    let loss = 0;
    const tokens = logitRows(trainingRows(BLOCK_TOKENS, model.config), vocab);
    for (const group of groupByLength(
      items.map((item) => item.ids.length),
      dropout ? Math.min(tokens, dropoutTokens(overlay)) : tokens,
    )) {
      await breathe(signal);
      const rows = group.map((i) => ({ ids: items[i]!.ids, offset: 0, cached: 0 }));
      const length = Math.max(...rows.map((r) => r.ids.length));
      const positions = group.flatMap((i, b) => items[i]!.rows.map((t) => b * length + t));
      const share = Float32Array.from(group.flatMap((i) => items[i]!.rows.map(() => items[i]!.share)));
      const target: Feeds = {};
      if (targets[group[0]!]!.kind === 'kl') {
        const logp = new Float32Array(positions.length * vocab);
        let at = 0;
        for (const i of group) {
          const part = (targets[i] as Extract<TextTarget, { kind: 'kl' }>).logp;
          logp.set(part, at);
          at += part.length;
        }
        target.target = f32(logp, positions.length, vocab);
      } else {
        target.labels = i64(
          group.flatMap((i) => (targets[i] as Extract<TextTarget, { kind: 'crossEntropy' }>).labels),
        );
      }
      const out = await this.session.run({
        ...constants,
        ...blockFeeds(model, rows, { length, past: 0, align: 'left' }).feeds,
        ...target,
        ...(dropout && dropoutFeeds(overlay, dropout, group, rows, length)),
        rows: i64(positions),
        share: f32(share, share.length),
      });
      signal.worked?.('train', tokensOf(rows));
      loss += Number(out.loss!.data[0]);
      addGradients(gradients, out);
    }
    return { loss, gradients };
  }
}
