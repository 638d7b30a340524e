/** LoRA and full fine-tuning on correct traces. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Amplifier, type TrainingOptions } from '../../server/amplify/amplifier.ts';
import {
  denseOverlay,
  type FineTuningOptions,
  fineTuning,
  loraOverlay,
} from '../../server/amplify/baselines.ts';
import { Passes } from '../../server/amplify/passes.ts';
import { neverAborted } from '../../server/control.ts';
import type { Pair, Trace } from '../../server/data/records.ts';
import { InputError } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { logProbability } from '../../server/generate/likelihood.ts';
import { Model } from '../../server/model/model.ts';
import { overlayParameters } from '../../server/model/overlay.ts';
import { seededDropout } from '../../server/optimize/dropout.ts';
import { PairLoss } from '../../server/optimize/pair-loss.ts';
import { TextLoss } from '../../server/optimize/text-loss.ts';
import { makeRunners, type Runners } from '../../server/pipeline/context.ts';
import { defaultSettings } from '../../server/pipeline/settings.ts';
import { Rng } from '../../server/random.ts';
import { checkpointFolder } from '../oracle.ts';

const signal = neverAborted;
const kinds = ['lora', 'full'] as const;
type Kind = (typeof kinds)[number];
type Change = Partial<Pick<FineTuningOptions, 'data' | 'epochs' | 'batch'> & { dropout: number }>;

let model: Model;
let runners: Runners;
let traces: Trace[];
let pairs: Pair[];

beforeAll(async () => {
  model = await Model.load(checkpointFolder('llama-tied'));
  const rng = new Rng('traces');
  const prefix = [5, 9, 200, 17];
  const ids = (count: number) => Array.from({ length: count }, () => rng.int(model.config.vocabSize));
  traces = Array.from({ length: 7 }, (_, i) => ({
    id: `trace ${i}`,
    problem_id: `problem ${i}`,
    target: 1,
    prompt_ids: ids(3 + i),
    completion_ids: ids(9 - i),
    decoding: { strategy: 'greedy' },
    text: '',
    answer: 1,
    correct: i !== 2 && i !== 5,
    truncated: false,
  }));
  pairs = Array.from({ length: 5 }, (_, i) => ({
    ...{ id: `pair ${i}`, prefix: [...prefix, ...ids(2 + i)], desired: 20 + i, undesired: 40 + i },
    ...{ method: 'branching', status: 'auto' },
  }));
  runners = await makeRunners(
    model,
    pairs.map((pair) => pair.prefix),
  );
});
afterAll(() => model.release());

/** A baseline on all its examples at once, unless told otherwise. */
async function setUp(kind: Kind, change: Change = {}, of = traces) {
  const overlay = kind === 'lora' ? loraOverlay(model, adapters) : denseOverlay(model);
  const options = { data: 'traces' as const, epochs: 1, batch: 0, ...change };
  const data = { traces: of, pairs, controls: [[3, 4, 5]], own: [] };
  const own = { ...defaultSettings.amplify, klControl: change.data === 'pairs' ? 1 : 0, klTraces: 0 };
  return { overlay, ...(await fineTuning(overlay, runners, data, options, own, new Rng('own'), signal)) };
}

const adapters = { ...defaultSettings.variants.lora, rank: 4, alpha: 8, seed: 0 };

const training: TrainingOptions = {
  optimizer: 'adam',
  learningRate: 2e-3,
  beta1: 0.9,
  beta2: 0.999,
  steps: 12,
  warmUp: 0,
  schedule: 'constant',
  validateEvery: 12,
  validateEveryEarly: 12,
  keep: 'last' as const,
  weights: 'float32' as const,
  guard: { maxDrop: 100, maxKl: 1 },
};

describe.each(kinds)('%s', (kind) => {
  test('step 0 is the unchanged model, bit for bit', async () => {
    const { overlay } = await setUp(kind);
    const ids = traces[0]!.prompt_ids;
    const sequence = { ids, rows: ids.map((_, t) => t) };
    const [base] = await (await Runner.create(model)).forward([sequence]);
    const [changed] = await (await Runner.create(model, overlay)).forward([sequence]);
    expect(changed!.logits).toEqual(base!.logits);
  });

  test('the loss is the mean over the completion tokens of the correct traces', async () => {
    const { overlay, objective } = await setUp(kind);
    const { loss } = await objective.step(overlay, 0, new Rng(1), signal);
    const runner = await Runner.create(model);
    let sum = 0;
    let count = 0;
    for (const { prompt_ids, completion_ids } of traces.filter((t) => t.correct)) {
      const ids = [...prompt_ids, ...completion_ids];
      const [forwarded] = await runner.forward([{ ids, rows: ids.map((_, t) => t) }]);
      for (let t = prompt_ids.length; t < ids.length; t++) {
        sum -= logProbability(forwarded!.logits, t - 1, ids[t]!, model.config.vocabSize);
        count++;
      }
    }
    expect(loss).toBeCloseTo(sum / count, 5);
  });

  test('gradients are finite differences of the loss', async () => {
    const { overlay, objective } = await setUp(kind);
    const rng = new Rng('start');
    // Off zero, so that A has a gradient too.
    for (const { b } of overlay.lowRank) b.set(b.map(() => 0.1 * rng.normal()));
    const lossNow = async () => (await objective.step(overlay, 0, new Rng(1), signal)).loss;
    const { gradients } = await objective.step(overlay, 0, new Rng(1), signal);
    const parameters = overlayParameters(overlay);
    expect([...gradients.keys()].sort()).toEqual([...parameters.keys()].sort());
    for (const part of kind === 'lora'
      ? [
          'lora.a.model.layers.0.self_attn.q',
          'lora.b.model.layers.1.mlp.down',
          'lora.a.model.layers.2.mlp.up',
        ]
      : ['dense.model.embed', 'dense.model.layers.1.self_attn.o', 'dense.model.norm']) {
      const name = [...parameters.keys()].find((key) => key.startsWith(part))!;
      const values = parameters.get(name)!;
      const gradient = gradients.get(name)!;
      const at = gradient.reduce((best, g, i) => (Math.abs(g) > Math.abs(gradient[best]!) ? i : best), 0);
      const start = values[at]!;
      const lossAt = async (h: number) => {
        values[at] = start + h;
        return lossNow();
      };
      // Four-point central difference: its error is of fourth order, so the step can dwarf float32 rounding.
      const h = 0.02;
      const near = (await lossAt(h)) - (await lossAt(-h));
      const far = (await lossAt(2 * h)) - (await lossAt(-2 * h));
      values[at] = start;
      const slope = (8 * near - far) / (12 * h);
      expect(Math.abs(slope / gradient[at]! - 1), name).toBeLessThan(2e-3);
    }
  });

  test.each(['traces', 'pairs'] as const)('the loss on %s falls in training', async (data) => {
    const { overlay, objective } = await setUp(kind, { data });
    const observe = async () => ({ accuracy: 0, n: 1, suites: {} });
    const amplifier = new Amplifier(overlay, objective, observe, training, new Rng(3));
    amplifier.setBase(await amplifier.observeBase());
    const losses: number[] = [];
    while (!amplifier.done) losses.push((await amplifier.advance(signal)).loss);
    expect(losses).toHaveLength(12);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
    if (data === 'pairs') return;
    for (let i = 1; i < losses.length; i++) expect(losses[i]!).toBeLessThan(losses[i - 1]!);
  });

  test("pairs: the run's own objective, its loss and its KL term", async () => {
    const { overlay, objective } = await setUp(kind, { data: 'pairs' });
    const { loss, margin, klControl } = await objective.step(overlay, 0, new Rng(1), signal);
    const [plain, shared] = await Promise.all(
      [runners.plain, runners.shared].map(async (runner) => {
        const ofPairs = await PairLoss.create(runner, 'softplus', { kind: 'overlay' }, overlay);
        return ofPairs.run(pairs, { overlay, signal });
      }),
    );
    expect(klControl).toBeCloseTo(0, 6);
    for (const expected of [plain!, shared!]) {
      expect(loss).toBeCloseTo(expected.loss, 5);
      expect(margin).toBeCloseTo(expected.margins.reduce((a, b) => a + b, 0) / pairs.length, 5);
    }
  });

  test('steps are whole passes over the examples', async () => {
    expect((await setUp(kind, { batch: 2, epochs: 3 })).steps).toBe(9);
    expect((await setUp(kind, { batch: 2, epochs: 3, data: 'pairs' })).steps).toBe(9);
    expect((await setUp(kind, { batch: 100, epochs: 3 })).steps).toBe(3);
    // The mean of a pass over steps of one trace, weighted by their tokens, is the loss on all traces.
    const { overlay, objective } = await setUp(kind, { batch: 1 });
    const whole = await (await setUp(kind)).objective.step(overlay, 0, new Rng(1), signal);
    const correct = traces.filter((trace) => trace.correct);
    const alone = await Promise.all(
      correct.map(async (trace) => {
        const one = await setUp(kind, {}, [trace]);
        return (await one.objective.step(overlay, 0, new Rng(1), signal)).loss;
      }),
    );
    const seen = [];
    for (let step = 0; step < 5; step++)
      seen.push((await objective.step(overlay, step, new Rng(1), signal)).loss);
    expect(seen.map((loss) => loss.toFixed(5)).sort()).toEqual(alone.map((loss) => loss.toFixed(5)).sort());
    const tokens = correct.map((trace) => trace.completion_ids.length);
    const sum = alone.reduce((total, loss, i) => total + loss * tokens[i]!, 0);
    expect(whole.loss).toBeCloseTo(sum / tokens.reduce((a, b) => a + b, 0), 5);
  });
});

test('a pass has every item once, in an order of its own, whichever step is asked for first', () => {
  const passes = new Passes(7, 3, new Rng(1));
  expect(passes.steps).toBe(3);
  const steps = Array.from({ length: 9 }, (_, step) => passes.items(step));
  expect(steps.map((items) => items.length)).toEqual([3, 3, 1, 3, 3, 1, 3, 3, 1]);
  const orders = [0, 1, 2].map((pass) => steps.slice(3 * pass, 3 * pass + 3).flat());
  for (const order of orders) expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(orders.map(String)).size).toBe(3);
  for (const step of [8, 4, 0]) expect(new Passes(7, 3, new Rng(1)).items(step)).toEqual(steps[step]);
});

describe('dropout', () => {
  test('drops the given share, scales the rest, and depends on sequence, matrix and stream alone', () => {
    const drawn = seededDropout(0.25, new Rng(1))(0, 'w', 20_000);
    expect(new Set(drawn)).toEqual(new Set([0, Math.fround(4 / 3)]));
    const dropped = drawn.filter((x) => x === 0).length / drawn.length;
    // Five standard errors of 0.25 in 20,000 draws.
    expect(Math.abs(dropped - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / 20_000));
    expect(seededDropout(0.25, new Rng(1))(0, 'w', 20_000)).toEqual(drawn);
    for (const other of [
      seededDropout(0.25, new Rng(2))(0, 'w', 20_000),
      seededDropout(0.25, new Rng(1))(1, 'w', 20_000),
      seededDropout(0.25, new Rng(1))(0, 'v', 20_000),
    ]) {
      const same = other.filter((x, i) => x === drawn[i]).length / drawn.length;
      expect(same).toBeLessThan(0.75 ** 2 + 0.25 ** 2 + 0.03);
    }
  });

  test.each(['traces', 'pairs'] as const)('%s: acts in every step anew, and is unbiased', async (data) => {
    const { overlay, objective } = await setUp('lora', { data, dropout: 0.3 });
    const exact = await setUp('lora', { data });
    const rng = new Rng('b');
    for (const { b } of overlay.lowRank) b.set(b.map(() => 0.02 * rng.normal()));
    const { loss } = await exact.objective.step(overlay, 0, new Rng(1), signal);
    const drawn = [];
    for (let i = 0; i < 40; i++) drawn.push((await objective.step(overlay, 0, new Rng(i), signal)).loss);
    expect((await objective.step(overlay, 0, new Rng(7), signal)).loss).toBe(drawn[7]);
    expect(new Set(drawn).size).toBe(40);
    const mean = drawn.reduce((a, b) => a + b, 0) / 40;
    const error = Math.sqrt(drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 39 / 40);
    // The loss is not linear in what is dropped, but nearly so for a small adapter.
    expect(Math.abs(mean - loss)).toBeLessThan(5 * error + 0.01);
    expect(error).toBeGreaterThan(0);
  });

  test('one sequence gets the same in any batch', async () => {
    const { overlay } = await setUp('lora', { dropout: 0.3 });
    const loss = await TextLoss.create(
      runners.plain,
      'crossEntropy',
      { kind: 'overlay', dropout: true },
      overlay,
    );
    for (const { b } of overlay.lowRank) b.fill(0.05);
    const item = (ids: number[], share: number) => ({ ids, rows: [1], share });
    const target = { kind: 'crossEntropy', labels: [3] } as const;
    const dropout = seededDropout(0.3, new Rng(1));
    const run = (items: ReturnType<typeof item>[]) =>
      loss.run(
        items,
        items.map(() => target),
        { overlay, dropout, signal },
      );
    const alone = await run([item([1, 2, 3], 1)]);
    const beside = await run([item([1, 2, 3], 1), item([9, 8, 7, 6, 5], 0)]);
    expect(beside.loss).toBeCloseTo(alone.loss, 5);
  });
});

test("no correct trace is the user's to mend", async () => {
  const wrong = traces.map((trace) => ({ ...trace, correct: false }));
  await expect(setUp('lora', {}, wrong)).rejects.toThrow(InputError);
});

test('adapters start as in PEFT, from the seed', () => {
  const options = { ...adapters, rank: 16, alpha: 32, seed: 5 };
  const { lowRank } = loraOverlay(model, options);
  expect(lowRank).toHaveLength(7 * model.config.numLayers);
  for (const { tensor, a, b, rank, scale } of lowRank) {
    const [out, width] = model.tensors(tensor).shape as [number, number];
    expect([a.length, b.length, rank, scale]).toEqual([16 * width, out * 16, 16, 2]);
    expect(b.every((x) => x === 0)).toBe(true);
    const largest = Math.max(...a.map(Math.abs));
    expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(width));
    expect(largest).toBeGreaterThan(0.98 / Math.sqrt(width));
    expect(Math.abs(a.reduce((sum, x) => sum + x, 0) / a.length)).toBeLessThan(0.1 / Math.sqrt(width));
  }
  const only = loraOverlay(model, { ...options, targets: ['up_proj'] });
  expect(only.lowRank.map((l) => l.a)).toEqual(
    lowRank.filter((l) => l.tensor.includes('up_proj')).map((l) => l.a),
  );
  expect(loraOverlay(model, { ...options, seed: 6 }).lowRank[0]!.a).not.toEqual(lowRank[0]!.a);
});
