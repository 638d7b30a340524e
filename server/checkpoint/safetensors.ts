/** Reading tensors out of safetensors files: whole, by rows or columns, or as a stream of chunks. */
import { closeSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { InputError } from '../errors.ts';
import { asInputError, withFileErrors } from '../runs/atomic.ts';
import { dtypeBytes, type FloatDtype, isFloatDtype, widenInto } from './dtype.ts';
import { readFully } from './positioned-read.ts';
import type { TensorInfo } from './safetensors-header.ts';

export { readHeader, type SafetensorsHeader, type TensorInfo } from './safetensors-header.ts';

const CHUNK_BYTES = 8 << 20;

/** Opens the tensor's file for positioned reads for as long as `use` runs. */
function withTensorFile<T>(
  info: TensorInfo,
  use: (read: (target: Uint8Array, offset: number) => void) => T,
): T {
  return withFileErrors(info.path, () => {
    const descriptor = openSync(info.path, 'r');
    try {
      return use((target, offset) => readFully(descriptor, target, info.fileOffset + offset, info.path));
    } finally {
      closeSync(descriptor);
    }
  });
}

function requireFloat(info: TensorInfo): FloatDtype {
  if (isFloatDtype(info.dtype)) return info.dtype;
  throw new InputError(
    `${info.path} tensor ${JSON.stringify(info.name)}`,
    `dtype ${info.dtype} is not supported for weights`,
    'Convert the checkpoint to F32, F16 or BF16',
  );
}

function matrixShape(info: TensorInfo): [rows: number, columns: number] {
  const [rows, columns] = info.shape;
  if (info.shape.length !== 2 || rows === undefined || columns === undefined) {
    throw new Error(`${info.name} has shape [${info.shape}], a matrix was expected`);
  }
  return [rows, columns];
}

/** The tensor's bytes as stored. */
export function readTensorBytes(info: TensorInfo): Uint8Array {
  const bytes = new Uint8Array(info.byteLength);
  withTensorFile(info, (read) => read(bytes, 0));
  return bytes;
}

/** The tensor as float32, row-major; F16 and BF16 are widened exactly, in chunks. */
export function readTensorF32(info: TensorInfo): Float32Array {
  const dtype = requireFloat(info);
  const size = dtypeBytes(dtype);
  const out = new Float32Array(info.byteLength / size);
  withTensorFile(info, (read) => {
    if (dtype === 'F32') return read(new Uint8Array(out.buffer), 0);
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, info.byteLength));
    for (let at = 0; at < info.byteLength; at += chunk.byteLength) {
      const part = chunk.subarray(0, Math.min(chunk.byteLength, info.byteLength - at));
      read(part, at);
      widenInto(part, dtype, out, at / size);
    }
  });
  return out;
}

/**
 * Rows of a matrix as stored, in the order given, by positioned reads (runs of neighbouring rows in one).
 * @returns rows.length x shape[1] elements
 */
export function readRowsBytes(info: TensorInfo, rows: ArrayLike<number>): Uint8Array {
  const [count, columns] = matrixShape(info);
  const rowBytes = columns * dtypeBytes(info.dtype);
  const out = new Uint8Array(rows.length * rowBytes);
  checkIndices(rows, count, info);
  withTensorFile(info, (read) => {
    for (let at = 0; at < rows.length; ) {
      let next = at + 1;
      while (next < rows.length && rows[next] === rows[next - 1]! + 1) next++;
      read(out.subarray(at * rowBytes, next * rowBytes), rows[at]! * rowBytes);
      at = next;
    }
  });
  return out;
}

/** Rows of a matrix as float32: rows.length x shape[1], in the order given. Only these rows are read. */
export function readRowsF32(info: TensorInfo, rows: ArrayLike<number>): Float32Array {
  const dtype = requireFloat(info);
  const bytes = readRowsBytes(info, rows);
  const out = new Float32Array(bytes.byteLength / dtypeBytes(dtype));
  widenInto(bytes, dtype, out);
  return out;
}

/**
 * Columns of a matrix as stored, laid out as columns.length x shape[0] (each column contiguous).
 * The matrix is streamed once: columns are spread over all of it.
 */
export function readColumnsBytes(info: TensorInfo, columns: ArrayLike<number>): Uint8Array {
  const [rows, count] = matrixShape(info);
  checkIndices(columns, count, info);
  const size = dtypeBytes(info.dtype);
  const rowBytes = count * size;
  const out = new Uint8Array(columns.length * rows * size);
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / Math.max(1, rowBytes)));
  const chunk = new Uint8Array(Math.min(rowsPerChunk, rows) * rowBytes);
  withTensorFile(info, (read) => {
    for (let first = 0; first < rows; first += rowsPerChunk) {
      const here = Math.min(rowsPerChunk, rows - first);
      read(chunk.subarray(0, here * rowBytes), first * rowBytes);
      for (let c = 0; c < columns.length; c++) {
        for (let r = 0; r < here; r++) {
          const from = r * rowBytes + columns[c]! * size;
          const to = (c * rows + first + r) * size;
          for (let b = 0; b < size; b++) out[to + b] = chunk[from + b]!;
        }
      }
    }
  });
  return out;
}

function checkIndices(indices: ArrayLike<number>, count: number, info: TensorInfo): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new RangeError(`index ${index} is outside 0..${count - 1} of ${info.name}`);
    }
  }
}

/** Whether two tensors hold the same bytes; stops at the first chunk that differs. */
export function sameBytes(a: TensorInfo, b: TensorInfo): boolean {
  if (a.byteLength !== b.byteLength) return false;
  const left = new Uint8Array(Math.min(CHUNK_BYTES, a.byteLength));
  const right = new Uint8Array(left.byteLength);
  return withTensorFile(a, (readA) =>
    withTensorFile(b, (readB) => {
      for (let at = 0; at < a.byteLength; at += left.byteLength) {
        const length = Math.min(left.byteLength, a.byteLength - at);
        readA(left.subarray(0, length), at);
        readB(right.subarray(0, length), at);
        if (Buffer.compare(left.subarray(0, length), right.subarray(0, length)) !== 0) return false;
      }
      return true;
    }),
  );
}

/**
 * The tensor's bytes in chunks, read asynchronously so that the caller's thread stays responsive. The buffer is
 * reused: a chunk is valid until the next one is asked for. Chunks start at multiples of 8 bytes of the tensor.
 */
export async function* tensorChunks(info: TensorInfo): AsyncGenerator<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(info.path, 'r');
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, info.byteLength));
    for (let at = 0; at < info.byteLength; ) {
      const wanted = Math.min(buffer.byteLength, info.byteLength - at);
      for (let done = 0; done < wanted; ) {
        const { bytesRead } = await file.read(buffer, done, wanted - done, info.fileOffset + at + done);
        if (bytesRead === 0) {
          throw new InputError(
            info.path,
            `the file ends inside tensor ${JSON.stringify(info.name)}`,
            'Download or copy the file again',
          );
        }
        done += bytesRead;
      }
      yield buffer.subarray(0, wanted);
      at += wanted;
    }
  } catch (error) {
    throw asInputError(error, info.path);
  } finally {
    await file?.close();
  }
}
