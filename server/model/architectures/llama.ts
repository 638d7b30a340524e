import type { ModelConfig } from '../../checkpoint/config.ts';
import type { Architecture, Projection } from './architecture.ts';

const attentionProjections: readonly Projection[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];

/** Llama 2 / 3.x and everything that ships as model_type `llama` (SmolLM2 among them). */
export function llama(config: ModelConfig): Architecture {
  const block = (layer: number, projection: Projection) =>
    `model.layers.${layer}.${attentionProjections.includes(projection) ? 'self_attn' : 'mlp'}.${projection}`;
  return {
    config,
    weight: (layer, projection) => `${block(layer, projection)}.weight`,
    bias: (layer, projection) => {
      const has = attentionProjections.includes(projection) ? config.attentionBias : config.mlpBias;
      return has ? `${block(layer, projection)}.bias` : null;
    },
    inputNorm: (layer) => `model.layers.${layer}.input_layernorm.weight`,
    mlpNorm: (layer) => `model.layers.${layer}.post_attention_layernorm.weight`,
    embedding: 'model.embed_tokens.weight',
    finalNorm: 'model.norm.weight',
    head: config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight',
    attention: () => 'full',
    slidingWindow: Number.POSITIVE_INFINITY,
    attentionScale: 1 / Math.sqrt(config.headDim),
  };
}
