import { readTensorF32 } from '../checkpoint/safetensors.ts';
import type { Signal } from '../control.ts';
import type { Trace } from '../data/records.ts';
import { InputError } from '../errors.ts';
import { Runner } from '../generate/forward.ts';
import type { Projection } from '../model/architectures/architecture.ts';
import type { Model } from '../model/model.ts';
import { type LowRank, noOverlay, type Overlay } from '../model/overlay.ts';
import { TextLoss } from '../optimize/text-loss.ts';
import { Rng } from '../random.ts';
import type { Objective, ObjectiveStep } from './amplifier.ts';

/** Low-rank adapters (LoRA, arXiv 2106.09685) or every weight of the model. */
export type BaselineKind = 'lora' | 'full';

/** Fine-tuning on the correct traces, which CCA is compared with (arXiv 2512.16914). There is no dropout. */
export interface BaselineOptions {
  /** Steps are as many as these passes over the traces take. */
  epochs: number;
  /** Traces per step; 0 takes all (full batch). */
  tracesPerStep: number;
  seed: number;
  /** LoRA: rows of A. */
  rank: number;
  /** LoRA: the weight is W + (alpha / rank) B A. */
  alpha: number;
  /** LoRA: the matrices that get an adapter, in every layer. */
  targets: readonly Projection[];
}

const lora: BaselineOptions = {
  epochs: 3,
  tracesPerStep: 8,
  seed: 0,
  rank: 16,
  alpha: 32,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};

/** The paper's: rank 16, alpha 32, learning rates 5e-5 and 1e-5, 2 to 3 epochs. Small models need larger rates. */
export const baselineDefaults: Readonly<Record<BaselineKind, BaselineOptions>> = {
  lora,
  full: { ...lora, epochs: 2 },
};

/**
 * What an Amplifier trains for a baseline, and for how many steps.
 * @param traces of which the correct ones are trained on
 * @returns `overlay` equal to the unchanged model, `objective` (mean cross entropy of completion tokens) and `steps`
 * @throws InputError when no trace is correct
 */
export async function traceSettings(
  kind: BaselineKind,
  model: Model,
  traces: readonly Trace[],
  options: BaselineOptions = baselineDefaults[kind],
): Promise<{ overlay: Overlay; objective: TraceObjective; steps: number }> {
  const correct = traces.filter((trace) => trace.correct && trace.completion_ids.length > 0);
  if (correct.length === 0) {
    throw new InputError(
      'traces',
      `none of ${traces.length} is correct, so there is nothing to fine-tune on`,
      'Generate traces of more problems',
    );
  }
  const overlay = kind === 'lora' ? loraOverlay(model, options) : denseOverlay(model);
  const perStep = options.tracesPerStep === 0 ? correct.length : options.tracesPerStep;
  return {
    overlay,
    objective: await TraceObjective.create(model, overlay, correct, perStep),
    steps: Math.ceil((options.epochs * correct.length) / perStep),
  };
}

/** Adapters as PEFT starts them: A [rank, in] uniform in +-1/sqrt(in) (Kaiming with a = sqrt 5), B [out, rank] zero. */
export function loraOverlay(
  { arch, tensors }: Model,
  { rank, alpha, targets, seed }: Pick<BaselineOptions, 'rank' | 'alpha' | 'targets' | 'seed'>,
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
function denseOverlay({ checkpoint }: Model): Overlay {
  return {
    ...noOverlay,
    dense: new Map(
      [...checkpoint.tensors].map(([name, info]) => [name, { data: readTensorF32(info), dims: info.shape }]),
    ),
  };
}

/** Mean cross entropy of traces' completion tokens, each given the prompt and the tokens before it. */
export class TraceObjective implements Objective {
  private readonly loss: TextLoss;
  private readonly traces: readonly Trace[];
  private readonly tracesPerStep: number;

  private constructor(loss: TextLoss, traces: readonly Trace[], tracesPerStep: number) {
    this.loss = loss;
    this.traces = traces;
    this.tracesPerStep = tracesPerStep;
  }

  /** @param overlay what is trained; its structure is fixed here, its values are given at each step */
  static async create(
    model: Model,
    overlay: Overlay,
    traces: readonly Trace[],
    tracesPerStep: number,
  ): Promise<TraceObjective> {
    const runner = await Runner.create(model);
    const loss = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay' }, overlay);
    return new TraceObjective(loss, traces, tracesPerStep);
  }

  /** Draws anew at each step, without a memory of the steps before: a resumed training repeats what it would have done. */
  async step(overlay: Overlay, rng: Rng, signal: Signal): Promise<ObjectiveStep> {
    const drawn = rng.shuffle([...this.traces]).slice(0, this.tracesPerStep);
    const positions = drawn.reduce((sum, { completion_ids }) => sum + completion_ids.length, 0);
    const { loss, gradients } = await this.loss.run(
      drawn.map(({ prompt_ids, completion_ids }) => ({
        ids: [...prompt_ids, ...completion_ids],
        // Token t is predicted at row t - 1.
        rows: completion_ids.map((_, k) => prompt_ids.length + k - 1),
        share: 1 / positions,
      })),
      drawn.map(({ completion_ids }) => ({ kind: 'crossEntropy', labels: completion_ids })),
      { overlay, signal },
    );
    return { loss, margin: null, klControl: null, klTraces: null, gradients };
  }
}
