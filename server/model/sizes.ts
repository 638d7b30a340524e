/** What is held in memory at a time, in bytes: larger work is cut into parts. Small models never reach these bounds. */
import type { ModelConfig } from '../checkpoint/config.ts';

/** Decoding repacks, and prefill has a session of its own, where weights are at most this many bytes. */
export const SMALL_BYTES = 64 * 2 ** 20;
/** A mask takes hundreds of one-row steps: worth a private copy of the weights up to this size. */
export const REPACK_BYTES = 2 * 2 ** 30;
/** Logits. Vocabularies of 256,000 would else take gigabytes. */
export const LOGIT_BYTES = 256 * 2 ** 20;
/** Keys and values of a batch that is decoded, and of the traces that are walked. */
export const KV_BYTES = 2 * 2 ** 30;
/** What the backward pass reads of the forward pass. */
const ACTIVATION_BYTES = 2 * 2 ** 30;
/** Gradients of whole matrices. */
export const GRADIENT_BYTES = 512 * 2 ** 20;
/** Log-probabilities of the base model on control text and traces, for each of the two. */
export const BASE_BYTES = 512 * 2 ** 20;

/** Full sequences go through in blocks of about this many tokens: enough rows for the matrix kernels, small activations. */
export const BLOCK_TOKENS = 1024;

/** Rows whose logits are within bounds, at most `rows`. */
export function logitRows(rows: number, vocab: number): number {
  return Math.max(1, Math.min(rows, Math.floor(LOGIT_BYTES / (4 * vocab))));
}

/** What the backward pass reads of one row in all layers, bytes, but for its attention. */
export function activationBytes(config: ModelConfig): number {
  const { numLayers, hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config;
  return 4 * numLayers * (8 * hiddenSize + 4 * intermediateSize + 3 * (numHeads + 2 * numKvHeads) * headDim);
}

/** Rows that go forward and backward together, at most `rows`. */
export function trainingRows(rows: number, config: ModelConfig): number {
  return Math.max(1, Math.min(rows, Math.floor(ACTIVATION_BYTES / activationBytes(config))));
}

/** Keys and values of one token in all layers, bytes. */
export function kvBytes({ numLayers, numKvHeads, headDim }: ModelConfig): number {
  return 2 * 4 * numLayers * numKvHeads * headDim;
}

/** Sequences of at most `tokens` tokens that are decoded together where `wanted` are asked for. */
export function decodeBatch(config: ModelConfig, wanted: number, tokens: number): number {
  return Math.max(1, Math.min(wanted, Math.floor(KV_BYTES / (kvBytes(config) * tokens))));
}
