/** A tiny random Llama folder for tests, written with the product's own writer. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectedTensors, readConfig } from '../../server/checkpoint/config.ts';
import { type FloatDtype, fromFloat32 } from '../../server/checkpoint/dtype.ts';
import { type TensorToWrite, writeSafetensors } from '../../server/checkpoint/safetensors-write.ts';

const tinyConfig = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
};

/** Deterministic values in (-0.5, 0.5). */
export function noise(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

export interface TinyOptions {
  dtype?: FloatDtype;
  config?: Record<string, unknown>;
  /** Number of shards; 0 (the default) writes model.safetensors. */
  shards?: number;
  /** Changes the tensors before they are written. */
  edit?: (tensors: TensorToWrite[]) => TensorToWrite[];
}

/** Writes config.json and the weights; returns the folder. */
export function writeTiny(folder: string, options: TinyOptions = {}): string {
  const { dtype = 'F32', config = {}, shards = 0, edit = (list) => list } = options;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...tinyConfig, ...config }));
  const tensors = edit(
    expectedTensors(readConfig(folder)).map(({ name, shape }, i) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return { name, dtype, shape, data: fromFloat32(noise(count, i + 1), dtype) };
    }),
  );
  if (shards === 0) {
    writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { format: 'pt' });
    return folder;
  }
  const weight_map: Record<string, string> = {};
  for (let s = 0; s < shards; s++) {
    const file = `model-0000${s + 1}-of-0000${shards}.safetensors`;
    const part = tensors.filter((_, i) => i % shards === s);
    for (const { name } of part) weight_map[name] = file;
    writeSafetensors(path.join(folder, file), part, { format: 'pt' });
  }
  writeFileSync(
    path.join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map }),
  );
  return folder;
}
