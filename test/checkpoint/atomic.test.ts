import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { InputError } from '../../server/errors.ts';
import { openAtomic, writeFileAtomic, writeFilesAtomic } from '../../server/runs/atomic.ts';

const failing = vi.hoisted(() => ({
  write: undefined as string | undefined,
  sync: undefined as string | undefined,
}));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const fail = (code: string) => {
    throw Object.assign(new Error(code), { code });
  };
  return {
    ...real,
    writeSync: (...args: Parameters<typeof real.writeSync>) =>
      failing.write ? fail(failing.write) : real.writeSync(...args),
    fsyncSync: (descriptor: number) => (failing.sync ? fail(failing.sync) : real.fsyncSync(descriptor)),
  };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'atomic-'));
});
afterEach(() => {
  failing.write = undefined;
  failing.sync = undefined;
  rmSync(folder, { recursive: true });
});

test('writes strings and bytes, makes parent folders, replaces an existing file, leaves no temporary file', () => {
  const target = path.join(folder, 'a', 'b.json');
  writeFileAtomic(target, 'old');
  writeFileAtomic(target, new Uint8Array([0xc3, 0xa9]));
  expect(readFileSync(target, 'utf8')).toBe('é');
  expect(readdirSync(path.dirname(target))).toEqual(['b.json']);
});

test('nothing is visible at the target before commit, and abort leaves the old file', () => {
  const target = path.join(folder, 'x');
  writeFileSync(target, 'old');
  const file = openAtomic(target);
  file.write('part');
  expect(readFileSync(target, 'utf8')).toBe('old');
  file.abort();
  file.abort();
  expect(readdirSync(folder)).toEqual(['x']);
  expect(() => file.write('late')).toThrow('already closed');
  const second = openAtomic(target);
  second.write('one ');
  second.write('two');
  second.commit();
  second.abort();
  expect(readFileSync(target, 'utf8')).toBe('one two');
});

test.each(['ENOSPC', 'EROFS', 'EACCES'])(
  '%s while writing is an InputError and leaves the old file only',
  (code) => {
    const target = path.join(folder, 'x');
    writeFileSync(target, 'old');
    failing.write = code;
    const attempt = () => writeFileAtomic(target, 'new');
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(target);
    expect(readdirSync(folder)).toEqual(['x']);
    expect(readFileSync(target, 'utf8')).toBe('old');
  },
);

test('a disk that fills up at the flush is reported too; an unknown error is not disguised', () => {
  const target = path.join(folder, 'x');
  failing.sync = 'ENOSPC';
  expect(() => writeFileAtomic(target, 'new')).toThrow(/no space left.*Free some space/);
  failing.sync = 'EWEIRD';
  expect(() => writeFileAtomic(target, 'new')).toThrow(/^EWEIRD$/);
  expect(readdirSync(folder)).toEqual([]);
});

test('a file in the place of a folder, and a folder in the place of the file, name the target', () => {
  writeFileSync(path.join(folder, 'f'), '');
  mkdirSync(path.join(folder, 'd', 'inner'), { recursive: true });
  expect(() => writeFileAtomic(path.join(folder, 'f', 'x'), '')).toThrow(InputError);
  expect(() => writeFileAtomic(path.join(folder, 'd'), '')).toThrow(InputError);
  expect(readdirSync(folder).sort()).toEqual(['d', 'f']);
});

test('several files at once: each whole, and one that fails does not keep the others', async () => {
  const target = (name: string) => path.join(folder, 'deep', name);
  const files = Array.from({ length: 50 }, (_, i) => ({ target: target(`${i}`), data: `data ${i}` }));
  await writeFilesAtomic(files);
  for (const file of files) expect(readFileSync(file.target, 'utf8')).toBe(file.data);
  mkdirSync(target('taken'));
  const some = [
    { target: target('taken'), data: 'x' },
    { target: target('free'), data: 'y' },
  ];
  await expect(writeFilesAtomic(some)).rejects.toThrow(InputError);
  expect(readFileSync(target('free'), 'utf8')).toBe('y');
  expect(readdirSync(path.join(folder, 'deep'))).toHaveLength(52);
});
