/** Llama 2 and 3.x (transformers/models/llama). */
import type { Fields } from '../json-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import { readRope } from '../rope.ts';
import type { Architecture, ExpectedTensor, Family } from './family.ts';

function read(fields: Fields): Architecture {
  const act = fields.string('hidden_act', 'silu');
  if (act !== 'silu' && act !== 'swish') {
    throw fields.error(
      'hidden_act',
      `${JSON.stringify(act)} is not supported for this model_type`,
      'Use a model with "silu"',
    );
  }
  const hiddenSize = fields.positiveInteger('hidden_size');
  const numHeads = fields.positiveInteger('num_attention_heads');
  const numKvHeads = fields.positiveInteger('num_key_value_heads', numHeads);
  if (numHeads % numKvHeads !== 0) {
    throw fields.error(
      'num_key_value_heads',
      `${numKvHeads} does not divide num_attention_heads ${numHeads}`,
      'Correct the field',
    );
  }
  if (!fields.has('head_dim') && hiddenSize % numHeads !== 0) {
    throw fields.error(
      'hidden_size',
      `${hiddenSize} is not a multiple of num_attention_heads ${numHeads}`,
      'Correct the field or add head_dim',
    );
  }
  const headDim = fields.positiveInteger('head_dim', hiddenSize / numHeads);
  if (headDim % 2 !== 0) {
    throw fields.error('head_dim', `${headDim} is odd, but RoPE rotates pairs`, 'Correct the field');
  }
  const maxPositionEmbeddings = fields.positiveInteger('max_position_embeddings', 2048);
  const rope = readRope(fields, maxPositionEmbeddings);
  return {
    modelType: 'llama',
    vocabSize: fields.positiveInteger('vocab_size'),
    hiddenSize,
    intermediateSize: fields.positiveInteger('intermediate_size'),
    numLayers: fields.positiveInteger('num_hidden_layers'),
    numHeads,
    numKvHeads,
    headDim,
    rmsNormEps: fields.positiveNumber('rms_norm_eps', 1e-6),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    maxPositionEmbeddings,
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', false),
    attentionBias: fields.boolean('attention_bias', false),
    mlpBias: fields.boolean('mlp_bias', false),
  };
}

function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner, vocabSize } = config;
  const queries = config.numHeads * config.headDim;
  const keys = config.numKvHeads * config.headDim;
  const list: ExpectedTensor[] = [{ name: 'model.embed_tokens.weight', shape: [vocabSize, hidden] }];
  const linear = (name: string, out: number, input: number, bias: boolean) => {
    list.push({ name: `${name}.weight`, shape: [out, input] });
    if (bias) list.push({ name: `${name}.bias`, shape: [out] });
  };
  for (let i = 0; i < config.numLayers; i++) {
    const layer = `model.layers.${i}`;
    list.push({ name: `${layer}.input_layernorm.weight`, shape: [hidden] });
    linear(`${layer}.self_attn.q_proj`, queries, hidden, config.attentionBias);
    linear(`${layer}.self_attn.k_proj`, keys, hidden, config.attentionBias);
    linear(`${layer}.self_attn.v_proj`, keys, hidden, config.attentionBias);
    linear(`${layer}.self_attn.o_proj`, hidden, queries, config.attentionBias);
    list.push({ name: `${layer}.post_attention_layernorm.weight`, shape: [hidden] });
    linear(`${layer}.mlp.gate_proj`, inner, hidden, config.mlpBias);
    linear(`${layer}.mlp.up_proj`, inner, hidden, config.mlpBias);
    linear(`${layer}.mlp.down_proj`, hidden, inner, config.mlpBias);
  }
  list.push({ name: 'model.norm.weight', shape: [hidden] });
  if (!config.tieWordEmbeddings) list.push({ name: 'lm_head.weight', shape: [vocabSize, hidden] });
  return list;
}

export const llama: Family = {
  architecture: 'LlamaForCausalLM',
  defaultTokenIds: { bos: 1, eos: 2 },
  read,
  expectedTensors,
};
