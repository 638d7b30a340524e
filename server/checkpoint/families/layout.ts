/** Names and shapes of a decoder's tensors: what a checkpoint must hold and what the graphs look up. */
import type { ModelConfig } from '../model-config.ts';

/** The seven matrices of a decoder layer, by their Hugging Face names. */
export const projections = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;
export type Projection = (typeof projections)[number];

/** RMSNorms of a layer: on a block's input, on its output before it joins the residual, on queries and keys. */
export type NormPlace = 'preAttention' | 'postAttention' | 'preMlp' | 'postMlp' | 'query' | 'key';

/** Where the families differ in what a layer holds. */
export interface Layout {
  /** Module names within a layer; a family has no norm in the places left out. */
  readonly norms: Readonly<Partial<Record<NormPlace, string>>>;
  /** Whether queries and keys are normalised, and over which width: each head, or all heads together. */
  readonly qkNorm: 'none' | 'head' | 'full';
  /** q, k, v are the rows of one matrix, in this order, and so are gate and up. */
  readonly fused: boolean;
}

export const llamaLayout: Layout = {
  norms: { preAttention: 'input_layernorm', preMlp: 'post_attention_layernorm' },
  qkNorm: 'none',
  fused: false,
};

/** Gemma 2; Gemma 3 adds norms on queries and keys. */
export const gemmaLayout: Layout = {
  norms: {
    preAttention: 'input_layernorm',
    postAttention: 'post_attention_layernorm',
    preMlp: 'pre_feedforward_layernorm',
    postMlp: 'post_feedforward_layernorm',
  },
  qkNorm: 'none',
  fused: false,
};

export const qkNorms = { query: 'self_attn.q_norm', key: 'self_attn.k_norm' };

export const embeddingName = 'model.embed_tokens.weight';
export const finalNormName = 'model.norm.weight';
export const headName = (config: ModelConfig): string =>
  config.tieWordEmbeddings ? embeddingName : 'lm_head.weight';

const layerName = (layer: number, module: string) => `model.layers.${layer}.${module}`;

const modules: Readonly<Record<Projection, string>> = {
  q_proj: 'self_attn.q_proj',
  k_proj: 'self_attn.k_proj',
  v_proj: 'self_attn.v_proj',
  o_proj: 'self_attn.o_proj',
  gate_proj: 'mlp.gate_proj',
  up_proj: 'mlp.up_proj',
  down_proj: 'mlp.down_proj',
};
const fusedModules: Readonly<Record<Projection, string>> = {
  ...modules,
  q_proj: 'self_attn.qkv_proj',
  k_proj: 'self_attn.qkv_proj',
  v_proj: 'self_attn.qkv_proj',
  gate_proj: 'mlp.gate_up_proj',
  up_proj: 'mlp.gate_up_proj',
};
const fusedGroups: readonly (readonly Projection[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['gate_proj', 'up_proj'],
];

/** Tensor name of the matrix [out, in] that holds a projection's rows. */
export function weightName({ fused }: Layout, layer: number, projection: Projection): string {
  return `${layerName(layer, (fused ? fusedModules : modules)[projection])}.weight`;
}

/** Tensor name of its bias [out], or null. */
export function biasName(
  layout: Layout,
  config: ModelConfig,
  layer: number,
  projection: Projection,
): string | null {
  return hasBias(config, projection)
    ? weightName(layout, layer, projection).replace(/weight$/, 'bias')
    : null;
}

function hasBias(config: ModelConfig, projection: Projection): boolean {
  if (projection === 'o_proj') return config.outputBias;
  return modules[projection].startsWith('self_attn') ? config.attentionBias : config.mlpBias;
}

/** Tensor name of a norm's weight, or null. */
export function normName({ norms }: Layout, layer: number, place: NormPlace): string | null {
  const module = norms[place];
  return module === undefined ? null : `${layerName(layer, module)}.weight`;
}

/** Rows of the matrix of `weightName` that are the projection's. */
export function projectionRows(
  { fused }: Layout,
  config: ModelConfig,
  projection: Projection,
): { first: number; count: number } {
  const group = (fused && fusedGroups.find((g) => g.includes(projection))) || [projection];
  const before = group.slice(0, group.indexOf(projection));
  return {
    first: before.reduce((sum, p) => sum + outputs(config, p), 0),
    count: outputs(config, projection),
  };
}

function outputs(config: ModelConfig, projection: Projection): number {
  switch (projection) {
    case 'q_proj':
      return config.numHeads * config.headDim;
    case 'k_proj':
    case 'v_proj':
      return config.numKvHeads * config.headDim;
    case 'gate_proj':
    case 'up_proj':
      return config.intermediateSize;
    case 'o_proj':
    case 'down_proj':
      return config.hiddenSize;
  }
}

function inputs(config: ModelConfig, projection: Projection): number {
  if (projection === 'o_proj') return config.numHeads * config.headDim;
  return projection === 'down_proj' ? config.intermediateSize : config.hiddenSize;
}

function normWidth(config: ModelConfig, { qkNorm }: Layout, place: NormPlace): number {
  if (place !== 'query' && place !== 'key') return config.hiddenSize;
  if (qkNorm === 'head') return config.headDim;
  return (place === 'query' ? config.numHeads : config.numKvHeads) * config.headDim;
}

/** A layer's parts in the order of the forward pass. */
const order: readonly (NormPlace | Projection)[] = [
  'preAttention',
  'q_proj',
  'k_proj',
  'v_proj',
  'query',
  'key',
  'o_proj',
  'postAttention',
  'preMlp',
  'gate_proj',
  'up_proj',
  'down_proj',
  'postMlp',
];

export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Every tensor of a decoder with this layout, in the order of the forward pass. */
export function decoderTensors(config: ModelConfig, layout: Layout): ExpectedTensor[] {
  const { hiddenSize, vocabSize, numLayers } = config;
  const shapes = new Map<string, number[]>([[embeddingName, [vocabSize, hiddenSize]]]);
  const add = (name: string | null, shape: number[]) => {
    if (name !== null) shapes.set(name, shape);
  };
  for (let layer = 0; layer < numLayers; layer++) {
    for (const part of order) {
      if (!part.endsWith('_proj')) {
        const place = part as NormPlace;
        add(normName(layout, layer, place), [normWidth(config, layout, place)]);
        continue;
      }
      // The last part of a fused matrix ends it, so that setting its shape again leaves the whole.
      const projection = part as Projection;
      const { first, count } = projectionRows(layout, config, projection);
      add(weightName(layout, layer, projection), [first + count, inputs(config, projection)]);
      add(biasName(layout, config, layer, projection), [first + count]);
    }
  }
  shapes.set(finalNormName, [hiddenSize]);
  shapes.set(headName(config), [vocabSize, hiddenSize]);
  return Array.from(shapes, ([name, shape]) => ({ name, shape }));
}
