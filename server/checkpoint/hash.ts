/** Identity of a checkpoint: what the model computes, whatever the files around it are called. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { ModelConfig } from './config.ts';
import { type TensorInfo, tensorChunks } from './safetensors.ts';

/** Hashes by the path, size and modification time of every file and the config: a changed file is read again. */
const known = new Map<string, Promise<string>>();

/**
 * Hex sha256 over the architecture and over every tensor's name, dtype, shape and bytes in name order. Sharding, file
 * names, the spelling of config.json, token ids and metadata do not enter: they do not change the logits.
 * Streamed; about the speed of sha256.
 */
export async function hashCheckpoint(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
): Promise<string> {
  const architecture = architectureJson(config);
  const paths = [...new Set([...tensors.values()].map((info) => info.path))].sort();
  const stats = await Promise.all(paths.map((file) => stat(file)));
  const key = JSON.stringify([architecture, paths, stats.map((s) => [s.size, s.mtimeMs, s.ino])]);
  let hash = known.get(key);
  if (!hash) {
    hash = compute(architecture, tensors);
    known.set(key, hash);
    hash.catch(() => known.delete(key));
  }
  return hash;
}

/** Canonical JSON (keys sorted at every level) of the fields that change the logits. */
function architectureJson(config: ModelConfig): string {
  const { torchDtype, bosTokenId, eosTokenIds, padTokenId, ...architecture } = config;
  return JSON.stringify(architecture, (_, value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

async function compute(architecture: string, tensors: ReadonlyMap<string, TensorInfo>): Promise<string> {
  const sha = createHash('sha256').update(`${architecture}\n`);
  const inOrder = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const info of inOrder) {
    sha.update(`${JSON.stringify([info.name, info.dtype, info.shape])}\n`);
    for await (const chunk of tensorChunks(info)) sha.update(chunk);
  }
  return sha.digest('hex');
}
