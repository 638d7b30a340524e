import type { Signal } from '../control.ts';
import type { Pair, Trace } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { logProbability } from '../generate/likelihood.ts';
import type { Objective } from '../model/graphs.ts';
import type { Overlay } from '../model/overlay.ts';
import { BASE_BYTES } from '../model/sizes.ts';
import { type Dropout, seededDropout } from '../optimize/dropout.ts';
import { PairLoss, pairTokens } from '../optimize/pair-loss.ts';
import { type TextItem, TextLoss } from '../optimize/text-loss.ts';
import type { Rng } from '../random.ts';
import type { ObjectiveStep, Objective as TrainingObjective } from './amplifier.ts';
import type { Passes } from './passes.ts';

export interface ObjectiveOptions {
  /** How a pair's margin becomes a loss: the paper's -margin, or softplus(-margin) = -log sigmoid(margin). */
  loss: Objective;
  /** Weight of KL(base || model) on control text, mean over positions. 0: none. */
  klControl: number;
  /** Weight of KL(base || model) on the completions of the model's own correct traces. 0: none. */
  klTraces: number;
  /** Pairs, control texts and traces drawn per step; 0 takes all (full batch). */
  pairsPerStep: number;
  controlsPerStep: number;
  tracesPerStep: number;
  /** Which pairs a step has, in place of `pairsPerStep` drawn anew. */
  passes?: Passes;
  /** Probability by which a feature is dropped before a low-rank update; then no prefix may be shared. 0 by default. */
  dropout?: number;
}

/** A text's positions and the base model's log-probabilities there [rows, V]. */
interface BaseText extends TextItem {
  logp: Float32Array;
}

/** What a step is drawn from. */
export interface ObjectiveData {
  pairs: readonly Pair[];
  /** Token ids of plain control texts. */
  controls: readonly (readonly number[])[];
  traces: readonly Trace[];
}

/**
 * Tokens that an objective takes through the model: `base` forward, once, for what it stays close to; `step` forward and
 * backward, on average.
 */
export function objectiveTokens(
  runner: Runner,
  { pairs, controls, traces }: ObjectiveData,
  {
    klControl,
    klTraces,
    pairsPerStep,
    controlsPerStep,
    tracesPerStep,
    passes,
  }: Omit<ObjectiveOptions, 'loss'>,
): { base: number; step: number } {
  const drawn = (count: number, of: number) => (count === 0 ? of : Math.min(count, of));
  const texts = [
    { lengths: klControl > 0 ? controls.map((ids) => ids.length) : [], perStep: controlsPerStep },
    { lengths: klTraces > 0 ? traces.map(lengthOf) : [], perStep: tracesPerStep },
  ].filter(({ lengths }) => lengths.length > 0);
  const sums = texts.map(({ lengths }) => lengths.reduce((sum, length) => sum + length, 0));
  const ofTexts = texts.map(
    ({ lengths, perStep }, i) => (sums[i]! * drawn(perStep, lengths.length)) / lengths.length,
  );
  const ofPairs = passes ? pairs.length / passes.steps : drawn(pairsPerStep, pairs.length);
  const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  return { base: total(sums), step: pairTokens(runner, pairs, ofPairs) + total(ofTexts) };
}

const lengthOf = ({ prompt_ids, completion_ids }: Trace): number => prompt_ids.length + completion_ids.length;

/** The loss of stage 3: pairs, plus staying close to the base model on control text and on its own right traces. */
export class AmplifyObjective implements TrainingObjective {
  readonly stepTokens: number;
  private readonly options: ObjectiveOptions;
  private readonly pairs: readonly Pair[];
  private readonly pairLoss: PairLoss;
  private readonly kl: TextLoss | null;
  private readonly controls: readonly BaseText[];
  private readonly traces: readonly BaseText[];

  private constructor(
    options: ObjectiveOptions,
    pairs: readonly Pair[],
    pairLoss: PairLoss,
    kl: TextLoss | null,
    controls: readonly BaseText[],
    traces: readonly BaseText[],
    stepTokens: number,
  ) {
    this.stepTokens = stepTokens;
    this.options = options;
    this.pairs = pairs;
    this.pairLoss = pairLoss;
    this.kl = kl;
    this.controls = controls;
    this.traces = traces;
  }

  /**
   * @param runner the base model, with the pairs' shared prefix
   * @param plain the base model without a shared prefix, for texts
   * @param overlay what is trained; its structure is fixed here, its values are given at each step
   */
  static async create(
    { runner, plain }: { runner: Runner; plain: Runner },
    overlay: Overlay,
    data: ObjectiveData,
    options: ObjectiveOptions,
    signal: Signal,
  ): Promise<AmplifyObjective> {
    const { pairs, controls, traces } = data;
    const wanted = { kind: 'overlay', dropout: !!options.dropout } as const;
    const pairLoss = await PairLoss.create(runner, options.loss, wanted, overlay);
    const texts = options.klControl > 0 ? controls : [];
    const own = options.klTraces > 0 ? traces : [];
    const kl = texts.length + own.length > 0 ? await TextLoss.create(plain, 'kl', wanted, overlay) : null;
    const whole = texts.map((ids) => ({ ids, rows: ids.map((_, t) => t) }));
    const completions = own.map(({ prompt_ids, completion_ids }) => ({
      ids: [...prompt_ids, ...completion_ids],
      rows: completion_ids.map((_, k) => prompt_ids.length + k - 1),
    }));
    return new AmplifyObjective(
      options,
      pairs,
      pairLoss,
      kl,
      await withBase(plain, whole, signal),
      await withBase(plain, completions, signal),
      objectiveTokens(runner, data, options).step,
    );
  }

  /** Loss and gradient at the overlay's values, on a batch drawn with `rng` (pairs: or that of `passes`). */
  async step(overlay: Overlay, step: number, rng: Rng, signal: Signal): Promise<ObjectiveStep> {
    const { options } = this;
    const pairs = options.passes
      ? options.passes.items(step).map((i) => this.pairs[i]!)
      : draw(this.pairs, options.pairsPerStep, rng.fork('pairs'));
    const dropout = (part: string) =>
      options.dropout ? seededDropout(options.dropout, rng.fork(`dropout ${part}`)) : undefined;
    const { loss, margins, gradients } = await this.pairLoss.run(pairs, {
      overlay,
      dropout: dropout('pairs'),
      signal,
    });
    const result: ObjectiveStep = {
      loss,
      margin: margins.reduce((sum, m) => sum + m, 0) / margins.length,
      klControl: null,
      klTraces: null,
      gradients,
    };
    result.klControl = await this.addKl(
      result,
      options.klControl,
      draw(this.controls, options.controlsPerStep, rng.fork('controls')),
      { overlay, dropout: dropout('controls'), signal },
    );
    result.klTraces = await this.addKl(
      result,
      options.klTraces,
      draw(this.traces, options.tracesPerStep, rng.fork('traces')),
      { overlay, dropout: dropout('traces'), signal },
    );
    return result;
  }

  private async addKl(
    into: ObjectiveStep,
    weight: number,
    texts: readonly BaseText[],
    at: { overlay: Overlay; dropout: Dropout | undefined; signal: Signal },
  ): Promise<number | null> {
    if (!this.kl || weight === 0 || texts.length === 0) return null;
    const positions = texts.reduce((sum, t) => sum + t.rows.length, 0);
    const { loss, gradients } = await this.kl.run(
      texts.map((t) => ({ ...t, share: weight / positions })),
      texts.map(({ logp }) => ({ kind: 'kl', logp })),
      at,
    );
    into.loss += loss;
    for (const [name, values] of gradients) {
      const sum = into.gradients.get(name);
      if (!sum) into.gradients.set(name, values);
      else for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
    }
    return loss / weight;
  }
}

/** `count` items without replacement; all of them for 0 or where there are no more. */
function draw<T>(items: readonly T[], count: number, rng: Rng): readonly T[] {
  if (count === 0 || count >= items.length) return items;
  const order = items.map((_, i) => i);
  rng.shuffle(order);
  return order.slice(0, count).map((i) => items[i]!);
}

async function withBase(
  plain: Runner,
  texts: readonly { ids: readonly number[]; rows: readonly number[] }[],
  signal: Signal,
): Promise<BaseText[]> {
  const vocab = plain.model.config.vocabSize;
  let bytes = 0;
  // The rest are not drawn.
  const kept = texts.filter(({ rows }) => {
    bytes += rows.length * vocab * 4;
    return bytes <= BASE_BYTES;
  });
  const out = new Array<BaseText>(kept.length);
  await plain.forward(kept, {
    signal,
    onDone(i, { logits }) {
      const logp = new Float32Array(logits.length);
      for (let row = 0; row * vocab < logits.length; row++) {
        const shift = logProbability(logits, row, 0, vocab) - logits[row * vocab]!;
        for (let v = row * vocab; v < (row + 1) * vocab; v++) logp[v] = logits[v]! + shift;
      }
      out[i] = { ids: kept[i]!.ids, rows: kept[i]!.rows, share: 0, logp };
    },
  });
  return out;
}
