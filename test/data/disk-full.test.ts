import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';

/** Bytes that the disk still takes; a write past them is short, and the next one fails. */
const disk = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const writeSync = (fd: number, bytes: Uint8Array, offset = 0, length = bytes.length - offset) => {
    if (disk.left <= 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const written = fs.writeSync(fd, bytes, offset, Math.min(length, disk.left));
    disk.left -= written;
    return written;
  };
  return { ...fs, writeSync };
});

const { JsonlWriter, writeJsonl } = await import('../../server/data/jsonl.ts');
const folder = mkdtempSync(join(tmpdir(), 'full-'));
afterEach(() => {
  disk.left = Number.POSITIVE_INFINITY;
});

it('takes back a record that did not fit, and goes on when there is room', () => {
  const path = join(folder, 'a.jsonl');
  const writer = new JsonlWriter(path);
  writer.append({ a: 1 });
  disk.left = 4;
  expect(() => writer.append({ a: 'long enough' })).toThrow(/^.*a\.jsonl: no space left on the disk\. Free/);
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n');
  disk.left = Number.POSITIVE_INFINITY;
  writer.append({ a: 2 });
  writer.close();
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
});

it('leaves the old file and nothing else when a whole file does not fit', () => {
  const path = join(folder, 'b.jsonl');
  writeJsonl(path, [{ a: 1 }]);
  disk.left = 12;
  expect(() => writeJsonl(path, [{ a: 2 }, { a: 3 }])).toThrow(/b\.jsonl: no space left/);
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n');
  rmSync(folder, { recursive: true });
});
