/** `npm run bench -- --quick`, without PyTorch. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { median, Report, ratio, spread } from './measure.ts';

test('prints a figure for every case and leaves nothing behind', () => {
  const temporary = mkdtempSync(join(tmpdir(), 'bench-'));
  onTestFinished(() => rmSync(temporary, { recursive: true }));
  execFileSync(process.execPath, ['build.mjs', 'bench']);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['dist/bench.mjs', '--quick', '--repeats', '2', '--only', 'mask,shared,rows,decode,memory,branching'],
    {
      encoding: 'utf8',
      env: { ...process.env, CCA_PYTHON: 'no-such-python', TMPDIR: temporary, TEMP: temporary },
    },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  expect(stdout).toContain('PyTorch is not installed');
  const figure = /(\d[\d.e-]*) \/ (\d[\d.e-]*) \/ (\d[\d.e-]*)$/;
  for (const label of ['ours, seconds', 'the prompt once, seconds', 'batch 4, ours, tokens/s']) {
    const line = stdout.split('\n').find((l) => l.trim().startsWith(label));
    const [least, middle, most] =
      figure
        .exec(line ?? '')
        ?.slice(1)
        .map(Number) ?? [];
    expect(least, label).toBeGreaterThan(0);
    expect(middle, label).toBeGreaterThanOrEqual(least!);
    expect(most, label).toBeGreaterThanOrEqual(middle!);
  }
  const difference = /difference between the gradients +(\S+)/.exec(stdout)?.[1];
  expect(Number(difference)).toBeLessThan(1e-5);
  expect(Number(/peak, MB +(\d+)/.exec(stdout)?.[1])).toBeGreaterThan(30);
  expect(/same pairs +(\w+)/.exec(stdout)?.[1]).toBe('yes');
});

test('ratios of medians with the extremes that the repeats allow', () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1])).toBe(2.5);
  expect(spread([2, 1, 4], (s) => 100 / s)).toBe('25.0 / 50.0 / 100');
  const { value, text } = ratio([10, 12, 20], [1, 2, 4]);
  expect(value).toBe(6);
  expect(text).toBe('2.50 / 6.00 / 20.0');
});

test('a bar that is missed is remembered, unless bars do not apply', () => {
  const judged = new Report(true);
  judged.judged('fast', '3', 3, { atLeast: 2 });
  judged.judged('slow', '1', 1, { atLeast: 2 });
  judged.judged('large', '5', 5, { atMost: 4 });
  expect(judged.missed).toEqual(['slow', 'large']);
  const quick = new Report(false);
  quick.judged('slow', '1', 1, { atLeast: 2 });
  expect(quick.missed).toEqual([]);
});
