import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { readControls } from '../../server/data/controls.ts';
import { readProblems } from '../../server/data/problems.ts';
import { Cancelled } from '../../server/errors.ts';
import { Model } from '../../server/model/model.ts';
import { type Forecast, forecastRun } from '../../server/pipeline/forecast.ts';
import type { RunData } from '../../server/pipeline/run.ts';
import { defaultSettings, paperSettings, type Settings } from '../../server/pipeline/settings.ts';

const demo = (...names: string[]) => path.resolve(import.meta.dirname, '../../media/demo', ...names);
let model: Model;
let data: RunData;
beforeAll(async () => {
  model = await Model.load(demo('model'));
  const read = async (name: string, count: number) =>
    (await readProblems(demo('data', `${name}.jsonl`), {})).problems.slice(0, count);
  const controls = await readControls(demo('data', 'controls.jsonl'));
  data = {
    train: await read('train', 16),
    validation: await read('val', 8),
    test: { test: await read('test', 20) },
    guard: controls.slice(0, 10),
    controls: controls.slice(10, 30),
    text: controls.slice(30, 60).map(({ prompt }) => prompt),
  };
});

const settings = (change: Partial<Settings['amplify']> = {}): Settings => ({
  ...defaultSettings,
  generate: { ...defaultSettings.generate, maxTokens: 40, samples: 4 },
  amplify: { ...defaultSettings.amplify, steps: 20, ...change },
});
const of = ({ stages }: Forecast, name: string) => stages.find((stage) => stage.name === name)!;

test('every stage has a range, from one measurement; more work takes longer in proportion', async () => {
  const ask = (own: RunData, how: Settings, variants: string[] = []) =>
    forecastRun(model, own, how, variants, neverAborted);
  const once = await ask(data, settings(), ['random']);
  expect(once.stages.map(({ name }) => name)).toEqual([
    'generate',
    'localize',
    'mask',
    'amplify',
    'evaluate',
    'variant-random',
  ]);
  for (const { name, low, high } of once.stages) {
    expect(low, name).toBeGreaterThan(0);
    expect(high, name).toBeGreaterThan(low);
  }
  // Nothing is measured again: equal questions have equal answers, and those of twice the work twice the time.
  expect(await ask(data, settings(), ['random'])).toEqual(once);
  const suites = {
    ...data,
    test: { test: [...data.test.test!, ...data.test.test!] },
    controls: [...data.controls, ...data.controls],
  };
  expect(of(await ask(suites, settings()), 'evaluate').high / of(once, 'evaluate').high).toBeCloseTo(2, 1);
  const validateEvery = 1000;
  const [short, long] = [
    await ask(data, settings({ steps: 100, validateEvery })),
    await ask(data, settings({ steps: 300, validateEvery })),
  ];
  const steps = (forecast: Forecast) => of(forecast, 'amplify').high;
  const [a, b] = [steps(short), steps(long)];
  // What is observed before and after is the same.
  expect(b).toBeGreaterThan(1.5 * a);
  expect(b).toBeLessThan(3 * a);
  const more = { ...settings(), generate: { ...settings().generate, samples: 9 } };
  expect(of(await ask(data, more), 'generate').high / of(once, 'generate').high).toBeCloseTo(2, 5);
  expect((await ask(data, more)).disk).toBeGreaterThan(once.disk);
  // The learned mask, and no walk where prefixes are compared.
  const paper = await ask(data, {
    ...settings(),
    mask: paperSettings.mask,
    localize: { ...settings().localize, method: 'prefix' },
  });
  expect(of(paper, 'mask').high).toBeGreaterThan(of(paper, 'mask').low);
  expect(of(paper, 'localize')).toEqual({ name: 'localize', low: 0, high: 0 });
});

test('it can be stopped', async () => {
  const signal = { aborted: true };
  const fresh = { ...data, train: data.train.slice(0, 3) };
  await expect(forecastRun(model, fresh, settings(), [], signal)).rejects.toThrow(Cancelled);
});
