import type { Signal } from '../control.ts';
import type { Overlay } from '../model/overlay.ts';
import { overlayParameters, weightDecayed } from '../model/overlay.ts';
import { Adam } from '../optimize/adam.ts';
import { bytesOf, packState, setBytes, unpackState } from '../optimize/state.ts';
import type { Rng } from '../random.ts';
import { breached, type GuardOptions, type Observation } from './guard.ts';
import { halfStep } from './half.ts';

/**
 * After the warm-up: level, a cosine down to 5 % of the learning rate, or a cosine down to 0. The last is
 * `get_cosine_schedule_with_warmup` of transformers, whose warm-up starts at 0: the first step changes nothing.
 */
export type Schedule = 'constant' | 'cosine' | 'cosine-to-zero';

export interface TrainingOptions {
  optimizer: 'sgd' | 'adam';
  learningRate: number;
  /** Adam's decay rates. */
  beta1: number;
  beta2: number;
  /** Decoupled weight decay of Adam (AdamW) per unit of learning rate; norm weights and biases are spared. None by default. */
  weightDecay?: number;
  /** Gradients are scaled down to this norm, taken over all of them; 0, the default: never. */
  maxGradNorm?: number;
  steps: number;
  /** Steps of linear warm-up. */
  warmUp: number;
  schedule: Schedule;
  /** Validate after every this many steps (and after the last). */
  validateEvery: number;
  /** Validate more often within the first 10 steps: after every this many. */
  validateEveryEarly: number;
  /** End after this many validations without a new best one; 0, the default: never. */
  patience?: number;
  /** Of steps with equal validation accuracy: the last, if it is no worse than the base model; or the first of any. */
  keep: 'last' | 'first';
  /** What the trained weights are kept in; float16 rounds every step of gradient descent. */
  weights: 'float32' | 'float16';
  guard: GuardOptions;
}

/** Loss and gradient by the overlay's values on the batch of a step, which depends on `step` and `rng` alone. */
export interface Objective {
  /** Tokens that a step takes forward and backward, on average. */
  readonly stepTokens: number;
  /**
   * @param step from 0
   * @param rng the step's own
   */
  step(overlay: Overlay, step: number, rng: Rng, signal: Signal): Promise<ObjectiveStep>;
}

export interface ObjectiveStep {
  loss: number;
  margin: number | null;
  klControl: number | null;
  klTraces: number | null;
  gradients: Map<string, Float32Array>;
}

/** One step's figures; what is null was not measured in that step. */
export interface StepReport {
  step: number;
  loss: number;
  margin: number | null;
  klControl: number | null;
  klTraces: number | null;
  observation: Observation | null;
  /** The limit that was passed, in words; training ends there and the best step is kept. */
  breach: string | null;
  best: number;
}

/** Whether the weights are validated after a step, from 1. */
export function isValidated(
  step: number,
  {
    validateEvery,
    validateEveryEarly,
    steps,
  }: Pick<TrainingOptions, 'validateEvery' | 'validateEveryEarly' | 'steps'>,
): boolean {
  return step === steps || step % validateEvery === 0 || (step <= 10 && step % validateEveryEarly === 0);
}

/** Gradient descent on an overlay's values under a guard, one step at a time, with a state that can be saved. */
export class Amplifier {
  readonly overlay: Overlay;
  private readonly options: TrainingOptions;
  private readonly objective: Objective;
  private readonly observe: (overlay: Overlay) => Promise<Observation>;
  private readonly rng: Rng;
  private readonly weights: readonly Float32Array[] | null;
  private readonly names: string[];
  private readonly values: Float32Array[];
  private readonly adam: Adam;
  private readonly decayed: readonly boolean[];
  private step = 0;
  /** Validations since the last new best one. */
  private stale = 0;
  private base: Observation | null = null;
  private best: { step: number; accuracy: number; values: Float32Array[] };
  private ended = false;
  private asked = false;

  /**
   * @param overlay what is trained, in place; its values at the start are step 0
   * @param observe validation accuracy and guard suites of the model with an overlay
   * @param base the weights that the overlay's values are added to, in its order: for `weights` float16
   */
  constructor(
    overlay: Overlay,
    objective: Objective,
    observe: (overlay: Overlay) => Promise<Observation>,
    options: TrainingOptions,
    rng: Rng,
    base: readonly Float32Array[] | null = null,
  ) {
    this.overlay = overlay;
    this.objective = objective;
    this.observe = observe;
    this.options = options;
    this.rng = rng;
    this.weights = base;
    const parameters = overlayParameters(overlay);
    this.names = [...parameters.keys()];
    this.values = [...parameters.values()];
    this.adam = new Adam(
      this.values.map((v) => v.length),
      { beta1: options.beta1, beta2: options.beta2, weightDecay: options.weightDecay ?? 0 },
    );
    this.decayed = weightDecayed(overlay);
    this.best = { step: 0, accuracy: -1, values: this.values.map((v) => v.slice()) };
  }

  /** All steps done, or the guard, the patience or the user ended it. */
  get done(): boolean {
    return this.ended || this.step >= this.options.steps;
  }

  /** It ended before its last step because it was asked to. */
  get endedAsAsked(): boolean {
    return this.asked;
  }

  /** Steps that training takes unless the guard ends it. */
  get steps(): number {
    return this.options.steps;
  }

  /** Tokens that a step takes forward and backward, on average. */
  get stepTokens(): number {
    return this.objective.stepTokens;
  }

  /** Whether the weights are validated after a step, from 1. */
  validates(step: number): boolean {
    return isValidated(step, this.options);
  }

  /** Training is to end once validations no longer improve, whatever steps are left. */
  get hasPatience(): boolean {
    return !!this.options.patience;
  }

  /** Steps taken so far. */
  get taken(): number {
    return this.step;
  }

  /** Bytes that `save` takes, but for its head. */
  get stateBytes(): number {
    return 4 * 4 * this.values.reduce((sum, v) => sum + v.length, 0);
  }

  /** Observe the untrained model, for `setBase`. */
  observeBase(): Promise<Observation> {
    return this.observe(this.overlay);
  }

  /** What the guard compares with, and what a step must reach to be kept; to be called before the first step. */
  setBase(base: Observation): void {
    this.base = base;
    // The reference code takes the best of the steps, be it worse than no step at all.
    this.best.accuracy = this.options.keep === 'first' ? -1 : base.accuracy;
  }

  /**
   * Takes one step.
   * @param askedToEnd whether training is to end with this step; it is then validated as any last step is
   */
  async advance(signal: Signal, askedToEnd: () => boolean = () => false): Promise<StepReport> {
    const { options } = this;
    const result = await this.objective.step(
      this.overlay,
      this.step,
      this.rng.fork(`step ${this.step}`),
      signal,
    );
    const gradients = this.names.map(
      (name, i) => result.gradients.get(name) ?? new Float32Array(this.values[i]!.length),
    );
    if (options.maxGradNorm) clip(gradients, options.maxGradNorm);
    const rate = this.learningRate(this.step);
    if (options.optimizer === 'adam') this.adam.update(this.values, gradients, rate, (t) => this.decayed[t]!);
    else if (options.weights === 'float16') {
      for (const [t, v] of this.values.entries()) halfStep(v, this.weights![t]!, gradients[t]!, rate);
    } else {
      this.values.forEach((v, t) => {
        for (let i = 0; i < v.length; i++) v[i] = v[i]! - rate * gradients[t]![i]!;
      });
    }
    this.step++;
    const finite = Number.isFinite(result.loss) && this.values.every((v) => v.every(Number.isFinite));
    let observation: Observation | null = null;
    let breach = finite ? null : 'the loss is no longer a finite number';
    if (finite && (this.validates(this.step) || askedToEnd())) {
      observation = await this.observe(this.overlay);
      breach = breached(this.base!, observation, result.klControl, options.guard);
      // A tie goes to the later step: its margin is larger at the same accuracy.
      const better =
        options.keep === 'first'
          ? observation.accuracy > this.best.accuracy
          : observation.accuracy >= this.best.accuracy;
      this.stale = better ? 0 : this.stale + 1;
      if (!breach && better) {
        this.best = {
          step: this.step,
          accuracy: observation.accuracy,
          values: this.values.map((v) => v.slice()),
        };
      }
    }
    this.ended = breach !== null || (!!options.patience && this.stale >= options.patience);
    // Not after a step that nobody has judged: the next one is validated and may be the best.
    this.asked = !this.done && observation !== null && askedToEnd();
    this.ended ||= this.asked;
    const { loss, margin, klControl, klTraces } = result;
    return { step: this.step, loss, margin, klControl, klTraces, observation, breach, best: this.best.step };
  }

  /** Put the best step's values into the overlay. */
  rollBack(): number {
    this.values.forEach((v, i) => {
      v.set(this.best.values[i]!);
    });
    return this.best.step;
  }

  private learningRate(step: number): number {
    const { learningRate, warmUp, schedule, steps } = this.options;
    if (schedule === 'cosine-to-zero' && step < warmUp) return (learningRate * step) / warmUp;
    const warm = warmUp > 0 ? Math.min(1, (step + 1) / warmUp) : 1;
    if (schedule === 'constant') return learningRate * warm;
    const progress = Math.max(0, step - warmUp) / Math.max(1, steps - warmUp);
    const floor = schedule === 'cosine' ? 0.05 : 0;
    return (
      learningRate * warm * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))))
    );
  }

  /** Everything that the next step depends on. */
  save(): Uint8Array {
    const { step, ended, asked, stale, base, best } = this;
    const head = { step, ended, asked, stale, base, best: { step: best.step, accuracy: best.accuracy } };
    return packState(head, [...[...this.values, ...best.values].map(bytesOf), this.adam.save()]);
  }

  restore(bytes: Uint8Array): void {
    const { head, parts } = unpackState<SavedTraining>(bytes);
    const { step, ended, asked, stale, base, best } = head;
    Object.assign(this, { step, ended, asked, stale, base });
    this.best = { ...best, values: this.values.map((v) => new Float32Array(v.length)) };
    [...this.values, ...this.best.values].forEach((into, i) => {
      setBytes(into, parts[i]!);
    });
    this.adam.restore(parts.at(-1)!);
  }
}

interface SavedTraining {
  step: number;
  ended: boolean;
  asked: boolean;
  stale: number;
  base: Observation | null;
  best: { step: number; accuracy: number };
}

/** Scales gradients so that their norm, taken over all of them, is at most `norm` (torch's clip_grad_norm_). */
function clip(gradients: readonly Float32Array[], norm: number): void {
  let squares = 0;
  for (const g of gradients) for (let i = 0; i < g.length; i++) squares += g[i]! * g[i]!;
  const factor = norm / (Math.sqrt(squares) + 1e-6);
  if (factor >= 1) return;
  for (const g of gradients) for (let i = 0; i < g.length; i++) g[i] = g[i]! * factor;
}
