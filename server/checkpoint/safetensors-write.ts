/** Writing safetensors files: atomic, streaming, in the layout that the reference implementation writes. */
import { closeSync, openSync, readSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { openAtomic, withFileErrors } from '../runs/atomic.ts';
import { type Dtype, dtypeBytes } from './dtype.ts';

/** Bytes of another file, copied without being held in memory. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Row-major little-endian elements. */
  readonly data: Uint8Array | FileRange;
}

const CHUNK_BYTES = 8 << 20;

/**
 * Writes a safetensors file. Tensors are laid out by falling element size, then by name, so that every tensor is
 * aligned for its dtype; the same content gives the same bytes.
 * @throws InputError when the target cannot be written or a copied range cannot be read; nothing is left behind
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const ordered = [...tensors].sort(
    (a, b) => dtypeBytes(b.dtype) - dtypeBytes(a.dtype) || (a.name < b.name ? -1 : Number(a.name > b.name)),
  );
  const file = openAtomic(path);
  try {
    file.write(headerBytes(ordered, metadata));
    for (const { data } of ordered) {
      if (data instanceof Uint8Array) file.write(data);
      else copyRange(data, file.write);
    }
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
}

function headerBytes(
  ordered: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = [];
  const names = new Set<string>(['__metadata__']);
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', metadata]);
  let end = 0;
  for (const { name, dtype, shape, data } of ordered) {
    if (names.has(name)) throw new Error(`tensor ${name} is given twice`);
    names.add(name);
    const length = data instanceof Uint8Array ? data.byteLength : data.length;
    const wanted = shape.reduce((product, size) => product * size, dtypeBytes(dtype));
    if (length !== wanted) {
      throw new Error(`tensor ${name}: ${length} bytes for shape [${shape}] of ${dtype}, not ${wanted}`);
    }
    entries.push([name, { dtype, shape, data_offsets: [end, end + length] }]);
    end += length;
  }
  // fromEntries defines own properties, so a tensor called __proto__ stays a tensor
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)), 'utf8');
  const padded = Math.ceil(json.byteLength / 8) * 8; // the data area starts aligned to 8 bytes
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(bytes, 8);
  return bytes;
}

function copyRange(range: FileRange, write: (chunk: Uint8Array) => void): void {
  const descriptor = withFileErrors(range.path, () => openSync(range.path, 'r'));
  try {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, range.length));
    for (let done = 0; done < range.length; ) {
      const wanted = Math.min(chunk.byteLength, range.length - done);
      const got = withFileErrors(range.path, () =>
        readSync(descriptor, chunk, 0, wanted, range.offset + done),
      );
      if (got === 0) {
        throw new InputError(
          range.path,
          `the file ends before byte ${range.offset + range.length}`,
          'Download or copy the file again',
        );
      }
      write(chunk.subarray(0, got));
      done += got;
    }
  } finally {
    closeSync(descriptor);
  }
}
