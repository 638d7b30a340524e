/**
 * Patch files: safetensors with three tensors for each changed matrix, <name>.indices (I32 [k]), <name>.old and
 * <name>.new (the checkpoint's dtype, [k, width]; columns are stored as rows). Metadata: format, version, base_hash,
 * entries (JSON: tensor, axis, shape and the sha256 of old and new), provenance (JSON).
 */
import { createHash } from 'node:crypto';
import { dtypeBytes, type FloatDtype, isFloatDtype } from '../checkpoint/dtype.ts';
import {
  readHeader,
  readTensorBytes,
  type SafetensorsHeader,
  type TensorInfo,
} from '../checkpoint/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../checkpoint/safetensors-write.ts';
import { InputError } from '../errors.ts';
import { lineWidth, type Patch, type PatchEntry } from './patch.ts';

const FORMAT = 'circuit-amplifier.patch';
const VERSION = '1';
const REMEDY = 'Make the patch again, or copy the file again';

/** Entry as it stands in the metadata. */
interface EntryRecord {
  readonly tensor: string;
  readonly axis: 0 | 1;
  readonly shape: readonly [number, number];
  readonly old_sha256: string;
  readonly new_sha256: string;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Writes a patch atomically. The same patch gives the same bytes. @throws InputError where it cannot be written */
export function writePatch(file: string, patch: Patch): void {
  const tensors: TensorToWrite[] = [];
  const records: EntryRecord[] = [];
  for (const entry of patch.entries) {
    const { tensor, axis, shape, dtype, indices, oldRows, newRows } = entry;
    const lines = [indices.length, lineWidth(entry)];
    const indexBytes = new Uint8Array(indices.buffer, indices.byteOffset, indices.byteLength);
    tensors.push({ name: `${tensor}.indices`, dtype: 'I32', shape: [indices.length], data: indexBytes });
    tensors.push({ name: `${tensor}.old`, dtype, shape: lines, data: oldRows });
    tensors.push({ name: `${tensor}.new`, dtype, shape: lines, data: newRows });
    records.push({ tensor, axis, shape, old_sha256: sha256(oldRows), new_sha256: sha256(newRows) });
  }
  writeSafetensors(file, tensors, {
    format: FORMAT,
    version: VERSION,
    base_hash: patch.baseHash,
    entries: JSON.stringify(records),
    provenance: JSON.stringify(patch.provenance),
  });
}

/** Reads and verifies a patch: shapes, index order, and the hashes of old and new rows. @throws InputError */
export function readPatch(file: string): Patch {
  const header = readHeader(file);
  const { format, version, base_hash: baseHash } = header.metadata;
  if (format !== FORMAT) throw new InputError(file, 'not a patch file', 'Give a file written by amplify');
  if (version !== VERSION) {
    throw new InputError(file, `patch version ${version} is not supported`, 'Use the release that wrote it');
  }
  if (!baseHash || !/^[0-9a-f]{64}$/.test(baseHash)) {
    throw new InputError(file, 'metadata base_hash is missing or not a sha256', REMEDY);
  }
  const records = parseJson(file, header, 'entries');
  const provenance = parseJson(file, header, 'provenance');
  if (!Array.isArray(records)) throw new InputError(file, 'metadata entries is not a list', REMEDY);
  if (typeof provenance !== 'object' || provenance === null || Array.isArray(provenance)) {
    throw new InputError(file, 'metadata provenance is not an object', REMEDY);
  }
  const entries = records.map((record: unknown) => readEntry(file, header, record));
  const names = new Set(
    entries.flatMap(({ tensor }) => ['indices', 'old', 'new'].map((part) => `${tensor}.${part}`)),
  );
  if (names.size !== 3 * entries.length) throw new InputError(file, 'a tensor is listed twice', REMEDY);
  const stray = [...header.tensors.keys()].find((name) => !names.has(name));
  if (stray !== undefined) {
    throw new InputError(`${file} tensor ${JSON.stringify(stray)}`, 'not listed in the metadata', REMEDY);
  }
  return { baseHash, entries, provenance: provenance as Record<string, unknown> };
}

function parseJson(file: string, header: SafetensorsHeader, name: string): unknown {
  try {
    return JSON.parse(header.metadata[name] ?? '');
  } catch {
    throw new InputError(file, `metadata ${name} is missing or not JSON`, REMEDY);
  }
}

function isRecord(value: unknown): value is EntryRecord {
  const { tensor, axis, shape } = (value ?? {}) as Partial<Record<keyof EntryRecord, unknown>>;
  return (
    typeof tensor === 'string' &&
    (axis === 0 || axis === 1) &&
    Array.isArray(shape) &&
    shape.length === 2 &&
    shape.every((size) => Number.isSafeInteger(size) && size > 0)
  );
}

function readEntry(file: string, header: SafetensorsHeader, record: unknown): PatchEntry {
  if (!isRecord(record)) {
    throw new InputError(file, 'an entry of the metadata lacks its tensor, axis or shape', REMEDY);
  }
  const { tensor, axis, shape } = record;
  const fail = (what: string) => new InputError(`${file} tensor ${JSON.stringify(tensor)}`, what, REMEDY);
  const find = (part: string): TensorInfo => {
    const info = header.tensors.get(`${tensor}.${part}`);
    if (!info) throw fail(`its ${part} are missing`);
    return info;
  };
  const [indexInfo, oldInfo, newInfo] = [find('indices'), find('old'), find('new')];
  const count = indexInfo.shape[0] ?? 0;
  const { dtype } = oldInfo;
  if (indexInfo.dtype !== 'I32' || indexInfo.shape.length !== 1)
    throw fail('its indices are not a list of I32');
  if (!isFloatDtype(dtype) || newInfo.dtype !== dtype) throw fail('old and new are not of one float dtype');
  const width = lineWidth({ shape, axis });
  for (const info of [oldInfo, newInfo]) {
    if (`${info.shape}` !== `${[count, width]}`)
      throw fail(`shape [${info.shape}] where [${count},${width}] is needed`);
  }
  const indices = new Int32Array(readTensorBytes(indexInfo).buffer);
  if (indices.some((index, i) => index < 0 || index >= shape[axis] || (i > 0 && index <= indices[i - 1]!))) {
    throw fail('its indices are not ascending within the matrix');
  }
  const oldRows = verified(oldInfo, record.old_sha256, dtype, fail);
  const newRows = verified(newInfo, record.new_sha256, dtype, fail);
  return { tensor, dtype, shape: [shape[0], shape[1]], axis, indices, oldRows, newRows };
}

function verified(
  info: TensorInfo,
  hash: unknown,
  dtype: FloatDtype,
  fail: (what: string) => Error,
): Uint8Array {
  const bytes = readTensorBytes(info);
  if (sha256(bytes) !== hash || bytes.byteLength % dtypeBytes(dtype) !== 0) {
    throw fail(`the bytes of ${info.name} do not match their recorded sha256`);
  }
  return bytes;
}
