/** LoRA and full fine-tuning on correct traces. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Amplifier, type TrainingOptions } from '../../server/amplify/amplifier.ts';
import {
  type BaselineKind,
  type BaselineOptions,
  baselineDefaults,
  loraOverlay,
  traceSettings,
} from '../../server/amplify/baselines.ts';
import { neverAborted } from '../../server/control.ts';
import type { Trace } from '../../server/data/records.ts';
import { InputError } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { logProbability } from '../../server/generate/likelihood.ts';
import { Model } from '../../server/model/model.ts';
import { overlayParameters } from '../../server/model/overlay.ts';
import { Rng } from '../../server/random.ts';
import { checkpointFolder } from '../oracle.ts';

const signal = neverAborted;
const full = { tracesPerStep: 0, epochs: 1 };

let model: Model;
let traces: Trace[];

beforeAll(async () => {
  model = await Model.load(checkpointFolder('llama-tied'));
  const rng = new Rng('traces');
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
});
afterAll(() => model.release());

const optionsOf = (kind: BaselineKind, change: Partial<BaselineOptions> = {}): BaselineOptions => ({
  ...baselineDefaults[kind],
  rank: 4,
  alpha: 8,
  ...change,
});

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

describe.each(['lora', 'full'] as const)('%s', (kind) => {
  test('step 0 is the unchanged model, bit for bit', async () => {
    const { overlay } = await traceSettings(kind, model, traces, optionsOf(kind));
    const ids = traces[0]!.prompt_ids;
    const sequence = { ids, rows: ids.map((_, t) => t) };
    const [base] = await (await Runner.create(model)).forward([sequence]);
    const [changed] = await (await Runner.create(model, overlay)).forward([sequence]);
    expect(changed!.logits).toEqual(base!.logits);
  });

  test('the loss is the mean over the completion tokens of the correct traces', async () => {
    const { overlay, objective } = await traceSettings(kind, model, traces, optionsOf(kind, full));
    const { loss } = await objective.step(overlay, new Rng(1), signal);
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
    const { overlay, objective } = await traceSettings(kind, model, traces, optionsOf(kind, full));
    const rng = new Rng('start');
    // Off zero, so that A has a gradient too.
    for (const { b } of overlay.lowRank) b.set(b.map(() => 0.1 * rng.normal()));
    const lossNow = async () => (await objective.step(overlay, new Rng(1), signal)).loss;
    const { gradients } = await objective.step(overlay, new Rng(1), signal);
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

  test('the loss falls in training', async () => {
    const { overlay, objective } = await traceSettings(kind, model, traces, optionsOf(kind, full));
    const observe = async () => ({ accuracy: 0, n: 1, suites: {} });
    const amplifier = new Amplifier(overlay, objective, observe, training, new Rng(3));
    await amplifier.observeBase();
    const losses: number[] = [];
    while (!amplifier.done) losses.push((await amplifier.advance(signal)).loss);
    expect(losses).toHaveLength(12);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
    for (let i = 1; i < losses.length; i++) expect(losses[i]!).toBeLessThan(losses[i - 1]!);
  });

  test('steps are whole passes over the correct traces, and a step depends on its rng alone', async () => {
    const { overlay, objective, steps } = await traceSettings(
      kind,
      model,
      traces,
      optionsOf(kind, { tracesPerStep: 2, epochs: 3 }),
    );
    expect(steps).toBe(8);
    const losses = [];
    for (const seed of [1, 2, 1]) losses.push((await objective.step(overlay, new Rng(seed), signal)).loss);
    expect(losses[2]).toBe(losses[0]);
    expect(losses[1]).not.toBe(losses[0]);
  });
});

test("no correct trace is the user's to mend", async () => {
  const wrong = traces.map((trace) => ({ ...trace, correct: false }));
  await expect(traceSettings('lora', model, wrong)).rejects.toThrow(InputError);
});

test('adapters start as in PEFT, from the seed', () => {
  const options = optionsOf('lora', { rank: 16, alpha: 32, seed: 5 });
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
