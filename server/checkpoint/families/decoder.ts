/** Reading the config fields that all families share, each with its own defaults (those of transformers' config class). */
import type { Fields } from '../json-fields.ts';
import type { AttentionKind } from '../model-config.ts';
import { readRope, refuseRopeByLayerType } from '../rope.ts';
import type { Architecture } from './family.ts';

export interface Defaults {
  readonly modelType: string;
  /** The field that names the MLP's activation, the names the graph computes, and the one taken where it is absent. */
  readonly activation: readonly [field: string, ...names: string[]];
  readonly rmsNormEps: number;
  readonly maxPositionEmbeddings: number;
  readonly tieWordEmbeddings: boolean;
  /** Width of a head where head_dim is absent; null: hidden_size / num_attention_heads. */
  readonly headDim: number | null;
}

export const silu = ['hidden_act', 'silu', 'swish'] as const;
export const geluTanh = ['hidden_activation', 'gelu_pytorch_tanh'] as const;

type Attention = Pick<Architecture, 'attention' | 'slidingWindow'>;

/**
 * A decoder without biases or caps; a family puts its own fields over these.
 * @throws InputError naming the field
 */
export function readDecoder(fields: Fields, defaults: Defaults): Omit<Architecture, keyof Attention> {
  refuseRopeByLayerType(fields);
  return { ...readSizes(fields, defaults), ...readRope(fields, maxPositions(fields, defaults)) };
}

export function maxPositions(fields: Fields, { maxPositionEmbeddings }: Defaults): number {
  return fields.positiveInteger('max_position_embeddings', maxPositionEmbeddings);
}

/** `readDecoder` without RoPE, for a family that keeps several. */
export function readSizes(
  fields: Fields,
  defaults: Defaults,
): Omit<Architecture, keyof Attention | 'ropeTheta' | 'ropeScaling'> {
  checkActivation(fields, defaults.activation);
  const hiddenSize = fields.positiveInteger('hidden_size');
  const numHeads = fields.positiveInteger('num_attention_heads');
  const headDim = readHeadDim(fields, hiddenSize, numHeads, defaults.headDim);
  const numLayers = fields.positiveInteger('num_hidden_layers');
  return {
    modelType: defaults.modelType,
    vocabSize: fields.positiveInteger('vocab_size'),
    hiddenSize,
    intermediateSize: fields.positiveInteger('intermediate_size'),
    numLayers,
    numHeads,
    numKvHeads: readKvHeads(fields, numHeads),
    headDim,
    rmsNormEps: fields.positiveNumber('rms_norm_eps', defaults.rmsNormEps),
    localRope: null,
    maxPositionEmbeddings: maxPositions(fields, defaults),
    queryScalar: headDim,
    attentionSoftcap: null,
    finalSoftcap: null,
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', defaults.tieWordEmbeddings),
    attentionBias: false,
    outputBias: false,
    mlpBias: false,
  };
}

function checkActivation(fields: Fields, [field, ...names]: Defaults['activation']): void {
  const act = fields.string(field, names[0]);
  if (names.includes(act)) return;
  throw fields.error(
    field,
    `${JSON.stringify(act)} is not supported for this model_type`,
    `Use a model with "${names[0]}"`,
  );
}

function readKvHeads(fields: Fields, numHeads: number): number {
  const numKvHeads = fields.positiveInteger('num_key_value_heads', numHeads);
  if (numHeads % numKvHeads === 0) return numKvHeads;
  throw fields.error(
    'num_key_value_heads',
    `${numKvHeads} does not divide num_attention_heads ${numHeads}`,
    'Correct the field',
  );
}

function readHeadDim(fields: Fields, hiddenSize: number, numHeads: number, fallback: number | null): number {
  if (!fields.has('head_dim') && fallback === null && hiddenSize % numHeads !== 0) {
    throw fields.error(
      'hidden_size',
      `${hiddenSize} is not a multiple of num_attention_heads ${numHeads}`,
      'Correct the field or add head_dim',
    );
  }
  const headDim = fields.positiveInteger('head_dim', fallback ?? hiddenSize / numHeads);
  if (headDim % 2 === 0) return headDim;
  throw fields.error('head_dim', `${headDim} is odd, but RoPE rotates pairs`, 'Correct the field');
}

/** Refuses a field that is true in config.json where the family has nothing of the kind. */
export function refuse(fields: Fields, name: string, what: string): void {
  if (fields.boolean(name, false)) {
    throw fields.error(name, `${what} is not supported for this model_type`, 'Use a model without it');
  }
}

const kindNames: Readonly<Record<string, AttentionKind>> = {
  full_attention: 'full',
  sliding_attention: 'sliding',
};

/** No model comes near; a list by layer must not be as long as a wild number in the file says. */
const MOST_LAYERS = 2 ** 16;

/**
 * Attention of the layers: `layer_types` where it is given, else what the family derives.
 * @param derived the kind of all layers, or of a layer by index
 * @param window of the sliding layers; null where config.json gives none
 */
export function readAttention(
  fields: Fields,
  derived: AttentionKind | ((layer: number) => AttentionKind),
  window: number | null,
): Attention {
  const numLayers = fields.positiveInteger('num_hidden_layers');
  const given = fields.raw('layer_types');
  const byLayer = () => {
    if (given !== undefined) return namedKinds(fields, given, numLayers);
    if (typeof derived === 'string') return [derived];
    if (numLayers > MOST_LAYERS) {
      throw fields.error(
        'num_hidden_layers',
        `${numLayers} layers are more than any model has`,
        'Correct the field',
      );
    }
    return Array.from({ length: numLayers }, (_, layer) => derived(layer));
  };
  const kinds = byLayer();
  const [first] = kinds;
  if (kinds.includes('sliding') && window === null) {
    throw fields.error('sliding_window', 'none in force, though some layers slide', 'Set the window');
  }
  return {
    attention: kinds.every((kind) => kind === first) ? first! : kinds,
    slidingWindow: kinds.includes('sliding') ? window : null,
  };
}

/** For families whose layers all see alike: the last `window` tokens, or everything. transformers ignores `layer_types` there. */
export function uniformAttention(fields: Fields, window: number | null): Attention {
  const kind = window === null ? 'full' : 'sliding';
  const read = readAttention(fields, kind, window);
  if (read.attention === kind) return read;
  throw fields.error(
    'layer_types',
    `layers of this model_type are all "${kind}_attention"`,
    'Use a model without it',
  );
}

function namedKinds(fields: Fields, given: unknown, numLayers: number): AttentionKind[] {
  if (!Array.isArray(given) || given.length !== numLayers) {
    throw fields.error('layer_types', `not a list of ${numLayers} names, one a layer`, 'Correct the field');
  }
  return given.map((name: unknown, layer) => {
    const kind = typeof name === 'string' && Object.hasOwn(kindNames, name) ? kindNames[name] : undefined;
    if (kind) return kind;
    throw fields.error(
      `layer_types[${layer}]`,
      `${JSON.stringify(name)} is not supported`,
      `Use a model with ${Object.keys(kindNames).join(' and ')} only`,
    );
  });
}

/** A field whose absence means the family's default and whose null means none. */
export function numberOrNone(
  fields: Fields,
  name: string,
  fallback: number | null,
  read: 'positiveInteger' | 'positiveNumber',
): number | null {
  if (fields.has(name)) return fields[read](name);
  return Object.hasOwn(fields.values, name) ? null : fallback;
}
