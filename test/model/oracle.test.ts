/** Forward passes, decoding, mask steps and input attribution against PyTorch (test/fixtures/README.md). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { generate } from '../../server/generate/generate.ts';
import { greedy } from '../../server/generate/sampler.ts';
import { attributePairs } from '../../server/inspect/attribute.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { Model } from '../../server/model/model.ts';
import { loadOracle, oracleNames } from '../oracle.ts';
import { flat, maxAbs, relative, relativeByLayer } from './compare.ts';
import { asPairs } from './pairs.ts';

describe.each(oracleNames)('%s', (name) => {
  const oracle = loadOracle(name);
  const pairs = asPairs(oracle.pairs);
  // Dynamic RoPE turns every position by frequencies of the whole length, which a part computed before cannot know.
  const dynamic = name === 'llama-rope-dynamic';
  let model: Model;
  let runner: Runner;

  beforeAll(async () => {
    model = await Model.load(oracle.folder);
    runner = await Runner.create(model);
  });
  afterAll(() => model.release());

  test('logits of every position', async () => {
    const { ids, values } = oracle.logits;
    const [forwarded] = await runner.forward([{ ids, rows: ids.map((_, i) => i) }]);
    expect(maxAbs(forwarded!.logits, values.data)).toBeLessThan(2e-5);
  });

  test.skipIf(dynamic)('logits behind a shared prefix and behind an own cache', async () => {
    const { ids, values } = oracle.logits;
    const vocab = model.config.vocabSize;
    const behind = await Runner.create(model, undefined, ids.slice(0, 17));
    const rest = ids.slice(17);
    const [whole] = await behind.forward([{ ids: rest, rows: rest.map((_, i) => i) }]);
    expect(maxAbs(whole!.logits, values.data.subarray(17 * vocab))).toBeLessThan(2e-5);

    const [first] = await behind.forward([{ ids: rest.slice(0, 9), keep: true }]);
    const last = rest.slice(9);
    const [third] = await behind.forward([{ ids: last, before: first!.kv!, rows: last.map((_, i) => i) }]);
    expect(maxAbs(third!.logits, values.data.subarray(26 * vocab))).toBeLessThan(2e-5);
  });

  test('greedy ids in a ragged batch of three slots', async () => {
    const completions = await generate(
      runner,
      oracle.greedy.prompts.map((ids) => ({ ids, sampling: greedy, maxTokens: 64 })),
      { batch: 3, stop: () => false },
    );
    expect(completions.map((c) => c.ids)).toEqual(oracle.greedy.ids);
  });

  test.each(['random', 'ones'] as const)('mask step, m %s', async (which) => {
    const { m, margins, loss, grad } = oracle.mask[which];
    const steps = await MaskSteps.create(runner, pairs, 'margin', neverAborted);
    const gate = flat(m).map((x) => 2 * x);
    const step = await steps.run(
      pairs.map((_, i) => i),
      gate,
      { signal: neverAborted },
    );
    expect(maxAbs(step.margins, margins)).toBeLessThan(2e-5);
    expect(step.loss).toBeCloseTo(loss, 5);
    const { size } = steps.space;
    const byMask = new Float64Array(size);
    step.gradients.forEach((g, at) => {
      byMask[at % size]! += (2 * g) / pairs.length;
    });
    expect(relative(byMask, flat(grad))).toBeLessThan(1e-5);
    expect(relativeByLayer(byMask, grad)).toBeLessThan(1e-4);
  });

  test('attribution to prefix tokens and to components', async () => {
    const results = await attributePairs(runner, pairs);
    const ofInputs = results.flatMap(({ inputs }) => [...inputs!]);
    expect(relative(ofInputs, oracle.attribution.flat())).toBeLessThan(1e-5);
    const byMask = new Float64Array(results[0]!.gates!.length);
    results.forEach(({ margin, gatedMargin, inputs, gates }, p) => {
      expect(margin).toBeCloseTo(oracle.pairs[p]!.margin, 4);
      expect(gatedMargin).toBeCloseTo(oracle.mask.ones.margins[p]!, 4);
      // Gradient times embedding cancels where a token's scale hardly matters (RMSNorm undoes it), and in single
      // precision what is left of a weak pair has a digit less, in PyTorch as here.
      expect(relative(inputs!, oracle.attribution[p]!)).toBeLessThan(2e-5);
      gates!.forEach((g, i) => {
        byMask[i]! += (2 * g) / pairs.length;
      });
    });
    expect(relative(byMask, flat(oracle.mask.ones.grad))).toBeLessThan(1e-5);
    expect(relativeByLayer(byMask, oracle.mask.ones.grad)).toBeLessThan(1e-4);
  });
});

describe('mask gradient', () => {
  test('is the finite difference of the margin, along one component and along all', async () => {
    const oracle = loadOracle('llama-tied');
    const model = await Model.load(oracle.folder);
    const runner = await Runner.create(model);
    const steps = await MaskSteps.create(runner, asPairs(oracle.pairs), 'margin', neverAborted);
    const { size } = steps.space;
    const gate = flat(oracle.mask.random.m).map((x) => 2 * x);
    const marginAt = async (direction: Float32Array, step: number) => {
      const moved = gate.map((g, i) => g + step * direction[i]!);
      return (await steps.run([2], moved, { signal: neverAborted })).margins[0]!;
    };
    const { gradients } = await steps.run([2], gate, { signal: neverAborted });
    const strongest = [...gradients.keys()].sort((a, b) => Math.abs(gradients[b]!) - Math.abs(gradients[a]!));
    const one = (i: number) => new Float32Array(size).fill(1, i, i + 1);
    const alternating = new Float32Array(size).map((_, i) => (i % 3 === 0 ? 0.1 : -0.05));
    for (const direction of [...strongest.slice(0, 6).map(one), alternating]) {
      // Four-point central difference: its error is of fourth order, so the step can dwarf float32 rounding.
      const h = 0.05;
      const [a, b] = [await marginAt(direction, h), await marginAt(direction, -h)];
      const [c, d] = [await marginAt(direction, 2 * h), await marginAt(direction, -2 * h)];
      const slope = (8 * (a - b) - (c - d)) / (12 * h);
      const expected = -gradients.reduce((sum, g, i) => sum + g * direction[i]!, 0);
      expect(Math.abs(slope - expected)).toBeLessThan(2e-4 * Math.abs(gradients[strongest[0]!]!));
    }
    await model.release();
  });
});
