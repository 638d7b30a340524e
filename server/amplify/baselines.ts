import { readTensorF32 } from '../checkpoint/safetensors.ts';
import type { Signal } from '../control.ts';
import type { Pair, Trace } from '../data/records.ts';
import { InputError } from '../errors.ts';
import type { Runner } from '../generate/forward.ts';
import type { Projection } from '../model/architectures/architecture.ts';
import type { Model } from '../model/model.ts';
import { type LowRank, noOverlay, type Overlay } from '../model/overlay.ts';
import { seededDropout } from '../optimize/dropout.ts';
import { TextLoss } from '../optimize/text-loss.ts';
import { Rng } from '../random.ts';
import type { Objective, ObjectiveStep, Schedule } from './amplifier.ts';
import { AmplifyObjective, type ObjectiveOptions } from './objective.ts';
import { Passes } from './passes.ts';

/** Fine-tuning that CCA is compared with (arXiv 2512.16914, baselines): AdamW, in whole passes over its examples. */
export interface FineTuningOptions {
  /** The model's own correct traces by cross entropy, or the run's pairs by the run's own objective. */
  data: 'traces' | 'pairs';
  /** Passes over the examples. */
  epochs: number;
  /** Examples per step; 0 takes all (full batch). */
  batch: number;
  learningRate: number;
  beta1: number;
  beta2: number;
  /** Decoupled, per unit of learning rate; norm weights and biases are spared. */
  weightDecay: number;
  /** Steps of warm-up. */
  warmUp: number;
  schedule: Schedule;
  /** Gradients are scaled down to this norm; 0: never. */
  maxGradNorm: number;
  /** Validate after every this many steps; 0: three times in all. */
  validateEvery: number;
  /** End after this many validations without a new best one; 0: never. */
  patience: number;
}

/** Low-rank adapters (LoRA, arXiv 2106.09685). */
export interface LoraOptions extends FineTuningOptions {
  /** Rows of A. */
  rank: number;
  /** The weight is W + (alpha / rank) B A. */
  alpha: number;
  /** Probability by which a feature is dropped before A, in training. */
  dropout: number;
  /** The matrices that get an adapter, in every layer. */
  targets: readonly Projection[];
}

/** What fine-tuning learns from. */
export interface FineTuningData {
  /** Of which the correct ones are trained on. */
  traces: readonly Trace[];
  pairs: readonly Pair[];
  /** Token ids of control texts and the correct traces that the run's own objective stays close on. */
  controls: readonly (readonly number[])[];
  own: readonly Trace[];
}

/**
 * What an Amplifier trains an overlay on for a baseline, and for how many steps.
 * @param runners the base model with the pairs' shared prefix, and without one
 * @param objective the run's own, for `data` pairs
 * @throws InputError when traces are wanted and none is correct
 */
export async function fineTuning(
  overlay: Overlay,
  runners: { shared: Runner; plain: Runner },
  { traces, pairs, controls, own }: FineTuningData,
  {
    data,
    epochs,
    batch,
    dropout = 0,
  }: Pick<FineTuningOptions, 'data' | 'epochs' | 'batch'> & { dropout?: number },
  objective: ObjectiveOptions,
  rng: Rng,
  signal: Signal,
): Promise<{ objective: Objective; steps: number }> {
  if (data === 'pairs') {
    const passes = new Passes(pairs.length, batch, rng.fork('passes'));
    // Dropout is drawn for every sequence: none shares its prefix with another then.
    const runner = dropout > 0 ? runners.plain : runners.shared;
    const ofPairs = await AmplifyObjective.create(
      { runner, plain: runners.plain },
      overlay,
      { pairs, controls, traces: own },
      { ...objective, passes, dropout },
      signal,
    );
    return { objective: ofPairs, steps: epochs * passes.steps };
  }
  const correct = traces.filter((trace) => trace.correct && trace.completion_ids.length > 0);
  if (correct.length === 0) {
    throw new InputError(
      'traces',
      `none of ${traces.length} is correct, so there is nothing to fine-tune on`,
      'Generate traces of more problems',
    );
  }
  const passes = new Passes(correct.length, batch, rng.fork('passes'));
  const ofTraces = await TraceObjective.create(runners.plain, overlay, correct, { passes, dropout });
  return { objective: ofTraces, steps: epochs * passes.steps };
}

/** Adapters as PEFT starts them: A [rank, in] uniform in +-1/sqrt(in) (Kaiming with a = sqrt 5), B [out, rank] zero. */
export function loraOverlay(
  { arch, tensors }: Model,
  { rank, alpha, targets, seed }: Pick<LoraOptions, 'rank' | 'alpha' | 'targets'> & { seed: number },
): Overlay {
  const rng = new Rng(seed).fork('lora');
  const lowRank: LowRank[] = [];
  for (let layer = 0; layer < arch.config.numLayers; layer++) {
    // A fused matrix is several projections and gets one adapter.
    for (const tensor of new Set(targets.map((projection) => arch.weight(layer, projection)))) {
      const [out, width] = tensors(tensor).shape as [number, number];
      const draw = rng.fork(tensor);
      const bound = 1 / Math.sqrt(width);
      lowRank.push({
        tensor,
        a: Float32Array.from({ length: rank * width }, () => bound * (2 * draw.float() - 1)),
        b: new Float32Array(out * rank),
        rank,
        scale: alpha / rank,
      });
    }
  }
  return { ...noOverlay, lowRank };
}

/** Every tensor of the checkpoint, widened to float32: 4 bytes a parameter, before the optimiser's own. */
export function denseOverlay({ checkpoint }: Model): Overlay {
  return {
    ...noOverlay,
    dense: new Map(
      [...checkpoint.tensors].map(([name, info]) => [name, { data: readTensorF32(info), dims: info.shape }]),
    ),
  };
}

/** Mean cross entropy of traces' completion tokens, each given the prompt and the tokens before it. */
class TraceObjective implements Objective {
  readonly stepTokens: number;
  private readonly loss: TextLoss;
  private readonly traces: readonly Trace[];
  private readonly passes: Passes;
  private readonly dropout: number;

  private constructor(loss: TextLoss, traces: readonly Trace[], passes: Passes, dropout: number) {
    this.loss = loss;
    this.traces = traces;
    this.passes = passes;
    this.dropout = dropout;
    const tokens = traces.reduce((sum, t) => sum + t.prompt_ids.length + t.completion_ids.length, 0);
    this.stepTokens = tokens / passes.steps;
  }

  /** @param overlay what is trained; its structure is fixed here, its values are given at each step */
  static async create(
    runner: Runner,
    overlay: Overlay,
    traces: readonly Trace[],
    { passes, dropout }: { passes: Passes; dropout: number },
  ): Promise<TraceObjective> {
    const wanted = { kind: 'overlay', dropout: dropout > 0 } as const;
    const loss = await TextLoss.create(runner, 'crossEntropy', wanted, overlay);
    return new TraceObjective(loss, traces, passes, dropout);
  }

  async step(overlay: Overlay, step: number, rng: Rng, signal: Signal): Promise<ObjectiveStep> {
    const batch = this.passes.items(step).map((i) => this.traces[i]!);
    const positions = batch.reduce((sum, { completion_ids }) => sum + completion_ids.length, 0);
    const { loss, gradients } = await this.loss.run(
      batch.map(({ prompt_ids, completion_ids }) => ({
        ids: [...prompt_ids, ...completion_ids],
        // Token t is predicted at row t - 1.
        rows: completion_ids.map((_, k) => prompt_ids.length + k - 1),
        share: 1 / positions,
      })),
      batch.map(({ completion_ids }) => ({ kind: 'crossEntropy', labels: completion_ids })),
      { overlay, dropout: this.dropout > 0 ? seededDropout(this.dropout, rng) : undefined, signal },
    );
    return { loss, margin: null, klControl: null, klTraces: null, gradients };
  }
}
