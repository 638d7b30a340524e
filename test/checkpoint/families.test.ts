/** config.json of the decoder families: both spellings, defaults, and what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../server/checkpoint/config.ts';
import { InputError } from '../../server/errors.ts';

type Json = Record<string, unknown>;
type Name = 'mistral' | 'qwen2' | 'qwen3' | 'gemma2' | 'gemma3' | 'olmo2' | 'phi3';

/** config.json as published models have it (transformers 4). */
const published = (name: Name): Json =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}/config.json`, import.meta.url), 'utf8'));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'families-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** `undefined` leaves a field out. */
function read(name: Name, changes: Json = {}) {
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...published(name), ...changes }));
  return readConfig(folder);
}

const [full, sliding] = ['full_attention', 'sliding_attention'];

describe('transformers 5 writes the same config with other fields', () => {
  const plain = (theta: number) => ({
    rope_theta: undefined,
    rope_scaling: undefined,
    torch_dtype: undefined,
    dtype: 'float32',
    rope_parameters: { rope_type: 'default', rope_theta: theta },
  });
  const cases: [Name, Json][] = [
    ['mistral', plain(5000)],
    ['qwen2', { ...plain(1e6), layer_types: [full, sliding, sliding] }],
    ['qwen3', { ...plain(1e6), dtype: 'bfloat16', layer_types: [full, full] }],
    [
      'gemma2',
      {
        ...plain(10000),
        layer_types: [sliding, full, sliding],
        tie_word_embeddings: true,
        use_bidirectional_attention: null,
      },
    ],
    [
      'gemma3',
      {
        ...plain(0),
        rope_local_base_freq: undefined,
        sliding_window_pattern: undefined,
        attn_logit_softcapping: null,
        layer_types: [sliding, sliding, sliding, sliding, sliding, full],
        rope_parameters: {
          full_attention: { rope_type: 'linear', rope_theta: 2000, factor: 4 },
          sliding_attention: { rope_type: 'default', rope_theta: 100 },
        },
      },
    ],
    ['olmo2', plain(500000)],
    [
      'phi3',
      { ...plain(10000), rope_parameters: { ...plain(10000).rope_parameters, partial_rotary_factor: 1 } },
    ],
  ];
  test.each(cases)('%s', (name, changes) => {
    expect(read(name, changes)).toEqual(read(name));
  });
});

describe('defaults are those of transformers', () => {
  const optional = [
    'head_dim',
    'hidden_act',
    'hidden_activation',
    'rms_norm_eps',
    'rope_theta',
    'rope_scaling',
    'rope_local_base_freq',
    'max_position_embeddings',
    'sliding_window',
    'sliding_window_pattern',
    'query_pre_attn_scalar',
    'attn_logit_softcapping',
    'final_logit_softcapping',
    'tie_word_embeddings',
    'attention_bias',
    'bos_token_id',
    'eos_token_id',
    'pad_token_id',
    'use_sliding_window',
  ];
  const rope = (theta: number) => ({ ropeTheta: theta, ropeScaling: { type: 'none' } });
  const none = { attentionSoftcap: null, finalSoftcap: null, localRope: null };
  const llamaLike = { ...none, ...rope(10000), tieWordEmbeddings: false, mlpBias: false };
  const cases: [Name, Json][] = [
    [
      'mistral',
      {
        ...llamaLike,
        headDim: 8,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 131072,
        attention: 'sliding',
        slidingWindow: 4096,
        attentionBias: false,
        bosTokenId: 1,
        eosTokenIds: [2],
      },
    ],
    [
      'qwen2',
      {
        ...llamaLike,
        headDim: 8,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 32768,
        attention: 'full',
        slidingWindow: null,
        attentionBias: true,
        outputBias: false,
        bosTokenId: null,
        eosTokenIds: [],
      },
    ],
    [
      'qwen3',
      {
        ...llamaLike,
        headDim: 128,
        queryScalar: 128,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 32768,
        attention: 'full',
        attentionBias: false,
        outputBias: false,
        bosTokenId: null,
        eosTokenIds: [],
      },
    ],
    [
      'gemma2',
      {
        ...rope(10000),
        localRope: null,
        headDim: 256,
        queryScalar: 256,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 8192,
        tieWordEmbeddings: true,
        attention: ['sliding', 'full', 'sliding'],
        slidingWindow: 4096,
        attentionSoftcap: 50,
        finalSoftcap: 30,
        attentionBias: false,
        outputBias: false,
        bosTokenId: 2,
        eosTokenIds: [1],
      },
    ],
    [
      'gemma3',
      {
        ...rope(1e6),
        localRope: rope(1e4),
        headDim: 256,
        queryScalar: 256,
        rmsNormEps: 1e-6,
        maxPositionEmbeddings: 131072,
        tieWordEmbeddings: true,
        attention: ['sliding', 'sliding', 'sliding', 'sliding', 'sliding', 'full'],
        slidingWindow: 4096,
        attentionSoftcap: null,
        finalSoftcap: null,
        bosTokenId: 2,
        eosTokenIds: [1],
      },
    ],
    [
      'olmo2',
      {
        ...llamaLike,
        headDim: 8,
        rmsNormEps: 1e-5,
        maxPositionEmbeddings: 2048,
        attention: 'full',
        attentionBias: false,
        bosTokenId: null,
        eosTokenIds: [50279],
      },
    ],
    [
      'phi3',
      {
        ...llamaLike,
        headDim: 8,
        rmsNormEps: 1e-5,
        maxPositionEmbeddings: 4096,
        attention: 'full',
        slidingWindow: null,
        attentionBias: false,
        bosTokenId: 1,
        eosTokenIds: [32000],
      },
    ],
  ];
  test.each(cases)('%s', (name, expected) => {
    expect(read(name, Object.fromEntries(optional.map((field) => [field, undefined])))).toMatchObject(
      expected,
    );
  });
});

describe('sliding layers', () => {
  const attention = (name: Name, changes: Json) => {
    const { attention: kinds, slidingWindow } = read(name, changes);
    return [kinds, slidingWindow];
  };
  test('null is no window; a window is on every layer (Mistral, Phi-3)', () => {
    expect(attention('mistral', { sliding_window: null })).toEqual(['full', null]);
    expect(attention('phi3', { sliding_window: null })).toEqual(['full', null]);
    expect(attention('phi3', {})).toEqual(['sliding', 9]);
    expect(attention('mistral', { layer_types: [sliding, sliding] })).toEqual(['sliding', 9]);
  });

  test('from max_window_layers up, where use_sliding_window is true (Qwen)', () => {
    expect(attention('qwen2', {})).toEqual([['full', 'sliding', 'sliding'], 10]);
    expect(attention('qwen2', { max_window_layers: 0 })).toEqual(['sliding', 10]);
    expect(attention('qwen2', { max_window_layers: 3 })).toEqual(['full', null]);
    expect(attention('qwen2', { use_sliding_window: false })).toEqual(['full', null]);
    expect(attention('qwen3', { use_sliding_window: true, sliding_window: 5, max_window_layers: 1 })).toEqual(
      [['full', 'sliding'], 5],
    );
  });

  test('layer_types wins over what the family derives', () => {
    expect(attention('gemma2', { layer_types: [full, full, sliding] })).toEqual([
      ['full', 'full', 'sliding'],
      9,
    ]);
    expect(attention('gemma3', { sliding_window_pattern: 2 })).toEqual([
      ['sliding', 'full', 'sliding', 'full', 'sliding', 'full'],
      7,
    ]);
    expect(attention('gemma2', { layer_types: [full, full, full], sliding_window: null })).toEqual([
      'full',
      null,
    ]);
  });
});

describe('refusals name config.json and the field', () => {
  const longrope = { type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] };
  const cases: [string, Name, Json, RegExp][] = [
    ['activation', 'mistral', { hidden_act: 'gelu' }, /field hidden_act: "gelu"/],
    ['exact GELU', 'gemma2', { hidden_activation: 'gelu' }, /field hidden_activation: "gelu"/],
    ['Mistral with biases', 'mistral', { attention_bias: true }, /field attention_bias/],
    ['Mistral with mixed layers', 'mistral', { layer_types: [full, sliding] }, /field layer_types/],
    ['OLMo 2 that slides', 'olmo2', { layer_types: [full, sliding, full] }, /field sliding_window: none/],
    ['window 0', 'mistral', { sliding_window: 0 }, /field sliding_window: 0 is not a positive integer/],
    ['window as text', 'gemma2', { sliding_window: '9' }, /field sliding_window: "9"/],
    ['no window', 'gemma2', { sliding_window: null }, /field sliding_window: none in force/],
    [
      'sliding layers switched off',
      'qwen2',
      { use_sliding_window: false, layer_types: [full, sliding, full] },
      /field sliding_window: none in force/,
    ],
    ['layer kinds, length', 'gemma3', { layer_types: [full] }, /field layer_types: not a list of 6/],
    [
      'layer kinds, name',
      'gemma2',
      { layer_types: [full, 'chunked_attention', full] },
      /field layer_types\[1\]: "chunked_attention"/,
    ],
    ['inherited layer kind', 'gemma2', { layer_types: [full, 'constructor', full] }, /layer_types\[1\]/],
    [
      'wild layers',
      'gemma2',
      { num_hidden_layers: 4e9 },
      /field num_hidden_layers: 4000000000 layers are more/,
    ],
    ['negative first layer', 'qwen2', { max_window_layers: -1 }, /field max_window_layers/],
    ['bidirectional', 'gemma2', { use_bidirectional_attention: true }, /field use_bidirectional_attention/],
    ['cap 0', 'gemma2', { attn_logit_softcapping: 0 }, /field attn_logit_softcapping/],
    [
      'cap that transformers ignores',
      'gemma3',
      { attn_logit_softcapping: 50 },
      /field attn_logit_softcapping/,
    ],
    ['query scalar', 'gemma3', { query_pre_attn_scalar: 'head' }, /field query_pre_attn_scalar/],
    [
      'Gemma 3 RoPE type',
      'gemma3',
      { rope_scaling: { rope_type: 'dynamic', factor: 2 } },
      /field rope_scaling\.rope_type: "dynamic"/,
    ],
    [
      'Gemma 3 RoPE not by layer type',
      'gemma3',
      { rope_scaling: undefined, rope_parameters: { rope_type: 'default', rope_theta: 1e4 } },
      /field rope_parameters: not given by layer type/,
    ],
    [
      'Gemma 3 RoPE twice',
      'gemma3',
      { rope_parameters: { full_attention: { rope_type: 'default' } } },
      /field rope_scaling: given beside rope_parameters/,
    ],
    [
      'RoPE by layer type elsewhere',
      'qwen3',
      { rope_parameters: { full_attention: { rope_type: 'default', rope_theta: 1e4 } } },
      /field rope_parameters\.full_attention/,
    ],
    ['Phi-3 longrope', 'phi3', { rope_scaling: longrope }, /field rope_scaling\.type: "longrope"/],
    ['Phi-3 longrope by its first name', 'phi3', { rope_scaling: { ...longrope, type: 'su' } }, /"su"/],
    [
      'Phi-3 yarn, which means longrope there',
      'phi3',
      { rope_scaling: { type: 'yarn', factor: 4 } },
      /field rope_scaling: "yarn"/,
    ],
    ['Phi-3 partial rotary', 'phi3', { partial_rotary_factor: 0.75 }, /field partial_rotary_factor/],
    ['Gemma 3 with images', 'gemma3', { model_type: 'gemma3' }, /field model_type: "gemma3"/],
    ['another family', 'qwen3', { architectures: ['Qwen2ForCausalLM'] }, /field architectures/],
  ];
  test.each(cases)('%s', (_, name, changes, message) => {
    const attempt = () => read(name, changes);
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(path.join(folder, 'config.json'));
  });
});
