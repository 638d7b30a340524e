/** Identity and soundness of a checkpoint, in one pass over its weights. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { Signal } from '../control.ts';
import { Cancelled } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import { dtypeBytes } from './dtype.ts';
import { assertFinite } from './finite.ts';
import { type TensorInfo, tensorChunks } from './safetensors.ts';

/** Hashes by the path, size and modification time of every file and the config: a changed file is read again. */
const known = new Map<string, Promise<string>>();

/**
 * Hex sha256 over the architecture and over every tensor's name, dtype, shape and bytes in name order. Sharding, file
 * names, the spelling of config.json, token ids and metadata do not enter: they do not change the logits.
 * Streamed; about the speed of sha256.
 * @param signal stops it between chunks with `Cancelled`
 * @throws InputError where a weight is NaN or infinite
 */
export async function hashCheckpoint(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  signal?: Signal,
): Promise<string> {
  const architecture = architectureJson(config);
  const paths = [...new Set([...tensors.values()].map((info) => info.path))].sort();
  const stats = await Promise.all(paths.map((file) => stat(file)));
  const key = JSON.stringify([architecture, paths, stats.map((s) => [s.size, s.mtimeMs, s.ino])]);
  let hash = known.get(key);
  if (!hash) {
    hash = compute(architecture, tensors, signal);
    known.set(key, hash);
    hash.catch(() => known.delete(key));
  }
  return hash.catch((error) => {
    // Whoever began to read was cancelled, and not this caller.
    if (error instanceof Cancelled && !signal?.aborted) return hashCheckpoint(config, tensors, signal);
    throw error;
  });
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

async function compute(
  architecture: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  signal?: Signal,
): Promise<string> {
  const sha = createHash('sha256').update(`${architecture}\n`);
  const inOrder = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const info of inOrder) {
    sha.update(`${JSON.stringify([info.name, info.dtype, info.shape])}\n`);
    let before = 0;
    for await (const chunk of tensorChunks(info)) {
      if (signal?.aborted) throw new Cancelled();
      assertFinite(info, chunk, before);
      sha.update(chunk);
      before += chunk.byteLength / dtypeBytes(info.dtype);
    }
  }
  return sha.digest('hex');
}
