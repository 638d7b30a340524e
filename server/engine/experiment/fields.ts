/** What every setting is and its range: for the experiment file, its schema and the command line alike. */
import type { Bounds } from './spec.ts';

const weight = { min: 0, max: 1e6 };

export const generateFields = {
  samples: { about: 'sampled traces per problem at most', min: 0, max: 1000 },
  counterparts: {
    about: 'sampled traces of the other outcome that are looked for, and used, per problem',
    min: 1,
    max: 1000,
  },
  temperatureWrong: { about: 'sampling temperature where greedy decoding was wrong', above: 0, max: 10 },
  temperatureRight: { about: 'sampling temperature where greedy decoding was right', above: 0, max: 10 },
  topP: { about: 'sample from the most probable tokens that hold this probability', above: 0, max: 1 },
  topK: { about: 'sample from the K most probable tokens, 0 for all', min: 0 },
  maxTokens: { about: 'longest completion', min: 1, max: 1_000_000 },
  batch: { about: 'sequences decoded together', min: 1, max: 4096 },
} satisfies Record<string, Bounds>;

export const maskFields = {
  budget: { about: 'size of the circuit: a share of all components below 1, or a count', above: 0 },
  lambda: { about: 'weight of the sparsity term (dcm), instead of a budget', ...weight },
  epochs: { about: 'passes over the pairs at most (dcm)', min: 1, max: 100_000 },
  batch: { about: 'pairs per step (dcm)', min: 1, max: 4096 },
  learningRate: { about: 'learning rate of the mask (dcm)', above: 0, max: 10 },
  eps: { about: "weight of the kind's mean Fisher information in the denominator (fisher)", ...weight },
} satisfies Record<string, Bounds>;

export const amplifyFields = {
  learningRate: { about: 'learning rate', above: 0, max: 1000 },
  steps: { about: 'optimiser steps', min: 1, max: 1_000_000 },
  warmUp: { about: 'steps of linear warm-up', min: 0, max: 1_000_000 },
  pairsPerStep: { about: 'pairs drawn per step, 0 for all', min: 0 },
  controlsPerStep: { about: 'control texts drawn per step, 0 for all', min: 0 },
  tracesPerStep: { about: 'correct traces drawn per step, 0 for all', min: 0 },
  klControl: { about: 'weight of the KL divergence from the base model on control text', ...weight },
  klTraces: { about: 'weight of the KL divergence from the base model on its own correct traces', ...weight },
  beta1: { about: "decay rate of Adam's mean", min: 0, max: 0.999999 },
  beta2: { about: "decay rate of Adam's variance", min: 0, max: 0.999999 },
  validateEvery: { about: 'steps between two looks at validation problems and watched suites', min: 1 },
  validateEveryEarly: { about: 'the same within the first 10 steps', min: 1 },
  guardItems: { about: 'items of every watched suite at most, 0 for all', min: 0 },
  validationItems: { about: 'validation problems at most, 0 for all', min: 0 },
} satisfies Record<string, Bounds>;

export const guardFields = {
  maxDrop: { about: 'stop and roll back when a watched suite falls by more percentage points', min: 0 },
  maxKl: {
    about: 'stop and roll back when the mean KL divergence on control text is more nats per token',
    min: 0,
  },
} satisfies Record<string, Bounds>;

export const evaluateFields = {
  maxAnswerTokens: { about: 'longest answer to an open control question, in tokens', min: 1, max: 1_000_000 },
} satisfies Record<string, Bounds>;

export const endpointFields = {
  concurrency: { about: 'requests in flight at most', min: 1, max: 4096 },
  timeout: { about: 'seconds without an answer after which a request is sent again', min: 1, max: 300 },
  retries: { about: 'how often a failed request is sent again', min: 0, max: 1000 },
} satisfies Record<string, Bounds>;

export const loraFields = {
  rank: { about: 'rows of A', min: 1, max: 65_536 },
  alpha: { about: 'the weight is W + (alpha / rank) B A', above: 0, max: 1e6 },
  dropout: { about: 'probability by which a feature is dropped before A in training', min: 0, max: 0.99 },
} satisfies Record<string, Bounds>;

/** Of LoRA and full fine-tuning. */
export const fineTuningFields = {
  learningRate: amplifyFields.learningRate,
  epochs: { about: 'passes over the examples, each in an order of its own', min: 1, max: 100_000 },
  batch: { about: 'examples per step, 0 for all', min: 0 },
  beta1: amplifyFields.beta1,
  beta2: amplifyFields.beta2,
  weightDecay: {
    about: 'decoupled weight decay (AdamW), per unit of learning rate; norm weights and biases are spared',
    min: 0,
    max: 1000,
  },
  warmUp: amplifyFields.warmUp,
  maxGradNorm: { about: 'norm that gradients are scaled down to, 0 for never', min: 0, max: 1e6 },
  validateEvery: { about: 'steps between two looks at validation problems, 0 for three in all', min: 0 },
  patience: { about: 'end after this many looks without a new best one, 0 for never', min: 0 },
} satisfies Record<string, Bounds>;

export const about = {
  preset:
    "this product's recipe, the paper's exact one, or the reference code's with its quirks; single settings override it",
  method: 'how the pivot of two traces is found',
  select: 'how components are chosen',
  ids: 'token ids as the model made them, or those of their decoded text as the reference code has them',
  keep: 'of steps of equal validation accuracy: the last, if no worse than the base model; or the first of any, as the reference code does',
  weights: 'what trained weights are kept in; float16 rounds every step, as the reference code does (sgd)',
  pairing:
    "which tokens a pair's logits are scored on: its own, or every pair's as the reference code does (dcm)",
  kinds: 'kinds of components that compete (fisher)',
  loss: 'loss on the margin logit[desired] - logit[undesired]: its negative, or softplus of its negative',
  optimizer: 'plain gradient descent, or Adam',
  schedule:
    'learning rate after the warm-up: level, a cosine down to 5 %, or one down to 0 after a warm-up from 0 (as transformers has it)',
  fineTuningData:
    "what is learned from: the model's own correct traces by cross entropy, or the run's pairs by the run's own objective",
  neurons: 'weights of a chosen neuron: its up_proj row, or also its gate_proj row and down_proj column',
  endpointUrl:
    'a server with the protocol of OpenAI completions (vLLM, SGLang, llama.cpp) that serves the model: it generates traces and completes branches; without it nothing reaches the network',
  endpointModel: "the model's name on that server",
  endpointKeyEnv: 'environment variable that holds its API key, which no file gets to know',
  lean: 'leave 16-bit weights as they are stored and widen them as they are used: less memory, up to four times the time',
  stop: 'end a completion at these texts, beside the end of its answer sentence',
} as const;

export const SEED = { about: 'seed of everything random', min: 0, max: 4_294_967_295 } satisfies Bounds;
/** A day, as YYYY-MM-DD. */
export const DATE = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
export const INSTANCES = { about: 'instances of every template', min: 1, max: 100_000 } satisfies Bounds;
export const THREADS = { about: 'CPU threads', min: 1, max: 1024 } satisfies Bounds;

/** `auto`, and the execution providers. */
export const DEVICE_WORDS = ['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'] as const;
