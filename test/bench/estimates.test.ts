/** Estimates against the truth: reading what a run told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { build, CLI, scratch } from '../cli/built.ts';
import { tinyTask } from '../cli/tiny-task.ts';
import { estimates, judge, StageClock } from './estimates.ts';
import { Report } from './measure.ts';

const root = scratch();
beforeAll(build);

const line = (fields: object) => JSON.stringify(fields);

test('a stage is judged by the first estimate after 5 % of its time', () => {
  const clock = new StageClock();
  clock.read(line({ event: 'message', text: 'begins' }), 9);
  clock.read(line({ event: 'stage', stage: 'mask', status: 'started' }), 10);
  const told = [
    [10.1, null],
    [10.4, 200],
    [10.6, 11],
    [15, 4],
    [18, 3],
  ] as const;
  for (const [at, remaining] of told) {
    clock.read(line({ event: 'progress', stage: 'mask', share: 0.5, remaining }), at);
  }
  clock.read(line({ event: 'stage', stage: 'mask', status: 'finished', seconds: 10 }), 20);
  clock.read(line({ event: 'stage', stage: 'amplify', status: 'skipped' }), 20);
  expect(clock.stages.map(({ stage, truth }) => [stage, truth])).toEqual([['mask', 10]]);
  const judged = judge(clock.stages[0]!)!;
  expect(judged.after).toBeCloseTo(0.06);
  expect(judged.ratio).toBeCloseTo(1.16);
  expect(judged.least).toBeCloseTo(0.9);
  expect(judged.most).toBeCloseTo(1.16);
  expect(judged.atMost).toBe(false);
});

test('a stage that told nothing is not judged, and a bound is not an estimate', () => {
  expect(judge({ stage: 'localize', truth: 1, told: [] })).toBeNull();
  const bound = { at: 0.5, share: 0.1, remaining: 30, atMost: true };
  expect(judge({ stage: 'mask', truth: 4, told: [bound] })).toMatchObject({ atMost: true, ratio: 30.5 / 4 });
});

test('an experiment is run as the command line runs it, and every stage has its lines', async () => {
  const { model, problems: train, val, test: held, controls, guard, text } = tinyTask(root);
  const experiment = join(root, 'experiment.json');
  const settings = {
    generate: {
      ...{ samples: 30, temperatureWrong: 2, temperatureRight: 2, maxTokens: 30 },
      stop: { strings: ['.', 'e', '4'] },
    },
    mask: { budget: 0.1 },
    amplify: { steps: 2, guard: { maxDrop: 100, maxKl: 1000 } },
    evaluate: { maxTokens: 20 },
  };
  const problems = { train, val, test: held };
  const files = { controls: { test: [controls], guard: [guard] }, text: [text] };
  writeFileSync(experiment, JSON.stringify({ model, problems, ...files, settings, seed: 5 }));
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line) => lines.push(String(line)));
  const options = ['--threads', '1'];
  await estimates(new Report(false), { cli: CLI, folder: root, experiment, repeats: 1, options });
  vi.restoreAllMocks();
  const printed = lines.join('\n');
  for (const stage of ['generate', 'localize', 'mask', 'amplify', 'evaluate']) {
    expect(printed).toMatch(new RegExp(`${stage}, seconds +[\\d.]+ / [\\d.]+ / [\\d.]+`));
  }
  expect(printed).toMatch(/amplify: estimate after [\d.]+ % +[\d.]+ /);
});
