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
    /^200 cases, seed 1: \d+ refused with one line, \d+ harmless, 0 faults \(\d+ s\)\n$/,
  );
  expect(Number(/(\d+) refused/.exec(stdout)![1])).toBeGreaterThan(170);
  expect(status).toBe(0);
});
