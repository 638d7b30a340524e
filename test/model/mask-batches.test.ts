/** Mask steps of batches that do not fill the slots, or fill them more than once. */
import { expect, test } from 'vitest';
import { neverAborted as signal } from '../../server/control.ts';
import type { Pair } from '../../server/data/records.ts';
import { Runner } from '../../server/generate/forward.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { Model } from '../../server/model/model.ts';
import { loadOracle } from '../oracle.ts';
import { maxAbs, relative } from './compare.ts';
import { asPairs } from './pairs.ts';

const oracle = loadOracle('llama-tied');
/** Prefixes of the lengths 1, 2, 3, ... of the oracle's. */
const pairs: Pair[] = Array.from({ length: 11 }, (_, i) => {
  const pair = asPairs(oracle.pairs)[i % oracle.pairs.length]!;
  return { ...pair, id: `ragged ${i}`, prefix: pair.prefix.slice(0, i + 1) };
});
const all = pairs.map((_, i) => i);

async function withSteps(
  shared: readonly number[],
  chosen: Pair[],
  use: (steps: MaskSteps) => Promise<void>,
) {
  const model = await Model.load(oracle.folder);
  await use(
    await MaskSteps.create(await Runner.create(model, undefined, shared), chosen, 'softplus', signal),
  );
  await model.release();
}

test.each([[[]], [[5, 9, 3]]])('a batch is the sum of its pairs, behind a shared prefix %j', (shared) =>
  withSteps(
    shared,
    pairs.map((pair) => ({ ...pair, prefix: [...shared, ...pair.prefix] })),
    async (steps) => {
      const { size } = steps.space;
      const gate = new Float32Array(size).map((_, i) => 1 + 0.5 * Math.sin(i));
      const whole = await steps.run(all, gate, { signal });
      let loss = 0;
      for (const i of all) {
        const alone = await steps.run([i], gate, { signal });
        loss += alone.loss / all.length;
        expect(Math.abs(alone.margins[0]! - whole.margins[i]!)).toBeLessThan(1e-5);
        expect(relative(whole.gradients.subarray(i * size, (i + 1) * size), alone.gradients)).toBeLessThan(
          1e-5,
        );
      }
      expect(whole.loss).toBeCloseTo(loss, 5);
    },
  ),
);

test("with the reference's pairing every margin reads every pair's tokens, beyond its part of the batch", () =>
  withSteps([], pairs, async (steps) => {
    const gate = new Float32Array(steps.space.size).fill(1);
    const { margins } = await steps.run(all, gate, { pairing: 'reference', signal });
    const expected = new Float64Array(all.length);
    for (const tokens of pairs) {
      const retold = pairs.map((pair) => ({ ...pair, desired: tokens.desired, undesired: tokens.undesired }));
      await withSteps([], retold, async (own) => {
        (await own.run(all, gate, { signal })).margins.forEach((m, i) => {
          expected[i]! += m / all.length;
        });
      });
    }
    expect(maxAbs(margins, expected)).toBeLessThan(1e-5);
  }));
