import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InputError } from '../../server/errors.ts';
import { makeFolder } from '../../server/patch/out-folder.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'out-'));
});
afterEach(() => rmSync(root, { recursive: true }));

test('the folder appears whole, with its parents, only when it is built', async () => {
  const out = path.join(root, 'a', 'b');
  await makeFolder(out, null, async (temporary) => {
    writeFileSync(path.join(temporary, 'x'), '1');
    await Promise.resolve();
    expect(existsSync(out)).toBe(false);
  });
  expect(readFileSync(path.join(out, 'x'), 'utf8')).toBe('1');
  expect(readdirSync(path.dirname(out))).toEqual(['b']);
});

test.each(['ENOSPC', 'EACCES', 'EROFS'])(
  '%s half-way is an InputError that names the folder and leaves nothing',
  async (code) => {
    const out = path.join(root, 'out');
    const attempt = makeFolder(out, null, (temporary) => {
      writeFileSync(path.join(temporary, 'half'), 'half');
      throw Object.assign(new Error(code), { code });
    });
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(out);
    expect(readdirSync(root)).toEqual([]);
  },
);

test('a bug in the build is not disguised, and leaves nothing either', async () => {
  const attempt = makeFolder(path.join(root, 'out'), null, () => {
    throw new TypeError('a bug');
  });
  await expect(attempt).rejects.toThrow(TypeError);
  expect(readdirSync(root)).toEqual([]);
});
