/**
 * Rotary position embedding: reading its config fields and computing inverse frequencies, after
 * transformers/modeling_rope_utils.py. transformers computes in float32 wherever a tensor takes part and in
 * float64 elsewhere (a scalar that meets a tensor is rounded to float32 first); so does this, since a rounding here is multiplied by the position.
 */
import type { Fields } from './json-fields.ts';
import type { ModelConfig, Rope, RopeScaling } from './model-config.ts';

const f32 = Math.fround;

/** Config fields by which transformers v4 (`rope_scaling`, `rope_theta`) and v5 (`rope_parameters`) describe RoPE. */
export function readRope(fields: Fields, maxPositionEmbeddings: number): Rope {
  // where both are present transformers takes rope_scaling
  const rope = [fields.object('rope_scaling'), fields.object('rope_parameters')].find(
    (candidate) => candidate && Object.keys(candidate.values).length > 0,
  );
  return readRopeOf(fields, rope, fields.positiveNumber('rope_theta', 10000), maxPositionEmbeddings);
}

/**
 * One RoPE description.
 * @param rope the object that holds it, where there is one
 * @param theta where that object gives none
 */
export function readRopeOf(
  fields: Fields,
  rope: Fields | undefined,
  theta: number,
  maxPositionEmbeddings: number,
): Rope {
  refusePartialRotary(rope?.has('partial_rotary_factor') ? rope : fields);
  if (!rope) return { ropeTheta: theta, ropeScaling: { type: 'none' } };
  return {
    ropeTheta: rope.positiveNumber('rope_theta', theta),
    ropeScaling: readScaling(fields, rope, maxPositionEmbeddings),
  };
}

/** For families whose layers all rotate alike. */
export function refuseRopeByLayerType(fields: Fields): void {
  for (const name of ['rope_parameters', 'rope_scaling']) {
    const rope = fields.object(name);
    const type = ['full_attention', 'sliding_attention'].find((key) => rope?.has(key));
    if (rope && type) {
      throw rope.error(
        type,
        'RoPE by layer type is not supported for this model_type',
        'Use one for all layers',
      );
    }
  }
}

function refusePartialRotary(fields: Fields): void {
  if (fields.positiveNumber('partial_rotary_factor', 1) !== 1) {
    throw fields.error(
      'partial_rotary_factor',
      'rotating only a part of each head is not supported',
      'Use a model that rotates whole heads',
    );
  }
}

function readScaling(fields: Fields, rope: Fields, maxPositionEmbeddings: number): RopeScaling {
  const typeField = rope.has('rope_type') ? 'rope_type' : 'type';
  const type = rope.string(typeField, 'default');
  switch (type) {
    case 'default':
      return { type: 'none' };
    case 'linear':
      return { type, factor: rope.positiveNumber('factor') };
    case 'dynamic':
      return { type, factor: rope.positiveNumber('factor'), originalMax: maxPositionEmbeddings };
    case 'llama3': {
      const lowFreqFactor = rope.positiveNumber('low_freq_factor');
      const highFreqFactor = rope.positiveNumber('high_freq_factor');
      if (highFreqFactor <= lowFreqFactor) {
        throw rope.error(
          'high_freq_factor',
          `${highFreqFactor} is not greater than low_freq_factor ${lowFreqFactor}`,
          'Correct the field',
        );
      }
      const originalMaxPosition = readOriginalMax(fields, rope, maxPositionEmbeddings);
      return {
        type,
        factor: rope.positiveNumber('factor'),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPosition,
      };
    }
    case 'yarn':
      return readYarn(rope, readOriginalMax(fields, rope, maxPositionEmbeddings), maxPositionEmbeddings);
    default:
      throw rope.error(
        typeField,
        `${JSON.stringify(type)} is not supported`,
        'Use a model with default, linear, dynamic, llama3 or yarn',
      );
  }
}

/** A top-level original_max_position_embeddings wins over the one inside, as in transformers. */
function readOriginalMax(fields: Fields, rope: Fields, maxPositionEmbeddings: number): number {
  const name = 'original_max_position_embeddings';
  return fields.has(name) ? fields.positiveInteger(name) : rope.positiveInteger(name, maxPositionEmbeddings);
}

function readYarn(rope: Fields, originalMaxPosition: number, maxPositionEmbeddings: number): RopeScaling {
  const optional = (name: string) => (rope.raw(name) ? rope.positiveNumber(name) : null); // 0 means absent there
  return {
    type: 'yarn',
    factor: rope.positiveNumber('factor', maxPositionEmbeddings / originalMaxPosition),
    originalMaxPosition,
    attentionFactor: rope.has('attention_factor') ? rope.positiveNumber('attention_factor') : null,
    betaFast: optional('beta_fast') ?? 32,
    betaSlow: optional('beta_slow') ?? 1,
    mscale: optional('mscale'),
    mscaleAllDim: optional('mscale_all_dim'),
    truncate: rope.boolean('truncate', true),
  };
}

/**
 * Inverse frequencies of RoPE: the angle of pair i at position p is p * invFreq[i].
 * @param seqLen length of the sequence so far; matters only for dynamic scaling beyond maxPositionEmbeddings
 * @returns invFreq [headDim / 2]; attentionScaling multiplies both cos and sin
 */
export function ropeInverseFrequencies(
  config: Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>,
  seqLen: number,
): { invFreq: Float32Array; attentionScaling: number } {
  const { headDim, ropeTheta, ropeScaling: scaling } = config;
  switch (scaling.type) {
    case 'none':
      return { invFreq: plain(ropeTheta, headDim), attentionScaling: 1 };
    case 'linear':
      return { invFreq: plain(ropeTheta, headDim).map((w) => w / f32(scaling.factor)), attentionScaling: 1 };
    case 'dynamic':
      return { invFreq: plain(dynamicBase(config, scaling, seqLen), headDim), attentionScaling: 1 };
    case 'llama3':
      return { invFreq: plain(ropeTheta, headDim).map((w) => llama3(w, scaling)), attentionScaling: 1 };
    case 'yarn':
      return {
        invFreq: yarn(ropeTheta, headDim, scaling),
        attentionScaling: scaling.attentionFactor ?? yarnAttentionFactor(scaling),
      };
  }
}

/** base ** (2 i / dim), float32. */
function positionFrequencies(base: number, dim: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => f32(base) ** f32((2 * i) / dim));
}

/** 1 / base ** (2 i / dim), float32. */
function plain(base: number, dim: number): Float32Array {
  return positionFrequencies(base, dim).map((frequency) => 1 / frequency);
}

type Scaling<T> = Extract<RopeScaling, { type: T }>;

/** NTK-aware base; at run time transformers has seqLen in a tensor, hence float32. */
function dynamicBase(
  config: Pick<ModelConfig, 'headDim' | 'ropeTheta'>,
  { factor, originalMax }: Scaling<'dynamic'>,
  seqLen: number,
): number {
  if (seqLen <= originalMax) return config.ropeTheta;
  const stretch = f32(f32(f32(factor * seqLen) / originalMax) - (factor - 1));
  return f32(config.ropeTheta * f32(stretch ** (config.headDim / (config.headDim - 2))));
}

function llama3(frequency: number, scaling: Scaling<'llama3'>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPosition } = scaling;
  const wavelength = f32((2 * Math.PI) / frequency);
  if (wavelength < f32(originalMaxPosition / highFreqFactor)) return frequency;
  if (wavelength > f32(originalMaxPosition / lowFreqFactor)) return f32(frequency / f32(factor));
  const smooth = f32(
    f32(f32(originalMaxPosition / wavelength) - lowFreqFactor) / (highFreqFactor - lowFreqFactor),
  );
  return f32(f32(f32(f32(1 - smooth) * frequency) / f32(factor)) + f32(smooth * frequency));
}

function yarn(base: number, dim: number, scaling: Scaling<'yarn'>): Float32Array {
  const { factor, originalMaxPosition, betaFast, betaSlow, truncate } = scaling;
  const correctionDim = (rotations: number) =>
    (dim * Math.log(originalMaxPosition / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  let low = correctionDim(betaFast);
  let high = correctionDim(betaSlow);
  if (truncate) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  low = Math.max(low, 0);
  high = Math.min(high, dim - 1);
  if (low === high) high += 0.001;
  return positionFrequencies(base, dim).map((frequency, i) => {
    const ramp = Math.min(1, Math.max(0, f32(f32(i - f32(low)) / f32(high - low))));
    const extrapolated = f32(1 - ramp);
    const interpolation = f32(1 / f32(f32(factor) * frequency));
    return f32(f32(interpolation * f32(1 - extrapolated)) + f32(f32(1 / frequency) * extrapolated));
  });
}

function yarnAttentionFactor({ factor, mscale, mscaleAllDim }: Scaling<'yarn'>): number {
  const scale = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale && mscaleAllDim ? scale(mscale) / scale(mscaleAllDim) : scale(1);
}
