import type { ModelConfig } from '../../checkpoint/config.ts';

/** The seven matrices of a decoder layer, by their Hugging Face names. */
export type Projection = 'q_proj' | 'k_proj' | 'v_proj' | 'o_proj' | 'gate_proj' | 'up_proj' | 'down_proj';

/** How a layer sees its context: all of it, or the last `slidingWindow` tokens. */
export type AttentionKind = 'full' | 'sliding';

/** What tells one decoder family from another; decoder.ts builds every graph from it. */
export interface Architecture {
  readonly config: ModelConfig;
  /** Tensor name of a projection's weight [out, in]. */
  weight(layer: number, projection: Projection): string;
  /** Tensor name of a projection's bias [out], or null. */
  bias(layer: number, projection: Projection): string | null;
  /** Tensor names [hidden] of the norms before attention and before the MLP. */
  inputNorm(layer: number): string;
  mlpNorm(layer: number): string;
  readonly embedding: string;
  readonly finalNorm: string;
  /** Equal to `embedding` where tied. */
  readonly head: string;
  attention(layer: number): AttentionKind;
  /** Tokens that a sliding layer sees, itself included; Infinity where no layer slides. */
  readonly slidingWindow: number;
  /** Factor on q k^T before softmax. */
  readonly attentionScale: number;
}
