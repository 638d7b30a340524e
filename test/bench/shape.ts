/** The model that the benchmark runs on: a Llama with random weights, written to a folder as a checkpoint. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectedTensors, readConfig } from '../../server/checkpoint/config.ts';
import { writeSafetensors } from '../../server/checkpoint/safetensors-write.ts';

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

/** Uniform in (-1, 1); a linear congruential generator, since the weights' quality does not matter and their number does. */
function uniform(count: number, seed: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  let state = Math.imul(seed, 2654435761) >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = scale * (state / 2 ** 31 - 1);
  }
  return values;
}

/**
 * Write a random checkpoint: matrices of deviation 1/sqrt(columns), embeddings of deviation 0.05, norms 1.
 * @returns bytes of its weights (float32)
 */
export function writeModel(folder: string, shape: Shape): number {
  mkdirSync(folder, { recursive: true });
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
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  // No text is encoded: all work is given as ids.
  const tokenizer = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, added_tokens: [] };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const tensors = expectedTensors(readConfig(folder)).map(({ name, shape: dims }, i) => {
    const count = dims.reduce((a, b) => a * b, 1);
    const isEmbedding = name.includes('embed') || name.includes('lm_head');
    const deviation = isEmbedding ? 0.05 : 1 / Math.sqrt(dims[1] ?? 1);
    const values =
      dims.length === 1 ? new Float32Array(count).fill(1) : uniform(count, i + 1, deviation * Math.sqrt(3));
    return { name, dtype: 'F32' as const, shape: dims, data: new Uint8Array(values.buffer) };
  });
  writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}
