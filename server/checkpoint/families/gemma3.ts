/**
 * Gemma 3, text only (transformers/models/gemma3, model_type gemma3_text): Gemma 2 with RMSNorm on every query and key
 * head instead of capped scores, five sliding layers to a full one, and another RoPE base on the sliding ones.
 */
import type { Fields } from '../json-fields.ts';
import { readRopeOf } from '../rope.ts';
import { maxPositions, numberOrNone, readAttention, readSizes } from './decoder.ts';
import type { Architecture, Family } from './family.ts';
import { gemmaDefaults, readGemma, readWindow } from './gemma2.ts';
import { gemmaLayout, qkNorms } from './layout.ts';

const defaults = gemmaDefaults('gemma3_text', 131072);

export const gemma3: Family = {
  architecture: 'Gemma3ForCausalLM',
  defaultTokenIds: { bos: 2, eos: 1 },
  layout: { ...gemmaLayout, norms: { ...gemmaLayout.norms, ...qkNorms }, qkNorm: 'head' },
  read(fields) {
    // transformers reads the field and does not apply it
    if (fields.has('attn_logit_softcapping')) {
      throw fields.error(
        'attn_logit_softcapping',
        'capping of attention scores is not supported for this model_type',
        'Use a model without it',
      );
    }
    const pattern = fields.positiveInteger('sliding_window_pattern', 6);
    return {
      ...readSizes(fields, defaults),
      ...readGemma(fields),
      ...readAttention(
        fields,
        (layer) => ((layer + 1) % pattern === 0 ? 'full' : 'sliding'),
        readWindow(fields),
      ),
      ...readRopes(fields),
      finalSoftcap: numberOrNone(fields, 'final_logit_softcapping', null, 'positiveNumber'),
    };
  },
};

/**
 * By layer type (`rope_parameters.full_attention`, `.sliding_attention`), or as older files have it: rope_theta and
 * rope_scaling for the full layers, rope_local_base_freq for the others.
 */
function readRopes(fields: Fields): Pick<Architecture, 'ropeTheta' | 'ropeScaling' | 'localRope'> {
  const nested = fields.object('rope_parameters');
  const longest = maxPositions(fields, defaults);
  const read = (rope: Fields | undefined, thetaField: string, fallback: number) => {
    const theta = fields.positiveNumber(thetaField, fallback);
    const { ropeTheta, ropeScaling } = readRopeOf(fields, rope, theta, longest);
    // The others are computed alike, but only these two have been compared with transformers layer by layer.
    if (ropeScaling.type === 'none' || ropeScaling.type === 'linear') return { ropeTheta, ropeScaling };
    const where = rope ?? fields;
    throw where.error(
      where.has('rope_type') ? 'rope_type' : 'type',
      `"${ropeScaling.type}" is not supported for this model_type`,
      'Use a model with default or linear',
    );
  };
  if (nested && fields.has('rope_scaling')) {
    throw fields.error('rope_scaling', 'given beside rope_parameters', 'Remove one of the two');
  }
  if (nested && !nested.has('full_attention')) {
    throw fields.error('rope_parameters', 'not given by layer type', 'Put it under full_attention');
  }
  return {
    ...read(nested?.object('full_attention') ?? fields.object('rope_scaling'), 'rope_theta', 1e6),
    localRope: read(nested?.object('sliding_attention'), 'rope_local_base_freq', 1e4),
  };
}
