import { describe, expect, test } from 'vitest';
import { Rng } from '../../server/random.ts';
import { PipelineProgress, StageProgress } from '../../server/runs/progress.ts';

const SHAPES: Record<string, (x: number) => number> = {
  constant: () => 1,
  'rising to twice': (x) => 1 + x,
  'rising to three times': (x) => 1 + 2 * x,
  'falling to a third': (x) => 1 - 0.67 * x,
};

/** Estimated over true remaining time, after each unit of a stage. */
function ratios(costs: number[], from = 0): number[] {
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const progress = new StageProgress(from + costs.length, from, 1000);
  let spent = 0;
  return costs.map((cost, i) => {
    spent += cost;
    progress.update(from + i + 1, 1000 + spent);
    return progress.remaining(1000 + spent)! / (total - spent);
  });
}

function curve(shape: string, units: number, unitSeconds: number): number[] {
  return Array.from({ length: units }, (_, i) => unitSeconds * SHAPES[shape]!((i + 0.5) / units));
}

describe.each(Object.keys(SHAPES))('a cost that is %s', (shape) => {
  test.each([
    [100, 0.05],
    [100, 60],
    [400, 1],
    [2000, 0.2],
  ])('of %i units at %f s is known to a quarter after 5 percent, and stays known', (units, seconds) => {
    const seen = ratios(curve(shape, units, seconds));
    for (let i = Math.ceil(units * 0.05) - 1; i < units - 1; i++) {
      expect(seen[i], `after unit ${i + 1}`).toBeGreaterThan(0.75);
      expect(seen[i], `after unit ${i + 1}`).toBeLessThan(1.25);
    }
  });
});

test('noise is not taken for a trend: a constant cost that varies by 30 % stays within a quarter', () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = new Rng(seed);
    const costs = Array.from({ length: 400 }, () => 1 + 0.52 * (2 * random.float() - 1));
    const seen = ratios(costs);
    for (let i = 19; i < 380; i++) {
      expect(Math.abs(seen[i]! - 1), `seed ${seed}, after unit ${i + 1}`).toBeLessThan(0.25);
    }
  }
});

test('a drift is found under noise by half of the work', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = new Rng(seed);
    const costs = curve('rising to three times', 400, 1).map(
      (cost) => cost * (1 + 0.2 * (2 * random.float() - 1)),
    );
    expect(Math.abs(ratios(costs)[199]! - 1), `seed ${seed}`).toBeLessThan(0.25);
  }
});

test('old speed is forgotten after a change', () => {
  const costs = Array.from({ length: 200 }, (_, i) => (i < 60 ? 1 : 4));
  expect(Math.abs(ratios(costs)[160]! - 1)).toBeLessThan(0.15);
});

test('a slow first unit (compilation) does not count', () => {
  const costs = Array.from({ length: 100 }, (_, i) => (i === 0 ? 30 : 1));
  expect(Math.abs(ratios(costs)[4]! - 1)).toBeLessThan(0.01);
});

test('work done by an earlier session is not taken for speed', () => {
  expect(Math.abs(ratios(new Array(50).fill(2), 950)[4]! - 1)).toBeLessThan(0.01);
});

test('units count by their weight', () => {
  const progress = new StageProgress(1000, 0, 0);
  let now = 0;
  let done = 0;
  for (const weight of [10, 90, 20, 50, 80]) {
    now += weight * 0.5;
    done += weight;
    progress.update(done, now);
  }
  expect(progress.remaining(now)).toBeCloseTo(375, 6);
});

test('the estimate counts down between updates, by no more than the unit under way', () => {
  const progress = new StageProgress(100, 0, 0);
  expect(progress.remaining(5)).toBeNull();
  for (let i = 1; i <= 10; i++) progress.update(i, i * 2);
  expect(progress.remaining(20)).toBeCloseTo(180);
  expect(progress.remaining(21)).toBeCloseTo(179);
  expect(progress.remaining(300)).toBeCloseTo(178);
  progress.update(100, 300);
  expect(progress.remaining(300)).toBe(0);
});

describe('a pipeline', () => {
  const plan = [
    { name: 'generate', cost: 10 },
    { name: 'mask', cost: 30 },
    { name: 'evaluate', cost: 20 },
  ];

  test('knows nothing before a stage has told something', () => {
    const pipeline = new PipelineProgress(plan);
    pipeline.begin('generate', 0);
    expect(pipeline.remaining()).toBeNull();
    pipeline.update(0.01, null, 1);
    expect(pipeline.remaining()).toBeNull();
  });

  test('scales the plan by what the running stage says, already within the first one', () => {
    const pipeline = new PipelineProgress(plan);
    pipeline.begin('generate', 0);
    pipeline.update(0, null, 0);
    pipeline.update(0.05, 95, 5);
    // 100 s for a planned 10: the rest of this stage and 50 planned, times 10.
    expect(pipeline.remaining()).toBeCloseTo(95 + 500, 6);
  });

  test('weighs stages by their planned cost, those that have ended by what they took', () => {
    const pipeline = new PipelineProgress(plan);
    pipeline.begin('generate', 0);
    pipeline.update(0, 500, 0);
    pipeline.begin('mask', 20);
    pipeline.update(0, 200, 20);
    // 20 s and 200 s for 40 planned, so 110 s for the last 20.
    expect(pipeline.remaining()).toBeCloseTo(200 + 110, 6);
    // It ends early.
    pipeline.end(50);
    expect(pipeline.remaining()).toBeCloseTo((20 * (20 + 30)) / 40, 6);
  });

  test('skipped and partly resumed stages do not distort the pace', () => {
    const pipeline = new PipelineProgress(plan);
    pipeline.skip('generate');
    pipeline.begin('mask', 0);
    pipeline.update(0.9, 10, 0);
    // A tenth of the stage takes 10 s, so a planned 30 is 100 s.
    expect(pipeline.remaining()).toBeCloseTo(10 + 200 / 3, 6);
    pipeline.end(10);
    expect(pipeline.remaining()).toBeCloseTo(200 / 3, 6);
    pipeline.begin('evaluate', 10);
    pipeline.end(10);
    expect(pipeline.remaining()).toBe(0);
  });

  test('refuses a stage that is not planned', () => {
    expect(() => new PipelineProgress(plan).begin('export', 1)).toThrow('not in the plan');
  });
});
