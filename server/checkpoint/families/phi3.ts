/** Phi-3, and Phi-4 of that model_type (transformers/models/phi3): Llama with q, k, v and gate, up fused. */
import { numberOrNone, readDecoder, refuse, silu, uniformAttention } from './decoder.ts';
import type { Family } from './family.ts';
import { llamaLayout } from './layout.ts';

export const phi3: Family = {
  architecture: 'Phi3ForCausalLM',
  defaultTokenIds: { bos: 1, eos: 32000 },
  layout: { ...llamaLayout, fused: true },
  read(fields) {
    refuse(fields, 'attention_bias', 'a bias on the projections');
    const decoder = readDecoder(fields, {
      modelType: 'phi3',
      activation: silu,
      rmsNormEps: 1e-5,
      maxPositionEmbeddings: 4096,
      tieWordEmbeddings: false,
      headDim: null,
    });
    if (decoder.ropeScaling.type !== 'none') {
      // transformers takes "yarn" for longrope here and refuses the others
      throw fields.error(
        fields.has('rope_scaling') ? 'rope_scaling' : 'rope_parameters',
        `"${decoder.ropeScaling.type}" is not supported for this model_type`,
        'Use a model with default RoPE (the 4k variants)',
      );
    }
    return {
      ...decoder,
      ...uniformAttention(fields, numberOrNone(fields, 'sliding_window', null, 'positiveInteger')),
    };
  },
};
