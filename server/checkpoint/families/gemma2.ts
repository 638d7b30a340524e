/** Gemma 2 (transformers/models/gemma2): norms on both sides of each block, capped scores and logits, every other layer slides. */
import type { Fields } from '../json-fields.ts';
import { type Defaults, geluTanh, numberOrNone, readAttention, readDecoder, refuse } from './decoder.ts';
import type { Architecture, Family } from './family.ts';
import { gemmaLayout } from './layout.ts';

export const gemma2: Family = {
  architecture: 'Gemma2ForCausalLM',
  defaultTokenIds: { bos: 2, eos: 1 },
  layout: gemmaLayout,
  read: (fields) => ({
    ...readDecoder(fields, gemmaDefaults('gemma2', 8192)),
    ...readGemma(fields),
    ...readAttention(fields, (layer) => (layer % 2 === 0 ? 'sliding' : 'full'), readWindow(fields)),
    attentionSoftcap: numberOrNone(fields, 'attn_logit_softcapping', 50, 'positiveNumber'),
    finalSoftcap: numberOrNone(fields, 'final_logit_softcapping', 30, 'positiveNumber'),
  }),
};

export const gemmaDefaults = (modelType: string, maxPositionEmbeddings: number): Defaults => ({
  modelType,
  activation: geluTanh,
  rmsNormEps: 1e-6,
  maxPositionEmbeddings,
  tieWordEmbeddings: true,
  headDim: 256,
});

export const readWindow = (fields: Fields): number | null =>
  numberOrNone(fields, 'sliding_window', 4096, 'positiveInteger');

/** What Gemma 2 and 3 have in common. */
export function readGemma(
  fields: Fields,
): Pick<Architecture, 'queryScalar' | 'attentionBias' | 'outputBias'> {
  refuse(fields, 'use_bidirectional_attention', 'attention to later tokens');
  const attentionBias = fields.boolean('attention_bias', false);
  return {
    queryScalar: fields.positiveNumber('query_pre_attn_scalar', 256),
    attentionBias,
    outputBias: attentionBias,
  };
}
