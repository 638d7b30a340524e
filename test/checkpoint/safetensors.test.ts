import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromFloat32, toFloat32 } from '../../server/checkpoint/dtype.ts';
import {
  readColumnsBytes,
  readHeader,
  readRowsF32,
  readTensorBytes,
  readTensorF32,
} from '../../server/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../server/checkpoint/safetensors-write.ts';
import { InputError } from '../../server/errors.ts';

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'safetensors-')));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file from a raw header and data; `length` overrides the header length it claims. */
function rawFile(header: unknown, dataBytes: number, length?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = Buffer.alloc(8 + json.length + dataBytes);
  bytes.writeBigUInt64LE(length ?? BigInt(json.length));
  json.copy(bytes, 8);
  const file = path.join(folder, `raw-${Math.random()}.safetensors`);
  writeFileSync(file, bytes);
  return file;
}
const f32 = (shape: unknown, data_offsets: unknown) => ({ dtype: 'F32', shape, data_offsets });

describe('dtypes', () => {
  test('every float16 and bfloat16 value survives widening and rounding', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    for (const dtype of ['F16', 'BF16'] as const) {
      const back = new Uint16Array(fromFloat32(toFloat32(new Uint8Array(all.buffer), dtype), dtype).buffer);
      const isNaN16 = (v: number) => (dtype === 'F16' ? (v & 0x7fff) > 0x7c00 : (v & 0x7fff) > 0x7f80);
      const wrong = [...all].filter((v) => (isNaN16(v) ? !isNaN16(back[v]!) : back[v] !== v));
      expect(wrong).toEqual([]);
    }
  });

  test('rounds to nearest, ties to even, with carries and overflow', () => {
    const half = (value: number) => new Uint16Array(fromFloat32(Float32Array.of(value), 'F16').buffer)[0];
    expect(half(1 + 2 ** -11)).toBe(0x3c00); // tie to even: down
    expect(half(1 + 3 * 2 ** -11)).toBe(0x3c02); // tie to even: up
    expect(half(2 - 2 ** -12)).toBe(0x4000); // carries into the exponent
    expect(half(65519)).toBe(0x7bff);
    expect(half(65520)).toBe(0x7c00);
    expect(half(-(2 ** -25))).toBe(0x8000); // half the smallest subnormal ties to zero
    expect(half(1.5 * 2 ** -24)).toBe(0x0002);
    expect(half(2 ** -14 - 2 ** -26)).toBe(0x0400); // the largest subnormal carries into the normals
    const brain = (value: number) => new Uint16Array(fromFloat32(Float32Array.of(value), 'BF16').buffer)[0];
    expect(brain(1 + 2 ** -8)).toBe(0x3f80);
    expect(brain(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(brain(3.4028234663852886e38)).toBe(0x7f80);
  });
});

describe('reading', () => {
  test('tensors, rows and columns come back in every dtype; symbolic links resolve to the real file', () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => (i - 5) / 4); // exact in all three dtypes
    const target = path.join(folder, 'blob');
    writeSafetensors(
      target,
      [
        { name: 'b16', dtype: 'BF16', shape: [3, 4], data: fromFloat32(values, 'BF16') },
        { name: 'h', dtype: 'F16', shape: [3, 4], data: fromFloat32(values, 'F16') },
        { name: 'f', dtype: 'F32', shape: [3, 4], data: fromFloat32(values, 'F32') },
        { name: 'odd', dtype: 'U8', shape: [3], data: new Uint8Array([1, 2, 3]) },
        { name: 'none', dtype: 'F32', shape: [0, 4], data: new Uint8Array(0) },
        { name: '__proto__', dtype: 'F32', shape: [], data: fromFloat32(Float32Array.of(7), 'F32') },
      ],
      { format: 'pt' },
    );
    const link = path.join(folder, 'model.safetensors');
    symlinkSync(target, link);
    const { tensors, metadata, path: real } = readHeader(link);
    expect(real).toBe(target);
    expect(metadata).toEqual({ format: 'pt' });
    expect([...tensors.keys()]).toEqual(['__proto__', 'f', 'none', 'b16', 'h', 'odd']);
    for (const name of ['b16', 'h', 'f']) {
      const info = tensors.get(name)!;
      expect(info.path).toBe(target);
      expect(readTensorF32(info)).toEqual(values);
      expect([...readRowsF32(info, [2, 0, 1])]).toEqual([...values.slice(8), ...values.slice(0, 8)]);
      const columns = toFloat32(readColumnsBytes(info, [3, 1]), info.dtype as 'F32');
      expect([...columns]).toEqual([3, 7, 11, 1, 5, 9].map((i) => values[i]));
      expect(info.fileOffset % 2).toBe(0);
    }
    expect([...readTensorF32(tensors.get('__proto__')!)]).toEqual([7]);
    expect([...readTensorBytes(tensors.get('odd')!)]).toEqual([1, 2, 3]);
    expect(() => readTensorF32(tensors.get('odd')!)).toThrow(/"odd": dtype U8 is not supported/);
    expect(() => readRowsF32(tensors.get('f')!, [3])).toThrow(RangeError);
  });

  test('a range of another file is copied; the same content gives the same bytes', () => {
    const one = path.join(folder, 'one');
    const two = path.join(folder, 'two');
    const data = fromFloat32(Float32Array.of(1, 2, 3), 'F32');
    writeSafetensors(one, [{ name: 'x', dtype: 'F32', shape: [3], data }]);
    const info = readHeader(one).tensors.get('x')!;
    const range = { path: info.path, offset: info.fileOffset, length: info.byteLength };
    writeSafetensors(two, [{ name: 'x', dtype: 'F32', shape: [3], data: range }]);
    expect(readFileSync(two)).toEqual(readFileSync(one));
    const past = { ...range, offset: info.fileOffset + 4 };
    expect(() => writeSafetensors(two, [{ name: 'x', dtype: 'F32', shape: [3], data: past }])).toThrow(
      InputError,
    );
    expect(readFileSync(two)).toEqual(readFileSync(one));
  });

  test('a file cut after it was opened is reported, not read as zeros', () => {
    const file = path.join(folder, 'cut');
    writeSafetensors(file, [{ name: 'x', dtype: 'F32', shape: [4], data: new Uint8Array(16) }]);
    const info = readHeader(file).tensors.get('x')!;
    writeFileSync(file, readFileSync(file).subarray(0, info.fileOffset + 8));
    expect(() => readTensorF32(info)).toThrow(/the file ends before byte/);
  });
});

describe('malformed files are refused with the file, the place and a remedy', () => {
  const cases: [string, () => string, RegExp][] = [
    ['missing', () => path.join(folder, 'nowhere'), /no such file/],
    ['a folder', () => folder, /not a file/],
    ['empty', () => rawFileOf(Buffer.alloc(0)), /0 bytes are too few/],
    ['header longer than the file', () => rawFile('{}', 0, 1000n), /truncated: header of 1000 bytes/],
    ['huge header length', () => rawFile('{}', 0, 1n << 62n), /over the format's limit/],
    ['not JSON', () => rawFile('{nope', 0), /not valid JSON/],
    ['not UTF-8', () => rawFileOf(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe])), /not valid JSON/],
    ['a JSON list', () => rawFile([], 0), /not a JSON object/],
    ['metadata not strings', () => rawFile({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    ['entry not an object', () => rawFile({ x: 3 }, 0), /tensor "x": its header entry/],
    [
      'unknown dtype',
      () => rawFile({ x: { ...f32([1], [0, 4]), dtype: 'F12' } }, 4),
      /"x": unknown dtype "F12"/,
    ],
    [
      'inherited name as dtype',
      () => rawFile({ x: { ...f32([1], [0, 4]), dtype: 'toString' } }, 4),
      /unknown dtype/,
    ],
    ['negative size', () => rawFile({ x: f32([-1], [0, 4]) }, 4), /shape \[-1\]/],
    ['fractional size', () => rawFile({ x: f32([1.5], [0, 6]) }, 6), /shape \[1.5\]/],
    ['shape not a list', () => rawFile({ x: f32('2', [0, 4]) }, 4), /shape "2"/],
    ['offsets reversed', () => rawFile({ x: f32([1], [4, 0]) }, 4), /data_offsets \[4,0\]/],
    ['offsets not a pair', () => rawFile({ x: f32([1], [0]) }, 4), /data_offsets \[0\]/],
    ['offsets do not match shape', () => rawFile({ x: f32([2], [0, 4]) }, 4), /needs 8/],
    ['shape product overflows', () => rawFile({ x: f32([2 ** 40, 2 ** 40], [0, 4]) }, 4), /needs/],
    ['data truncated', () => rawFile({ x: f32([2], [0, 8]) }, 4), /"x": truncated/],
    ['overlap', () => rawFile({ x: f32([2], [0, 8]), y: f32([2], [4, 12]) }, 12), /"y": its bytes overlap/],
    ['gap', () => rawFile({ x: f32([1], [0, 4]), y: f32([1], [8, 12]) }, 12), /"y": a gap of 4 bytes/],
    ['bytes after the end', () => rawFile({ x: f32([1], [0, 4]) }, 9), /5 bytes follow/],
  ];
  function rawFileOf(bytes: Buffer): string {
    const file = path.join(folder, `bytes-${Math.random()}`);
    writeFileSync(file, bytes);
    return file;
  }

  test.each(cases)('%s', (_, make, message) => {
    const file = make();
    let error: unknown;
    try {
      readHeader(file);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(file);
  });
});
