/** Opening a Hugging Face folder: config, and the place of every weight in its safetensors files. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import { expectedTensors, type ModelConfig, readConfig } from './config.ts';
import { isFloatDtype } from './dtype.ts';
import { hashCheckpoint } from './hash.ts';
import { Fields, isRecord, readJsonObject } from './json-fields.ts';
import { readHeader, sameBytes, type TensorInfo } from './safetensors.ts';

export type { TensorInfo } from './safetensors.ts';

/** A validated checkpoint. No weights are in memory. */
export interface Checkpoint {
  readonly folder: string;
  readonly config: ModelConfig;
  /** Exactly the tensors that the architecture needs, by name, in the order of the forward pass. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Names in the folder of the safetensors files that make up the checkpoint. */
  readonly files: readonly string[];
  /** Harmless extra tensors that are left unread (rotary inv_freq buffers, a copy of tied embeddings). */
  readonly ignored: readonly string[];
  /**
   * Hex sha256 of what the model computes; made on first use, which reads all weights, and kept until the files change.
   * @throws InputError where a weight is NaN or infinite; Cancelled
   */
  hash(signal?: Signal): Promise<string>;
}

const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/**
 * Opens a Hugging Face folder and checks that it holds a whole model of a supported architecture.
 * @throws InputError naming the file, and the field or tensor, of whatever is missing or wrong
 */
export function openCheckpoint(folder: string): Checkpoint {
  const config = readConfig(folder);
  const found = findTensors(folder);
  // before the list of expected tensors is made: a wild number would make a wild list
  if (config.numLayers > found.tensors.size) {
    throw new InputError(
      `${path.join(folder, 'config.json')} field num_hidden_layers`,
      `${config.numLayers} layers, but ${found.file} has ${found.tensors.size} tensors`,
      'Use the config.json that belongs to these weights',
    );
  }
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape } of expectedTensors(config)) {
    const info = found.tensors.get(name);
    if (!info) {
      throw new InputError(
        `${found.file} tensor ${JSON.stringify(name)}`,
        'missing',
        'Check that the download is complete and config.json belongs to it',
      );
    }
    checkTensor(info, shape, folder);
    tensors.set(name, info);
  }
  const ignored = [...found.tensors.values()].filter((info) => !tensors.has(info.name));
  for (const info of ignored) checkExtra(info, config, tensors);
  return {
    folder,
    config,
    tensors,
    files: found.files,
    ignored: ignored.map((info) => info.name),
    hash: (signal) => hashCheckpoint(config, tensors, signal),
  };
}

/** The hash of a folder's checkpoint. @throws InputError as `openCheckpoint` */
export async function checkpointHash(folder: string): Promise<string> {
  return openCheckpoint(folder).hash();
}

interface Found {
  /** The file that lists the tensors: the weights themselves or the index of the shards. */
  readonly file: string;
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

function findTensors(folder: string): Found {
  const single = path.join(folder, WEIGHTS_FILE);
  const index = path.join(folder, INDEX_FILE);
  // transformers looks for the single file first
  if (existsSync(single)) return { file: single, files: [WEIGHTS_FILE], tensors: readHeader(single).tensors };
  if (existsSync(index)) return readShards(folder, index);
  const pickled = ['pytorch_model.bin', 'pytorch_model.bin.index.json'].some((name) =>
    existsSync(path.join(folder, name)),
  );
  throw new InputError(
    folder,
    `neither ${WEIGHTS_FILE} nor ${INDEX_FILE} is there`,
    pickled
      ? "Convert pytorch_model.bin to safetensors (transformers' save_pretrained does it)"
      : 'Give a Hugging Face model folder with safetensors weights',
  );
}

function readShards(folder: string, index: string): Found {
  const fields = new Fields(index, readJsonObject(index));
  const map = fields.raw('weight_map');
  if (!isRecord(map)) {
    throw fields.error('weight_map', 'not a map from tensor names to files', 'Download the index again');
  }
  const shards = new Map<string, ReadonlyMap<string, TensorInfo>>();
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shard] of Object.entries(map)) {
    const field = `weight_map.${name}`;
    if (typeof shard !== 'string' || !/^[^/\\]+\.safetensors$/.test(shard)) {
      throw fields.error(
        field,
        `${JSON.stringify(shard)} is not a shard's file name`,
        'Download the index again',
      );
    }
    const file = path.join(folder, shard);
    let contents = shards.get(shard);
    if (!contents) {
      if (!existsSync(file)) throw fields.error(field, `the shard ${file} is missing`, 'Download it');
      contents = readHeader(file).tensors;
      shards.set(shard, contents);
    }
    const info = contents.get(name);
    if (!info) {
      throw new InputError(
        `${file} tensor ${JSON.stringify(name)}`,
        `missing, though ${INDEX_FILE} places it there`,
        'Download the index and its shards again',
      );
    }
    tensors.set(name, info);
  }
  return { file: index, files: [...shards.keys()], tensors };
}

function checkTensor(info: TensorInfo, shape: readonly number[], folder: string): void {
  const where = `${info.path} tensor ${JSON.stringify(info.name)}`;
  if (info.shape.length !== shape.length || info.shape.some((size, axis) => size !== shape[axis])) {
    throw new InputError(
      where,
      `shape [${info.shape}] where ${path.join(folder, 'config.json')} makes it [${shape}]`,
      'Use the config.json that belongs to these weights',
    );
  }
  if (!isFloatDtype(info.dtype)) {
    throw new InputError(
      where,
      `dtype ${info.dtype} is not supported`,
      'Convert the checkpoint to F32, F16 or BF16',
    );
  }
}

/** A tensor beyond those expected either changes nothing or means that this is another architecture. */
function checkExtra(info: TensorInfo, config: ModelConfig, tensors: ReadonlyMap<string, TensorInfo>): void {
  if (info.name.endsWith('.rotary_emb.inv_freq')) return;
  const where = `${info.path} tensor ${JSON.stringify(info.name)}`;
  const embeddings = tensors.get('model.embed_tokens.weight');
  if (info.name === 'lm_head.weight' && config.tieWordEmbeddings && embeddings) {
    if (info.dtype === embeddings.dtype && sameBytes(info, embeddings)) return;
    throw new InputError(
      where,
      'differs from model.embed_tokens.weight although config.json ties them',
      'Set tie_word_embeddings to false in config.json to use both',
    );
  }
  throw new InputError(
    where,
    `not a part of a ${config.modelType} model as config.json describes it`,
    'Check that config.json belongs to these weights',
  );
}
