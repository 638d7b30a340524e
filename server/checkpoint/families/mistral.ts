/** Mistral (transformers/models/mistral): Llama with a window on every layer, or on none. */
import { numberOrNone, readDecoder, refuse, silu, uniformAttention } from './decoder.ts';
import type { Family } from './family.ts';
import { llamaLayout } from './layout.ts';

export const mistral: Family = {
  architecture: 'MistralForCausalLM',
  defaultTokenIds: { bos: 1, eos: 2 },
  layout: llamaLayout,
  read(fields) {
    refuse(fields, 'attention_bias', 'a bias on the projections');
    return {
      ...readDecoder(fields, {
        modelType: 'mistral',
        activation: silu,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 131072,
        tieWordEmbeddings: false,
        headDim: null,
      }),
      ...uniformAttention(fields, numberOrNone(fields, 'sliding_window', 4096, 'positiveInteger')),
    };
  },
};
