/** Llama 2 and 3.x (transformers/models/llama), and everything that ships as model_type `llama` (SmolLM2 among it). */
import { readDecoder, silu, uniformAttention } from './decoder.ts';
import type { Family } from './family.ts';
import { llamaLayout } from './layout.ts';

export const llama: Family = {
  architecture: 'LlamaForCausalLM',
  defaultTokenIds: { bos: 1, eos: 2 },
  layout: llamaLayout,
  read(fields) {
    const attentionBias = fields.boolean('attention_bias', false);
    return {
      ...readDecoder(fields, {
        modelType: 'llama',
        activation: silu,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 2048,
        tieWordEmbeddings: false,
        headDim: null,
      }),
      ...uniformAttention(fields, null),
      attentionBias,
      outputBias: attentionBias,
      mlpBias: fields.boolean('mlp_bias', false),
    };
  },
};
