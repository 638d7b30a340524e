/** Reading config.json and generation_config.json of a Hugging Face folder. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Family } from './families/family.ts';
import { gemma2 } from './families/gemma2.ts';
import { gemma3 } from './families/gemma3.ts';
import { decoderTensors, type ExpectedTensor, type Layout } from './families/layout.ts';
import { llama } from './families/llama.ts';
import { mistral } from './families/mistral.ts';
import { olmo2 } from './families/olmo2.ts';
import { phi3 } from './families/phi3.ts';
import { qwen2 } from './families/qwen2.ts';
import { qwen3 } from './families/qwen3.ts';
import { Fields, readJsonObject } from './json-fields.ts';
import type { ModelConfig } from './model-config.ts';

export type { ExpectedTensor } from './families/layout.ts';
export type { ModelConfig } from './model-config.ts';

/** Supported families by `model_type`. A new architecture is one file and one line here. */
const FAMILIES: Readonly<Record<string, Family>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma2,
  gemma3_text: gemma3,
  olmo2,
  phi3,
};

/**
 * Reads the architecture from a Hugging Face folder. Nothing is approximated: a value that the engine would not
 * compute exactly is refused.
 * @throws InputError naming config.json and the field
 */
export function readConfig(folder: string): ModelConfig {
  const fields = readFields(path.join(folder, 'config.json'));
  const family = findFamily(fields);
  if (fields.has('quantization_config')) {
    throw fields.error(
      'quantization_config',
      'quantised weights are not supported',
      'Use the checkpoint in F32, F16 or BF16',
    );
  }
  return { ...family.read(fields), ...readTokenIds(folder, fields, family), torchDtype: readDtype(fields) };
}

/** Every tensor that the architecture needs, with its shape, in the order of the forward pass. */
export function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  return decoderTensors(config, layoutOf(config));
}

/** Names and shapes of the architecture's tensors. */
export function layoutOf({ modelType }: ModelConfig): Layout {
  const family = FAMILIES[modelType];
  if (!family) throw new Error(`no family for model_type ${modelType}`);
  return family.layout;
}

function readFields(file: string): Fields {
  return new Fields(file, readJsonObject(file));
}

function findFamily(fields: Fields): Family {
  const modelType = fields.string('model_type');
  const family = Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  if (!family) {
    throw fields.error(
      'model_type',
      `${JSON.stringify(modelType)} is not supported`,
      `Use a model of one of: ${Object.keys(FAMILIES).join(', ')}`,
    );
  }
  const architectures = fields.raw('architectures');
  if (architectures !== undefined) {
    if (!Array.isArray(architectures) || !architectures.includes(family.architecture)) {
      throw fields.error(
        'architectures',
        `${JSON.stringify(architectures)} is not a causal language model of this type`,
        `Use a ${family.architecture} checkpoint`,
      );
    }
  }
  return family;
}

function readTokenIds(folder: string, fields: Fields, family: Family) {
  const generationFile = path.join(folder, 'generation_config.json');
  const generation = existsSync(generationFile) ? readFields(generationFile) : new Fields(generationFile, {});
  // A field that is absent takes the family's default; one that is null means "none".
  const ids = (name: string, fallback: number | null): number[] => {
    const given = generation.tokenIds(name) ?? fields.tokenIds(name);
    if (given) return given;
    return fallback === null || Object.hasOwn(fields.values, name) ? [] : [fallback];
  };
  return {
    bosTokenId: ids('bos_token_id', family.defaultTokenIds.bos)[0] ?? null,
    eosTokenIds: [...new Set(ids('eos_token_id', family.defaultTokenIds.eos))],
    padTokenId: ids('pad_token_id', null)[0] ?? null,
  };
}

function readDtype(fields: Fields): string | null {
  const name = fields.has('dtype') ? 'dtype' : 'torch_dtype';
  return fields.has(name) ? fields.string(name) : null;
}
