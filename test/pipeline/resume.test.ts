import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../server/random.ts';

const root = new URL('../../', import.meta.url).pathname;
const small = [
  '--limit',
  '40',
  '--control-limit',
  '40',
  '--threads',
  '1',
  '--steps',
  '8',
  '--validate-every',
  '3',
  '--json',
];
const artefacts = [
  'traces.jsonl',
  'pairs.jsonl',
  'mask.json',
  'patch.safetensors',
  'flips.jsonl',
  'evaluate-samples.jsonl',
];

interface Ended {
  code: number | null;
  signal: string | null;
  stderr: string;
}

/** `cca run` on a part of the demo; killed after `afterMs` where given. */
function amplify(out: string, seed: number, afterMs?: number): Promise<Ended> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist/cli.mjs'),
      'run',
      '--experiment',
      join(root, 'media/demo/experiment.json'),
      '--out',
      out,
      '--seed',
      String(seed),
      ...small,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const timer = afterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), afterMs);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr });
    });
  });
}

/** report.json without its times and its folder. */
function figures(folder: string): unknown {
  const { stages, ...report } = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
  return { ...report, stages: Object.keys(stages) };
}

describe('a whole amplification', () => {
  let folder: string;
  let whole: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cca-run-'));
    whole = join(folder, 'whole');
    const { code, stderr } = await amplify(whole, 3);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('leaves the same bytes when it is killed again and again and resumed', async () => {
    const rng = new Rng('kill');
    const out = join(folder, 'killed');
    let kills = 0;
    for (let attempt = 0; ; attempt++) {
      // The last attempts are left alone, so that a slow machine gets to the end.
      const ended = await amplify(out, 3, attempt < 8 ? 800 + rng.int(3500) : undefined);
      if (ended.code === 0) break;
      expect(ended.signal).toBe('SIGKILL');
      kills++;
    }
    expect(kills).toBeGreaterThan(1);
    for (const name of artefacts) {
      expect(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
    }
    expect(figures(out)).toEqual(figures(whole));
  });

  it('reports every figure that the README quotes', () => {
    const report = figures(whole) as Record<string, never> & {
      target: {
        base: { accuracy: number; n: number };
        amplified: { accuracy: number; n: number };
        gain: number;
        p: number;
      };
      controls: Record<string, { base: { n: number }; amplified: { n: number } }>;
      circuit: { components: number; total: number; fraction: number; byKind: Record<string, number> };
      model: { hash: string };
      seed: number;
    };
    expect(report.seed).toBe(3);
    expect(report.model.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(report.target.base.n).toBe(40);
    expect(report.target.gain).toBeCloseTo(
      report.target.amplified.accuracy - report.target.base.accuracy,
      10,
    );
    expect(report.target.p).toBeGreaterThanOrEqual(0);
    expect(Object.keys(report.controls).length).toBeGreaterThan(0);
    expect(report.circuit.total).toBe(1600);
    expect(report.circuit.components).toBe(16);
    expect(report.circuit.fraction).toBeLessThanOrEqual(0.0159);
  });
});
