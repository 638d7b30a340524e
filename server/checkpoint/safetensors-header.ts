/**
 * Headers of safetensors files. Layout: 8 bytes of header length, a JSON header, then the tensors without gaps.
 * The header is validated in full before anything trusts it: files come from strangers.
 */
import { closeSync, fstatSync, openSync, realpathSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { withFileErrors } from '../runs/atomic.ts';
import { type Dtype, dtypeBytes, isDtype } from './dtype.ts';
import { readFully } from './positioned-read.ts';

/** One tensor inside a file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  /** Row-major; [] is a scalar. */
  readonly shape: readonly number[];
  /** Byte offset in the file itself (header included). */
  readonly fileOffset: number;
  readonly byteLength: number;
  /** The real file (symbolic links followed: Hugging Face cache snapshots link into blobs/). */
  readonly path: string;
}

export interface SafetensorsHeader {
  /** Real path of the file. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The header's `__metadata__`, {} where absent. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const REDOWNLOAD = 'Download or copy the file again';
const REWRITE = 'Write the file again with the safetensors library';

/**
 * Reads and validates the header of a safetensors file; reads no weights.
 * @throws InputError when the file is missing, truncated, or its header lies about the contents
 */
export function readHeader(path: string): SafetensorsHeader {
  const real = withFileErrors(path, () => realpathSync(path));
  const descriptor = withFileErrors(path, () => openSync(real, 'r'));
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new InputError(path, 'not a file', 'Give the path of a .safetensors file');
    const bytes = withFileErrors(path, () => readHeaderBytes(descriptor, path, stat.size));
    return parseHeader(bytes, path, real, stat.size);
  } finally {
    closeSync(descriptor);
  }
}

function readHeaderBytes(descriptor: number, path: string, fileSize: number): Uint8Array {
  if (fileSize < 8) {
    throw new InputError(path, `${fileSize} bytes are too few for a safetensors file`, REDOWNLOAD);
  }
  const prefix = new Uint8Array(8);
  readFully(descriptor, prefix, 0, path);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new InputError(
      path,
      `header length ${length} is over the format's limit of ${MAX_HEADER_BYTES} bytes`,
      'Check that this is a safetensors file, or download it again',
    );
  }
  if (Number(length) > fileSize - 8) {
    throw new InputError(path, `truncated: header of ${length} bytes in a file of ${fileSize}`, REDOWNLOAD);
  }
  const bytes = new Uint8Array(Number(length));
  readFully(descriptor, bytes, 8, path);
  return bytes;
}

function parseHeader(bytes: Uint8Array, path: string, real: string, fileSize: number): SafetensorsHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new InputError(path, `the header is not valid JSON (${(error as Error).message})`, REDOWNLOAD);
  }
  if (!isObject(json)) throw new InputError(path, 'the header is not a JSON object', REWRITE);
  const dataStart = 8 + bytes.byteLength;
  const tensors = new Map<string, TensorInfo>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(json)) {
    if (name === '__metadata__') metadata = checkMetadata(entry, path);
    else tensors.set(name, checkEntry(name, entry, path, real, dataStart));
  }
  checkCoverage(tensors, path, dataStart, fileSize);
  return { path: real, tensors, metadata };
}

function checkMetadata(entry: unknown, path: string): Record<string, string> {
  if (!isObject(entry) || Object.values(entry).some((value) => typeof value !== 'string')) {
    throw new InputError(path, '__metadata__ is not a map of strings', REWRITE);
  }
  return entry as Record<string, string>;
}

function checkEntry(name: string, entry: unknown, path: string, real: string, dataStart: number): TensorInfo {
  const where = `${path} tensor ${JSON.stringify(name)}`;
  if (!isObject(entry)) throw new InputError(where, 'its header entry is not an object', REWRITE);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    throw new InputError(
      where,
      `unknown dtype ${JSON.stringify(dtype)}`,
      'Convert the checkpoint to F32, F16 or BF16',
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new InputError(
      where,
      `shape ${JSON.stringify(shape)} is not a list of non-negative integers`,
      REWRITE,
    );
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isCount(begin) || !isCount(end) || begin > end) {
    throw new InputError(
      where,
      `data_offsets ${JSON.stringify(offsets)} are not [begin, end] with begin <= end`,
      REWRITE,
    );
  }
  const wanted = shape.reduce((product, size) => product * size, dtypeBytes(dtype));
  if (end - begin !== wanted) {
    throw new InputError(
      where,
      `data_offsets span ${end - begin} bytes but shape [${shape}] of ${dtype} needs ${wanted}`,
      REWRITE,
    );
  }
  return { name, dtype, shape, fileOffset: dataStart + begin, byteLength: end - begin, path: real };
}

/** The tensors must tile the data area exactly, as the format demands: no overlap, no gap, nothing after the end. */
function checkCoverage(
  tensors: Map<string, TensorInfo>,
  path: string,
  dataStart: number,
  fileSize: number,
): void {
  const inOrder = [...tensors.values()].sort(
    (a, b) => a.fileOffset - b.fileOffset || a.byteLength - b.byteLength,
  );
  let end = dataStart;
  for (const tensor of inOrder) {
    const where = `${path} tensor ${JSON.stringify(tensor.name)}`;
    if (tensor.fileOffset + tensor.byteLength > fileSize) {
      throw new InputError(
        where,
        `truncated: its bytes end at ${tensor.fileOffset + tensor.byteLength} but the file has ${fileSize}`,
        REDOWNLOAD,
      );
    }
    if (tensor.fileOffset < end)
      throw new InputError(where, 'its bytes overlap those of another tensor', REWRITE);
    if (tensor.fileOffset > end) {
      throw new InputError(
        where,
        `a gap of ${tensor.fileOffset - end} bytes lies before its data_offsets`,
        REWRITE,
      );
    }
    end += tensor.byteLength;
  }
  if (end !== fileSize) {
    throw new InputError(path, `${fileSize - end} bytes follow the last tensor`, REDOWNLOAD);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
