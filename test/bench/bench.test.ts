/** `npm run bench -- --quick`, without PyTorch. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { median, Report, ratio, spread } from './measure.ts';

beforeAll(() => {
  execFileSync(process.execPath, ['build.mjs', 'bench']);
});

/** The arguments and options of a run whose temporary files go to a folder of the test's. */
function bench(...flags: string[]) {
  const temporary = mkdtempSync(join(tmpdir(), 'bench-'));
  onTestFinished(() => rmSync(temporary, { recursive: true }));
  const env = { ...process.env, CCA_PYTHON: 'no-such-python', TMPDIR: temporary, TEMP: temporary };
  return { args: ['dist/bench.mjs', '--quick', '--repeats', '2', ...flags], env, temporary };
}

test('prints a figure for every case and leaves nothing behind', () => {
  const { args, env, temporary } = bench('--only', 'mask,shared,rows,decode,memory,branching');
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
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

test('sizes: figures of every model and dtype beside their bounds, and nothing left behind', () => {
  const { args, env, temporary } = bench('--only', 'sizes', '--dtype', 'bf16,bf16-lean,f32');
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  const models = stdout.split('\n\n').slice(1);
  expect(models.map((block) => block.split('\n')[0])).toEqual([
    'Tiny shapes, bf16',
    'Tiny shapes, bf16-lean',
    'Tiny shapes, f32',
  ]);
  for (const block of models) {
    const lines = block.split('\n').filter((line) => line.includes(' / '));
    expect(lines.map((line) => line.slice(0, 46).trim())).toEqual([
      'memory bandwidth, GB/s',
      'products of 128 x 128, GFLOP/s',
      'load until the first token, seconds',
      'peak memory, MB',
      'peak memory with prefill and decoding, MB',
      'peak memory of the mask steps, MB',
      'prefill of 24 tokens, tokens/s',
      expect.stringMatching(/^bound by/),
      'decoding, batch 1, tokens/s',
      expect.stringMatching(/^bound by/),
      'decoding, batch 4, tokens/s',
      expect.stringMatching(/^bound by/),
      'mask step, 4 prefixes of 20, seconds',
      expect.stringMatching(/^bound by/),
      'mask step, 4 prefixes of 40, seconds',
      expect.stringMatching(/^bound by/),
    ]);
    for (const line of lines) {
      const [least, middle, most] = /(\d[\d.e-]*) \/ (\d[\d.e-]*) \/ (\d[\d.e-]*)(?= {3}n \d+$| %$)/
        .exec(line)!
        .slice(1)
        .map(Number);
      expect(least, line).toBeGreaterThan(0);
      expect(middle, line).toBeGreaterThanOrEqual(least!);
      expect(most, line).toBeGreaterThanOrEqual(middle!);
    }
  }
});

test.skipIf(process.platform === 'win32')('Ctrl-C leaves no checkpoint behind', async () => {
  const { args, env, temporary } = bench('--only', 'sizes');
  const run = spawn(process.execPath, args, { env });
  const closed = once(run, 'close');
  let printed = '';
  run.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
    // The first child process is at work then.
    if (printed.includes('checkpoint written')) run.kill('SIGINT');
  });
  expect(await closed).toEqual([130, null]);
  expect(printed).not.toContain('bound by');
  expect(readdirSync(temporary)).toEqual([]);
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
  judged.unmeasured('absent');
  expect(judged.missed).toEqual(['slow', 'large', 'absent']);
  const quick = new Report(false);
  quick.judged('slow', '1', 1, { atLeast: 2 });
  expect(quick.missed).toEqual([]);
});
