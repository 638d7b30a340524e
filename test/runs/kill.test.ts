import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import { describeRun } from '../../server/runs/catalogue.ts';
import { artefacts, temporaryFolder } from './folders.ts';

const root = temporaryFolder();
const worker = path.join(root, 'worker.mjs');

beforeAll(async () => {
  const entryPoints = ['test/runs/worker.ts'];
  await build({ entryPoints, outfile: worker, bundle: true, platform: 'node', format: 'esm' });
});

/** Runs the worker on a folder, kills it some milliseconds after it begins. `code` is null when it was killed. */
function work(
  folder: string,
  killAfter = Number.POSITIVE_INFINITY,
): Promise<{ code: number | null; stderr: string; milliseconds: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [worker, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    let begun = 0;
    let timer: NodeJS.Timeout | undefined;
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.stdout.once('data', () => {
      begun = performance.now();
      if (Number.isFinite(killAfter)) timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stderr, milliseconds: performance.now() - begun });
    });
  });
}

test('a run that is killed again and again ends with the bytes of one that was not', async () => {
  const straight = path.join(root, 'straight');
  const { code, stderr, milliseconds } = await work(straight);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const expected = artefacts(straight);
  expect(Object.keys(expected)).toEqual([
    'curve.jsonl',
    'patch.bin',
    'report.json',
    'skipped.jsonl',
    'traces.jsonl',
  ]);

  let kills = 0;
  const unitsAtKill = new Set<number>();
  // Until they have hit different moments, or the test would show little; how many that takes depends on the machine's pace.
  for (let round = 0; kills < 24 || unitsAtKill.size <= 8; round++) {
    const folder = path.join(root, `killed-${round}`);
    for (;;) {
      const outcome = await work(folder, (Math.random() * milliseconds) / 4);
      expect(outcome.stderr).toBe('');
      if (outcome.code === 0) break;
      kills++;
      const begun = fs.existsSync(path.join(folder, 'manifest.json'));
      const stages = begun ? describeRun(folder).stages : [];
      if (begun) expect(describeRun(folder).status).toMatch(/interrupted|finished/);
      unitsAtKill.add(stages.reduce((sum, stage) => sum + stage.units, 0));
    }
    expect(artefacts(folder)).toEqual(expected);
    const { status, stages } = describeRun(folder);
    expect(status).toBe('finished');
    expect(stages.map((stage) => [stage.name, stage.status, stage.units])).toEqual([
      ['generate', 'finished', 40],
      ['amplify', 'finished', 40],
    ]);
  }
});
