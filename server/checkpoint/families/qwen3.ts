/** Qwen3, dense (transformers/models/qwen3): RMSNorm on every query and key head, no biases as a rule. */
import { readDecoder, silu } from './decoder.ts';
import type { Family } from './family.ts';
import { llamaLayout, qkNorms } from './layout.ts';
import { readQwenAttention } from './qwen2.ts';

export const qwen3: Family = {
  architecture: 'Qwen3ForCausalLM',
  defaultTokenIds: { bos: null, eos: null },
  layout: { ...llamaLayout, norms: { ...llamaLayout.norms, ...qkNorms }, qkNorm: 'head' },
  read(fields) {
    const attentionBias = fields.boolean('attention_bias', false);
    return {
      ...readDecoder(fields, {
        modelType: 'qwen3',
        activation: silu,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 32768,
        tieWordEmbeddings: false,
        headDim: 128,
      }),
      ...readQwenAttention(fields),
      attentionBias,
      outputBias: attentionBias,
    };
  },
};
