import type { BatchSizes } from './corpus.ts';
import { endOfTextId, vocabulary } from './vocabulary.ts';

/** How the demo model is built and trained, in full. Same seed, same engine, same model. */
export const seed = 'demo model 1';

/** config.json of the demo model: 913,152 parameters, 1,600 components. */
export const architecture = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: vocabulary.length,
  hidden_size: 128,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 16,
  intermediate_size: 384,
  hidden_act: 'silu',
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  bos_token_id: null,
  eos_token_id: endOfTextId,
  pad_token_id: endOfTextId,
  torch_dtype: 'float32',
} as const;

/**
 * Deviation of the normal that a matrix of `columns` inputs starts from: 1 / sqrt(columns), and for the two that write
 * to the residual stream (o_proj, down_proj) divided by sqrt(2 * layers), so that the stream starts at unit scale.
 */
export function initialDeviation(columns: number, writesResidual: boolean): number {
  return 1 / Math.sqrt(columns * (writesResidual ? 2 * architecture.num_hidden_layers : 1));
}

/** Deviation of the (tied) embeddings; norms start at 1. */
export const embeddingDeviation = 0.05;

/** AdamW with decoupled decay of matrices and embeddings, not of norms; gradients are clipped to a global norm of 1. */
export const optimizer = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1 } as const;

export interface Stage {
  steps: number;
  sizes: BatchSizes;
  /** Peak learning rate at step `step` (from 0) of the stage. */
  learningRate(step: number): number;
}

const floor = 0.02;
const warmUp = 50;

/** Right solutions: warm-up, then level for 30 % of the steps, then linear decay to 2 %. */
export const stageA: Stage = {
  steps: 2400,
  sizes: { targets: 40, controls: 30, drills: 8, verdicts: 0 },
  learningRate(step) {
    const decayed = Math.max(0, (step / this.steps - 0.3) / 0.7);
    return 3e-3 * Math.min(1, (step + 1) / warmUp) * (floor + (1 - floor) * (1 - decayed));
  },
};

/** True-or-false verdicts, which stay at chance in stage A, with a loss of their own. Warm-up, then linear decay to 2 %. */
export const stageVerdicts: Stage = {
  steps: 400,
  sizes: { targets: 20, controls: 20, drills: 0, verdicts: 40 },
  learningRate(step) {
    return 2e-3 * Math.min(1, (step + 1) / warmUp) * (floor + (1 - floor) * (1 - step / this.steps));
  },
};

/** Solutions that may stop early: a fresh optimiser, warm-up, cosine to 2 %. */
export const stageB: Stage = {
  steps: 350,
  sizes: { targets: 40, controls: 30, drills: 4, verdicts: 10 },
  learningRate(step) {
    const cosine = (1 + Math.cos((Math.PI * step) / this.steps)) / 2;
    return 1.5e-3 * Math.min(1, (step + 1) / warmUp) * (floor + (1 - floor) * cosine);
  },
};
