/** The architecture of a model, as plain numbers. Field names of config.json are given where they differ. */

/** Rotary position embedding variants (transformers' `rope_type`). Frequencies: rope.ts. */
export type RopeScaling =
  | { readonly type: 'none' }
  | { readonly type: 'linear'; readonly factor: number }
  | { readonly type: 'dynamic'; readonly factor: number; readonly originalMax: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPosition: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPosition: number;
      /** Multiplier of cos and sin; null: derived from factor, mscale and mscaleAllDim. */
      readonly attentionFactor: number | null;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly mscale: number | null;
      readonly mscaleAllDim: number | null;
      readonly truncate: boolean;
    };

/** How positions are rotated. */
export interface Rope {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
}

/** How a layer sees its context: all of it, or the last `slidingWindow` tokens (`layer_types`). */
export type AttentionKind = 'full' | 'sliding';

export interface ModelConfig extends Rope {
  /** `model_type`: the key of the family table. */
  readonly modelType: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** RoPE of the sliding layers where it is not that of the others (Gemma 3: `rope_local_base_freq`). */
  readonly localRope: Rope | null;
  readonly maxPositionEmbeddings: number;
  /** Of all layers, or by layer where they differ. */
  readonly attention: AttentionKind | readonly AttentionKind[];
  /** Tokens that a sliding layer sees, itself included; null where no layer slides. */
  readonly slidingWindow: number | null;
  /** Scores are q k^T / sqrt of this (`query_pre_attn_scalar`; the head's width in most families). */
  readonly queryScalar: number;
  /** c: scores become c tanh(score / c) before softmax (`attn_logit_softcapping`). */
  readonly attentionSoftcap: number | null;
  /** c: logits become c tanh(logit / c) (`final_logit_softcapping`). */
  readonly finalSoftcap: number | null;
  readonly tieWordEmbeddings: boolean;
  /** Biases on q_proj, k_proj and v_proj. */
  readonly attentionBias: boolean;
  /** Bias on o_proj. */
  readonly outputBias: boolean;
  /** Biases on gate_proj, up_proj and down_proj. */
  readonly mlpBias: boolean;
  /** The dtype the config announces (`torch_dtype` or `dtype`); the tensors' own dtypes are what counts. */
  readonly torchDtype: string | null;
  readonly bosTokenId: number | null;
  /** generation_config.json's where it gives any, else config.json's, as transformers' generate does. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
}
