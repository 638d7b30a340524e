/**
 * Remaining times of a whole run on a virtual clock: the demo model does real work, and every kind of it takes a time per
 * token that is made up here. So what is tested does not depend on the machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Signal, WorkKind } from '../../server/control.ts';
import { readControls } from '../../server/data/controls.ts';
import { readProblems } from '../../server/data/problems.ts';
import { Model } from '../../server/model/model.ts';
import type { StageEvent } from '../../server/pipeline/context.ts';
import { type RunData, runAll, stageSettings } from '../../server/pipeline/run.ts';
import { defaultSettings, paperSettings, type Settings } from '../../server/pipeline/settings.ts';
import type { VariantName } from '../../server/pipeline/variants.ts';
import { openRun } from '../../server/runs/run.ts';
import { judge, StageClock, type StageTimes } from '../bench/estimates.ts';

const demo = (name: string) => new URL(`../../media/demo/${name}`, import.meta.url).pathname;

/** Made-up machines: milliseconds per token, and per call (a decoding step of few sequences is dearer per token). */
const MACHINES = {
  'a small model': { forward: 0.08, decode: 0.25, train: 0.15, norms: 0.3, mask: 0.5, served: 1, call: 2 },
  'a large one': { forward: 10, decode: 14, train: 32, norms: 40, mask: 45, served: 1, call: 60 },
};
/** What a stage's first call of a kind takes beside it, to compile a session, milliseconds. */
const COMPILING = 40;

/** The default with less of everything. */
const brief: Settings = {
  ...defaultSettings,
  generate: { ...defaultSettings.generate, samples: 6, counterparts: 2 },
  amplify: { ...defaultSettings.amplify, steps: 12, validateEvery: 4, validateEveryEarly: 4 },
  variants: { ...defaultSettings.variants, lora: { ...defaultSettings.variants.lora, epochs: 1 } },
};

let data: RunData;
let clock = 0;

beforeAll(async () => {
  const problems = async (name: string, count: number) =>
    (await readProblems(demo(`data/${name}.jsonl`))).problems.slice(0, count);
  const every = async (name: string, step: number) =>
    (await readControls(demo(`data/${name}.jsonl`))).filter((_, i) => i % step === 0);
  const guard = await every('guard', 40);
  data = {
    train: await problems('train', 48),
    validation: await problems('val', 20),
    test: { test: await problems('test', 64) },
    guard,
    controls: await every('controls', 40),
    text: guard.map(({ prompt }) => prompt),
  };
});
afterEach(() => vi.restoreAllMocks());

/** Runs the pipeline on a made-up machine. */
async function run(
  settings: Settings,
  machine: keyof typeof MACHINES,
  variants: readonly VariantName[] = [],
): Promise<Record<string, StageTimes>> {
  const folder = mkdtempSync(join(tmpdir(), 'estimates-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // A model that was loaded on another machine would remember how fast that was.
  const model = await Model.load(demo('model'));
  onTestFinished(() => model.release());
  const costs = MACHINES[machine];
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  const compiled = new Set<string>();
  let stage = '';
  const signal: Signal = {
    aborted: false,
    worked(kind: WorkKind, tokens) {
      clock += costs.call + costs[kind] * tokens;
      if (!compiled.has(`${stage} ${kind}`)) clock += COMPILING;
      compiled.add(`${stage} ${kind}`);
    },
  };
  const watch = new StageClock();
  const emit = (event: StageEvent) => {
    if (event.event === 'stage') stage = event.stage;
    const told = event.event === 'stage' ? { ...event, status: event.state } : event;
    watch.read(JSON.stringify(told), clock / 1000);
  };
  const opened = openRun(folder, {
    product: { name: 'test', version: '1.0.0' },
    model: null,
    data: {},
    seed: 1,
    device: 'cpu',
    versions: {},
    stages: stageSettings(settings, 1, variants),
  });
  await runAll({ model, run: opened, signal, emit }, data, settings, { seed: 1, variants, device: 'cpu' });
  opened.close('finished');
  return Object.fromEntries(watch.stages.map((times) => [times.stage, times]));
}

describe.each([
  ['a small model', 'random'],
  ['a large one', 'lora'],
] as const)('on %s', (machine, variant) => {
  test('every stage knows its time to a quarter after 5 percent', async () => {
    const stages = await run(brief, machine, [variant]);
    const names = ['generate', 'localize', 'mask', 'amplify', 'evaluate', `variant-${variant}`];
    expect(Object.keys(stages)).toEqual(names);
    for (const name of names) {
      const { ratio, atMost } = judge(stages[name]!)!;
      expect(atMost, name).toBe(false);
      expect.soft(ratio, name).toBeGreaterThan(0.75);
      expect.soft(ratio, name).toBeLessThan(1.25);
      expect(stages[name]!.told.at(-1), name).toMatchObject({ share: 1, remaining: 0 });
    }
  }, 600_000);
});

test('a mask that is learned until its selection comes to rest says at most, and holds it', async () => {
  const mask = { ...paperSettings.mask, lambda: 0.1, learningRate: 0.05, epochs: 6 } as Settings['mask'];
  const amplify = { ...paperSettings.amplify, steps: 2 };
  const { mask: times } = await run({ ...brief, mask, amplify }, 'a large one');
  const judged = judge(times!)!;
  expect(judged.atMost).toBe(true);
  expect(judged.least).toBeGreaterThan(0.97);
  expect(times!.told.at(-1)).toMatchObject({ share: 1, remaining: 0, atMost: false });
}, 600_000);
