import type { NormPlace, Projection } from '../../checkpoint/families/layout.ts';
import type { AttentionKind, ModelConfig, Rope } from '../../checkpoint/model-config.ts';

export type { NormPlace, Projection } from '../../checkpoint/families/layout.ts';
export type { AttentionKind } from '../../checkpoint/model-config.ts';

/** What tells one decoder family from another; decoder.ts builds every graph from it. */
export interface Architecture extends Traits {
  readonly config: ModelConfig;
  /** Tensor name of the matrix [out, in] that holds a projection; a fused one holds several. */
  weight(layer: number, projection: Projection): string;
  /** Rows of that matrix which are the projection's. */
  rows(projection: Projection): { first: number; count: number };
  /** Tensor name of that matrix's bias [out], or null. */
  bias(layer: number, projection: Projection): string | null;
  /** Tensor name of a norm's weight, or null where the family has none there. */
  norm(layer: number, place: NormPlace): string | null;
  /** Width of the norms on queries and keys: each head, or all heads together. */
  readonly qkNorm: 'none' | 'head' | 'full';
  readonly embedding: string;
  readonly finalNorm: string;
  /** Equal to `embedding` where tied. */
  readonly head: string;
  attention(layer: number): AttentionKind;
  rope(kind: AttentionKind): Rope;
  /** Tokens that a sliding layer sees, itself included; Infinity where no layer slides. */
  readonly slidingWindow: number;
  /** Factor on q k^T before softmax. */
  readonly attentionScale: number;
  /** c of c tanh(x / c) on scores and on logits, or null. */
  readonly attentionSoftcap: number | null;
  readonly finalSoftcap: number | null;
  /**
   * Where a mask's gates stand on queries and keys: on the projection's output (arXiv 2512.16914, stage 2), or behind
   * a norm of each head, which undoes any factor before it. A norm of all heads together does not: a head's factor
   * changes its share. Values and neurons have no norm and are gated alike everywhere.
   */
  readonly gatePoint: 'projection' | 'norm';
}

/** What is fixed for a family, whatever its config. */
export interface Traits {
  /** RMSNorms multiply by this plus their weight. */
  readonly normOffset: 0 | 1;
  /** Factor on the embedding rows. */
  readonly embeddingScale: number;
  /** Of the gate projection's output. geluTanh: GELU by its tanh approximation. */
  readonly activation: 'silu' | 'geluTanh';
}
