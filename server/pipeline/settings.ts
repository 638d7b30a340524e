import type { TrainingOptions } from '../amplify/amplifier.ts';
import type { FineTuningOptions, LoraOptions } from '../amplify/baselines.ts';
import type { ObjectiveOptions } from '../amplify/objective.ts';
import type { SampleOptions, TraceOptions } from '../generate/traces.ts';
import type { DcmOptions } from '../mask/dcm.ts';
import type { FisherOptions } from '../mask/fisher.ts';
import type { NeuronRows } from '../model/components.ts';

export interface LocalizeSettings {
  method: 'branching' | 'prefix';
  /** Sampled traces of the other correctness that are used per problem. */
  counterparts: number;
  /** Token ids as the model made them, or those of their text. */
  ids: 'exact' | 'reencoded';
}

/** How the circuit is chosen. */
export type MaskSettings =
  /** The paper's mask at a given lambda, or at the lambda that a budget needs. */
  | ({ select: 'dcm'; budget: number | null } & DcmOptions)
  /** Gradient over Fisher information, the top `budget` components. */
  | ({ select: 'fisher'; budget: number } & FisherOptions);

export interface AmplifySettings extends ObjectiveOptions, TrainingOptions {
  neurons: NeuronRows;
  /** Items per guard suite at most; 0 takes all. */
  guardItems: number;
  /** Validation problems at most; 0 takes all. */
  validationItems: number;
}

/** How problems are completed (TraceOptions), and control items answered. */
export interface EvaluateSettings extends TraceOptions {
  /** Token limit of an open-recall answer. */
  maxAnswerTokens: number;
}

export type GenerateSettings = Omit<SampleOptions, 'seed'>;

/** Step sizes of what a result is compared with. The published ones belong to models of billions of parameters. */
export interface VariantSettings {
  /** The paper's recipe, whatever the run itself uses. */
  paper: { lambda: number; learningRate: number; steps: number };
  all: { learningRate: number };
  lora: LoraOptions;
  full: FineTuningOptions;
}

/** Everything that a run's result depends on beside the model, the data and the seed. */
export interface Settings {
  generate: GenerateSettings;
  localize: LocalizeSettings;
  mask: MaskSettings;
  amplify: AmplifySettings;
  evaluate: EvaluateSettings;
  variants: VariantSettings;
}

export const generateDefaults: GenerateSettings = {
  samples: 10,
  counterparts: 3,
  temperatureWrong: 0.8,
  temperatureRight: 1.2,
  topP: 1,
  topK: 0,
  maxTokens: 256,
  batch: 64,
  stop: { answer: true, strings: [] },
};

const lora: Pick<LoraOptions, 'rank' | 'alpha' | 'targets'> = {
  rank: 16,
  alpha: 32,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};

/** Fine-tuning beside the default: the optimiser of its own training. */
const fineTuning: Omit<FineTuningOptions, 'learningRate' | 'epochs'> = {
  data: 'traces',
  batch: 8,
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  warmUp: 5,
  schedule: 'cosine',
  maxGradNorm: 0,
  validateEvery: 0,
  patience: 0,
};

/** Rates and epochs as published (arXiv 2512.16914, baselines); all components take the default's own step size. */
const variantDefaults: VariantSettings = {
  paper: { lambda: 0.01, learningRate: 1e-4, steps: 50 },
  all: { learningRate: 5e-3 },
  lora: { ...fineTuning, ...lora, learningRate: 5e-5, epochs: 3, dropout: 0 },
  full: { ...fineTuning, learningRate: 1e-5, epochs: 2 },
};

/** Fine-tuning as the reference code does it, with what its script takes unless told. */
const referenceFineTuning: Omit<FineTuningOptions, 'learningRate' | 'epochs'> = {
  data: 'traces',
  batch: 16,
  beta1: 0.9,
  beta2: 0.999,
  weightDecay: 0.01,
  warmUp: 10,
  schedule: 'cosine-to-zero',
  maxGradNorm: 1,
  validateEvery: 10,
  patience: 3,
};

/** The default: what gave the best held-out result with guarded controls (docs/recipe.md). */
export const defaultSettings: Settings = {
  generate: generateDefaults,
  localize: { method: 'branching', counterparts: 3, ids: 'exact' },
  mask: { select: 'fisher', budget: 0.01, eps: 1e-3, kinds: ['q', 'k', 'v', 'mlp'] },
  amplify: {
    loss: 'softplus',
    klControl: 3,
    klTraces: 3,
    pairsPerStep: 48,
    controlsPerStep: 32,
    tracesPerStep: 24,
    neurons: 'up',
    optimizer: 'adam',
    learningRate: 5e-3,
    beta1: 0.9,
    beta2: 0.99,
    steps: 30,
    warmUp: 5,
    schedule: 'cosine',
    validateEvery: 10,
    validateEveryEarly: 10,
    keep: 'last',
    weights: 'float32',
    guard: { maxDrop: 1, maxKl: 0.05 },
    guardItems: 0,
    validationItems: 0,
  },
  evaluate: { batch: 64, maxTokens: 256, maxAnswerTokens: 32, stop: generateDefaults.stop },
  variants: variantDefaults,
};

/** The paper's recipe (arXiv 2512.16914): DCM mask, raw logit difference, 50 full-batch descent steps, no guard. */
export const paperSettings: Settings = {
  ...defaultSettings,
  generate: { ...generateDefaults, counterparts: 1 },
  localize: { method: 'branching', counterparts: 1, ids: 'exact' },
  mask: {
    select: 'dcm',
    budget: null,
    lambda: 0.01,
    learningRate: 5e-3,
    batch: 8,
    epochs: 50,
    pairing: 'own',
    seed: 0,
  },
  amplify: {
    loss: 'margin',
    klControl: 0,
    klTraces: 0,
    pairsPerStep: 0,
    controlsPerStep: 0,
    tracesPerStep: 0,
    neurons: 'up',
    optimizer: 'sgd',
    learningRate: 1e-4,
    beta1: 0.9,
    beta2: 0.999,
    steps: 50,
    warmUp: 0,
    schedule: 'constant',
    validateEvery: 5,
    validateEveryEarly: 2,
    keep: 'last',
    weights: 'float32',
    guard: { maxDrop: Number.MAX_VALUE, maxKl: Number.MAX_VALUE },
    guardItems: 0,
    validationItems: 0,
  },
  variants: {
    paper: variantDefaults.paper,
    all: { learningRate: 1e-4 },
    lora: { ...referenceFineTuning, ...lora, learningRate: 5e-5, epochs: 3, dropout: 0.1 },
    full: { ...referenceFineTuning, learningRate: 1e-5, epochs: 2 },
  },
};

/**
 * The recipe of the reference code to the letter: the paper's, with what the code does otherwise (pipeline/quirks.ts).
 * Fine-tuning as its experiment files for the smallest model have it.
 */
export const referenceSettings: Settings = {
  ...paperSettings,
  generate: { ...paperSettings.generate, temperatureWrong: 1, temperatureRight: 1, topK: 50 },
  localize: { ...paperSettings.localize, ids: 'reencoded' },
  mask: { ...paperSettings.mask, pairing: 'reference' } as MaskSettings,
  amplify: { ...paperSettings.amplify, keep: 'first', weights: 'float16' },
  variants: {
    ...paperSettings.variants,
    lora: { ...paperSettings.variants.lora, learningRate: 1e-5, epochs: 2, batch: 32, warmUp: 5 },
    full: { ...paperSettings.variants.full, epochs: 10, warmUp: 15 },
  },
};

/** A budget as a count: fractions below 1 are of all components. */
export function budgetCount(budget: number, components: number): number {
  return budget < 1 ? Math.max(1, Math.floor(budget * components)) : Math.floor(budget);
}
