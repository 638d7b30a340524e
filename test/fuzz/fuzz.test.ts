/** `npm run fuzz`: 200 damaged files, every one refused with one line, none in a crash, a hang or a flood of memory. */
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { build } from '../cli/built.ts';

const root = path.resolve(import.meta.dirname, '../..');

test('200 damaged checkpoints, tokenizers and data files', { timeout: 900_000 }, async () => {
  await build();
  execFileSync(process.execPath, ['build.mjs', 'fuzz', 'fuzz-worker'], { cwd: root });
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['dist/fuzz.mjs', '--cases', '200', '--seed', '1'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  expect(stderr).toBe('');
  // Faults are listed with the number of their case.
  expect(stdout).toMatch(
    /^200 cases, seed 1: 200 refused with one line, 0 faults \(\d+ harmless ones drawn anew, \d+ s\)\n$/,
  );
  expect(status).toBe(0);
});
