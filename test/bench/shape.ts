/** The model that the benchmark's ratios are measured on: a Llama with random weights. */
import { writeRandomCheckpoint } from './checkpoint.ts';

/** Extents of the model and of the work, so that a smoke test can shrink all of them. */
export interface Shape {
  layers: number;
  hidden: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  ffn: number;
  vocab: number;
  /** Tokens of a mask step's prefix. */
  maskTokens: number;
  /** Tokens of a sequence of the row-gradient step. */
  rowTokens: number;
  /** Tokens of the shared prompt, and of what follows it. */
  sharedTokens: number;
  suffixTokens: number;
  promptTokens: number;
  newTokens: number;
  batch: number;
  decodeBatches: readonly number[];
}

/** 125M parameters, 110M of which a token is multiplied by (the embedding is only looked up). */
export const fullShape: Shape = {
  layers: 12,
  hidden: 768,
  heads: 12,
  kvHeads: 4,
  headDim: 64,
  ffn: 2048,
  vocab: 32000,
  maskTokens: 900,
  rowTokens: 256,
  sharedTokens: 600,
  suffixTokens: 150,
  promptTokens: 64,
  newTokens: 64,
  batch: 8,
  decodeBatches: [1, 8, 32],
};

export const quickShape: Shape = {
  layers: 4,
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffn: 96,
  vocab: 400,
  maskTokens: 40,
  rowTokens: 24,
  sharedTokens: 32,
  suffixTokens: 8,
  promptTokens: 8,
  newTokens: 8,
  batch: 4,
  decodeBatches: [1, 4],
};

/** Write the shape's Llama as a checkpoint of random weights. @returns bytes of its weights (float32) */
export async function writeModel(folder: string, shape: Shape): Promise<number> {
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: shape.vocab,
    hidden_size: shape.hidden,
    intermediate_size: shape.ffn,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: shape.headDim,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    torch_dtype: 'float32',
  };
  return writeRandomCheckpoint(folder, config, 'F32');
}
