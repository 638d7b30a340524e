/** OLMo 2 (transformers/models/olmo2): norms behind each block only, and over all query and all key heads together. */
import { readDecoder, silu, uniformAttention } from './decoder.ts';
import type { Family } from './family.ts';
import { qkNorms } from './layout.ts';

export const olmo2: Family = {
  architecture: 'Olmo2ForCausalLM',
  defaultTokenIds: { bos: null, eos: 50279 },
  layout: {
    norms: {
      ...qkNorms,
      postAttention: 'post_attention_layernorm',
      postMlp: 'post_feedforward_layernorm',
    },
    qkNorm: 'full',
    fused: false,
  },
  read(fields) {
    const attentionBias = fields.boolean('attention_bias', false);
    return {
      ...readDecoder(fields, {
        modelType: 'olmo2',
        activation: silu,
        rmsNormEps: 1e-5,
        maxPositionEmbeddings: 2048,
        tieWordEmbeddings: false,
        headDim: null,
      }),
      ...uniformAttention(fields, null),
      attentionBias,
      outputBias: attentionBias,
    };
  },
};
