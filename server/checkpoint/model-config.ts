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

export interface ModelConfig {
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
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  readonly maxPositionEmbeddings: number;
  readonly tieWordEmbeddings: boolean;
  /** Biases on q_proj, k_proj, v_proj and o_proj. */
  readonly attentionBias: boolean;
  /** Biases on gate_proj, up_proj and down_proj. */
  readonly mlpBias: boolean;
  /** The dtype the config announces (`torch_dtype` or `dtype`); the tensors' own dtypes are what counts. */
  readonly torchDtype: string | null;
  readonly bosTokenId: number | null;
  /** generation_config.json's where it gives any, else config.json's, as transformers' generate does. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
}
