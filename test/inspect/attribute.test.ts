import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTensorF32 } from '../../server/checkpoint/safetensors.ts';
import { neverAborted } from '../../server/control.ts';
import { Cancelled } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import {
  attributePairs,
  eachAttribution,
  GATE_OF_PLAIN_MODEL,
  type PairAttribution,
} from '../../server/inspect/attribute.ts';
import { MeanAttribution, meanAttribution, servedTogether } from '../../server/inspect/purpose.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay } from '../../server/model/overlay.ts';
import { flat, relative } from '../model/compare.ts';
import { asPairs } from '../model/pairs.ts';
import { loadOracle } from '../oracle.ts';

const oracle = loadOracle('llama-untied-hd');
const pairs = asPairs(oracle.pairs);
let model: Model;
let runner: Runner;
beforeAll(async () => {
  model = await Model.load(oracle.folder);
  runner = await Runner.create(model);
});
afterAll(() => model.release());

describe('attributePairs', () => {
  test('tells each pair in its order, in blocks of several', async () => {
    const many = [...pairs, ...pairs.toReversed(), pairs[0]!];
    const seen: [number, PairAttribution][] = [];
    const results = await attributePairs(runner, many, { onPair: (i, result) => seen.push([i, result]) });
    expect(results.map((r) => r.pair)).toEqual(many);
    expect(seen).toEqual(results.map((r, i) => [i, r]));
    for (const [i, j] of [
      [0, 12],
      [2, 9],
      [5, 6],
    ] as const) {
      expect(relative(results[i]!.inputs!, results[j]!.inputs!)).toBeLessThan(1e-5);
      expect(relative(results[i]!.gates!, results[j]!.gates!)).toBeLessThan(1e-5);
    }
  });

  test('attributes at the gates given', async () => {
    const { m, margins, grad } = oracle.mask.random;
    const results = await attributePairs(runner, pairs, { gate: flat(m).map((x) => 2 * x), inputs: false });
    const sum = new Float64Array(results[0]!.gates!.length);
    results.forEach(({ gatedMargin, margin, inputs, gates }, p) => {
      expect(gatedMargin).toBeCloseTo(margins[p]!, 4);
      expect(margin).toBeCloseTo(oracle.pairs[p]!.margin, 4);
      expect(inputs).toBeNull();
      gates!.forEach((g, i) => {
        sum[i]! += (2 * g) / pairs.length;
      });
    });
    expect(relative(sum, flat(grad))).toBeLessThan(1e-5);
  });

  test('at gate 1 the gated model is the model', async () => {
    const results = await attributePairs(runner, pairs, { gate: GATE_OF_PLAIN_MODEL });
    for (const { margin, gatedMargin } of results) expect(gatedMargin).toBeCloseTo(margin, 4);
    // Negative: strengthening the component raises the margin.
    const steps = await MaskSteps.create(runner, pairs, 'margin', neverAborted);
    const { gates } = results[0]!;
    const strongest = gates!.indexOf(Math.min(...gates!));
    const marginAt = async (value: number) => {
      const gate = new Float32Array(gates!.length).fill(1);
      gate[strongest] = value;
      return (await steps.run([0], gate, { signal: neverAborted })).margins[0]!;
    };
    const slope = ((await marginAt(1.01)) - (await marginAt(0.99))) / 0.02;
    expect(slope).toBeCloseTo(-gates![strongest]!, 3);
  });

  test('a positive token pushes toward desired', async () => {
    const [result] = await attributePairs(runner, pairs.slice(3, 4), { components: false });
    expect(result).toMatchObject({ gates: null, gatedMargin: null });
    const { prefix, desired, undesired } = pairs[3]!;
    const top = result!.inputs!.indexOf(Math.max(...result!.inputs!));
    // The same model with that token's embedding one percent longer; a token that stands there once.
    expect(prefix.filter((id) => id === prefix[top])).toHaveLength(1);
    const name = model.arch.embedding;
    const { hiddenSize, vocabSize } = model.config;
    const data = readTensorF32(model.checkpoint.tensors.get(name)!);
    const step = 0.01;
    const at = prefix[top]! * hiddenSize;
    for (let i = at; i < at + hiddenSize; i++) data[i] = data[i]! * (1 + step);
    const changed = await Runner.create(model, {
      ...noOverlay,
      dense: new Map([[name, { data, dims: [vocabSize, hiddenSize] }]]),
    });
    const [{ logits } = { logits: new Float32Array() }] = await changed.forward([
      { ids: prefix, rows: [prefix.length - 1] },
    ]);
    const slope = (logits[desired]! - logits[undesired]! - result!.margin) / step;
    expect(slope).toBeGreaterThan(0);
    expect(Math.abs(slope / result!.inputs![top]! - 1)).toBeLessThan(0.05);
  });

  test('a shared prefix changes nothing', async () => {
    const prompt = oracle.logits.ids.slice(0, 12);
    const longer = pairs.map((pair) => ({ ...pair, prefix: [...prompt, ...pair.prefix] }));
    const whole = await attributePairs(runner, longer);
    const parted = await attributePairs(await Runner.create(model, noOverlay, prompt), longer);
    parted.forEach((result, p) => {
      expect(result.inputs).toHaveLength(longer[p]!.prefix.length);
      expect(relative(result.inputs!, whole[p]!.inputs!)).toBeLessThan(1e-5);
      expect(relative(result.gates!, whole[p]!.gates!)).toBeLessThan(1e-5);
    });
  });

  test('refuses gates of another model, and stops when asked', async () => {
    await expect(attributePairs(runner, pairs, { gate: new Float32Array(3) })).rejects.toThrow(RangeError);
    const signal = { aborted: false };
    const seen: number[] = [];
    const stopped = attributePairs(runner, [...pairs, ...pairs, ...pairs], {
      signal,
      onPair(i) {
        seen.push(i);
        signal.aborted = true;
      },
    });
    await expect(stopped).rejects.toThrow(Cancelled);
    expect(seen.length).toBeLessThanOrEqual(8);
  });
});

describe('what components are for', () => {
  test('means and served pairs', () => {
    const mean = new MeanAttribution(3, 2);
    mean.add(0, Float32Array.of(-1, 0.5, 0));
    mean.add(1, Float32Array.of(-3, 1, -2));
    mean.add(2, Float32Array.of(-2, -1, 0));
    mean.add(3, Float32Array.of(-3, 0, 2));
    expect([...mean.mean()]).toEqual([-2.25, 0.125, 0]);
    expect(mean.served(0)).toEqual([
      { pair: 1, gradient: -3 },
      { pair: 3, gradient: -3 },
    ]);
    expect(mean.served(1)).toEqual([{ pair: 2, gradient: -1 }]);
    expect(mean.served(2)).toEqual([{ pair: 1, gradient: -2 }]);
    expect([...new MeanAttribution(2).mean()]).toEqual([0, 0]);
  });

  test('what several serve together: as much as each helps at the token, hinderers aside', () => {
    const mean = new MeanAttribution(4, 2);
    mean.add(0, Float32Array.of(-1, 0, -4, -9));
    mean.add(1, Float32Array.of(-3, -2, 0, -9));
    mean.add(2, Float32Array.of(0, -1, -1, -9));
    const at = (...gradients: number[]) => gradients.map((gradient, component) => ({ component, gradient }));
    expect(servedTogether(mean, at(-2, -1, -0.5, 3))).toEqual([
      { pair: 1, agreement: 2 * 3 + 1 * 2 },
      { pair: 0, agreement: 2 * 1 + 0.5 * 4 },
      { pair: 2, agreement: 1 * 1 + 0.5 * 1 },
    ]);
    expect(servedTogether(mean, at(0, 0, 0, 3))).toEqual([]);
  });

  test('agree with a sort of all results', async () => {
    const results: PairAttribution[] = [];
    for await (const result of eachAttribution(runner, pairs, { inputs: false })) results.push(result);
    const { size } = (await MaskSteps.create(runner, pairs, 'margin', neverAborted)).space;
    const mean = meanAttribution(results, 3);
    const means = mean.mean();
    for (let i = 0; i < size; i++) {
      const by = results.map(({ gates }, pair) => ({ pair, gradient: gates![i]! }));
      expect(means[i]).toBeCloseTo(by.reduce((sum, { gradient }) => sum + gradient, 0) / by.length, 6);
      const serving = by.filter(({ gradient }) => gradient < 0).sort((a, b) => a.gradient - b.gradient);
      expect(mean.served(i)).toEqual(serving.slice(0, 3));
    }
    const bare = await attributePairs(runner, pairs.slice(0, 1), { components: false });
    expect(() => meanAttribution(bare)).toThrow(RangeError);
  });
});
