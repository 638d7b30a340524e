import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectedTensors, readConfig } from '../../server/checkpoint/config.ts';
import { ropeInverseFrequencies } from '../../server/checkpoint/rope.ts';
import { InputError } from '../../server/errors.ts';

interface RopeFixture {
  cases: Record<
    string,
    {
      config: Record<string, unknown>;
      expected: { seqLen: number; invFreq: number[]; attentionScaling: number }[];
    }
  >;
}
const rope: RopeFixture = JSON.parse(readFileSync(new URL('./fixtures/rope.json', import.meta.url), 'utf8'));

const base = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 100,
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(config: unknown, generation?: unknown) {
  writeFileSync(
    path.join(folder, 'config.json'),
    typeof config === 'string' ? config : JSON.stringify(config),
  );
  if (generation !== undefined) {
    writeFileSync(path.join(folder, 'generation_config.json'), JSON.stringify(generation));
  }
  return readConfig(folder);
}

describe('RoPE frequencies equal those of transformers', () => {
  test.each(Object.entries(rope.cases))('%s', (_, { config, expected }) => {
    const parsed = read(config);
    for (const { seqLen, invFreq, attentionScaling } of expected) {
      const ours = ropeInverseFrequencies(parsed, seqLen);
      expect(ours.invFreq.length).toBe(invFreq.length);
      expect(ours.attentionScaling).toBeCloseTo(attentionScaling, 14);
      // torch's vectorised pow is itself off by up to an ulp (1.2e-7); a wrong formula is off by far more
      const worst = Math.max(...invFreq.map((want, i) => Math.abs(ours.invFreq[i]! / want - 1)));
      expect(worst).toBeLessThan(5e-7);
    }
  });
});

describe('reading', () => {
  test('defaults of transformers fill what the file leaves out', () => {
    const { num_key_value_heads: _, max_position_embeddings: __, ...rest } = base;
    expect(read(rest)).toEqual({
      modelType: 'llama',
      vocabSize: 100,
      hiddenSize: 128,
      intermediateSize: 256,
      numLayers: 2,
      numHeads: 4,
      numKvHeads: 4,
      headDim: 32,
      rmsNormEps: 1e-6,
      ropeTheta: 10000,
      ropeScaling: { type: 'none' },
      localRope: null,
      maxPositionEmbeddings: 2048,
      attention: 'full',
      slidingWindow: null,
      queryScalar: 32,
      attentionSoftcap: null,
      finalSoftcap: null,
      tieWordEmbeddings: false,
      attentionBias: false,
      outputBias: false,
      mlpBias: false,
      torchDtype: null,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: null,
    });
  });

  test('token ids: generation_config.json first, numbers or lists, null and negative mean none', () => {
    const config = { ...base, bos_token_id: 5, eos_token_id: [6, 7], pad_token_id: -1 };
    expect(read(config)).toMatchObject({ bosTokenId: 5, eosTokenIds: [6, 7], padTokenId: null });
    expect(read(config, { eos_token_id: [9, 9, 8], pad_token_id: 3 })).toMatchObject({
      bosTokenId: 5,
      eosTokenIds: [9, 8],
      padTokenId: 3,
    });
    expect(read({ ...base, bos_token_id: null, eos_token_id: null }, {})).toMatchObject({
      bosTokenId: null,
      eosTokenIds: [],
    });
  });

  test('both spellings of the dtype and of RoPE', () => {
    expect(read({ ...base, torch_dtype: 'bfloat16' }).torchDtype).toBe('bfloat16');
    expect(read({ ...base, dtype: 'float16' }).torchDtype).toBe('float16');
    const factors = { factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const old = read({
      ...base,
      rope_theta: 5e5,
      rope_scaling: { rope_type: 'llama3', ...factors, original_max_position_embeddings: 128 },
    });
    const next = read({
      ...base,
      rope_parameters: {
        rope_type: 'llama3',
        ...factors,
        rope_theta: 5e5,
        original_max_position_embeddings: 128,
      },
    });
    expect(old).toEqual(next);
    expect(old.ropeScaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPosition: 128,
    });
  });

  test('expected tensors follow biases, tying and head_dim', () => {
    const plain = new Map(expectedTensors(read({ ...base, head_dim: 48 })).map((t) => [t.name, t.shape]));
    expect(plain.size).toBe(1 + 2 * 9 + 2);
    expect(plain.get('model.layers.1.self_attn.q_proj.weight')).toEqual([192, 128]);
    expect(plain.get('model.layers.1.self_attn.k_proj.weight')).toEqual([96, 128]);
    expect(plain.get('model.layers.0.self_attn.o_proj.weight')).toEqual([128, 192]);
    expect(plain.get('model.layers.0.mlp.down_proj.weight')).toEqual([128, 256]);
    const biased = expectedTensors(
      read({ ...base, attention_bias: true, mlp_bias: true, tie_word_embeddings: true }),
    ).map((t) => t.name);
    expect(biased).toContain('model.layers.0.self_attn.o_proj.bias');
    expect(biased).toContain('model.layers.1.mlp.down_proj.bias');
    expect(biased).not.toContain('lm_head.weight');
    expect(biased.length).toBe(1 + 2 * 16 + 1);
  });
});

describe('refusals name config.json and the field', () => {
  const cases: [string, unknown, RegExp][] = [
    ['broken JSON', '{', /config\.json: not valid JSON/],
    ['a list', '[]', /config\.json: not a JSON object/],
    ['no model_type', { ...base, model_type: undefined }, /field model_type: missing/],
    ['unknown architecture', { ...base, model_type: 'mamba' }, /field model_type: "mamba" .*one of: llama/],
    ['inherited name', { ...base, model_type: 'constructor' }, /field model_type: "constructor"/],
    ['a classifier', { ...base, architectures: ['LlamaForSequenceClassification'] }, /field architectures/],
    ['activation', { ...base, hidden_act: 'gelu' }, /field hidden_act: "gelu"/],
    [
      'zero layers',
      { ...base, num_hidden_layers: 0 },
      /field num_hidden_layers: 0 is not a positive integer/,
    ],
    ['fractional size', { ...base, hidden_size: 12.5 }, /field hidden_size/],
    ['size as text', { ...base, vocab_size: '100' }, /field vocab_size: "100"/],
    ['missing size', { ...base, intermediate_size: null }, /field intermediate_size: missing/],
    ['heads', { ...base, num_key_value_heads: 3 }, /num_key_value_heads: 3 does not divide/],
    ['hidden not divisible', { ...base, hidden_size: 130 }, /hidden_size: 130 is not a multiple/],
    ['odd head_dim', { ...base, head_dim: 33 }, /head_dim: 33 is odd/],
    ['negative eps', { ...base, rms_norm_eps: -1 }, /field rms_norm_eps/],
    ['bias not boolean', { ...base, attention_bias: 'yes' }, /field attention_bias/],
    ['rope type', { ...base, rope_scaling: { type: 'longrope' } }, /rope_scaling\.type: "longrope"/],
    ['rope object', { ...base, rope_scaling: [1] }, /field rope_scaling: \[1\]/],
    [
      'rope factor',
      { ...base, rope_parameters: { rope_type: 'linear' } },
      /rope_parameters\.factor: missing/,
    ],
    [
      'llama3 factors',
      { ...base, rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
      /high_freq_factor: 4 is not greater/,
    ],
    ['partial rotary', { ...base, partial_rotary_factor: 0.5 }, /field partial_rotary_factor/],
    [
      'partial rotary inside',
      { ...base, rope_parameters: { rope_type: 'linear', factor: 2, partial_rotary_factor: 0.5 } },
      /rope_parameters\.partial_rotary_factor/,
    ],
    ['quantised', { ...base, quantization_config: { bits: 4 } }, /field quantization_config/],
    ['token id', { ...base, eos_token_id: '</s>' }, /field eos_token_id/],
  ];
  test.each(cases)('%s', (_, config, message) => {
    const attempt = () => read(config);
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(path.join(folder, 'config.json'));
  });

  test('no config.json, and a broken generation_config.json', () => {
    expect(() => readConfig(folder)).toThrow(/config\.json: no such file/);
    expect(() => read(base, { eos_token_id: 1.5 })).toThrow(/generation_config\.json field eos_token_id/);
  });
});
