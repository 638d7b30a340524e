/** Learning a component mask: trajectories of PyTorch (fixtures/make_dcm.py), and the search for a budget. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { neverAborted as signal } from '../../server/control.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import {
  type DcmOptions,
  type DcmProgress,
  isSelected,
  learnMask,
  learnMaskWithin,
} from '../../server/mask/dcm.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { Model } from '../../server/model/model.ts';
import { maxAbs } from '../model/compare.ts';
import { asPairs } from '../model/pairs.ts';
import { loadOracle } from '../oracle.ts';

type CaseName = 'paper' | 'fast' | 'reference';
interface Case extends Omit<DcmOptions, 'seed'> {
  converged: boolean;
  /** Loss and margin before a step, the rounded count and the mask (flat, by ComponentSpace) after it. */
  steps: { epoch: number; batch: number[]; loss: number; margin: number; selected: number; mask: number[] }[];
}
const { seed, cases }: { seed: number; cases: Record<CaseName, Case> } = JSON.parse(
  readFileSync(new URL('./fixtures/dcm.json', import.meta.url), 'utf8'),
);

describe('llama-tied', () => {
  const oracle = loadOracle('llama-tied');
  let model: Model;
  let steps: MaskSteps;
  beforeAll(async () => {
    model = await Model.load(oracle.folder);
    steps = await MaskSteps.create(await Runner.create(model), asPairs(oracle.pairs), 'margin', signal);
  });
  afterAll(() => model.release());

  test.each(Object.keys(cases) as CaseName[])('every step of the trajectory %s', async (name) => {
    const { converged, steps: expected, ...options } = cases[name];
    const seen: DcmProgress[] = [];
    const learned = await learnMask(
      steps,
      { ...options, seed },
      { signal, onProgress: (progress) => seen.push({ ...progress, mask: progress.mask.slice() }) },
    );
    expect(seen.map(({ epoch, selected }) => ({ epoch, selected }))).toEqual(
      expected.map(({ epoch, selected }) => ({ epoch, selected })),
    );
    seen.forEach(({ loss, margin, mask }, i) => {
      const step = expected[i]!;
      // Losses and margins of up to 8, in float32 that is summed in another order, over up to 41 steps.
      expect(Math.abs(loss - step.loss), `loss ${i}`).toBeLessThan(1e-4);
      expect(Math.abs(margin - step.margin), `margin ${i}`).toBeLessThan(1e-4);
      expect(maxAbs(mask, step.mask), `mask ${i}`).toBeLessThan(5e-5);
    });
    const last = expected.at(-1)!;
    expect(learned).toMatchObject({
      converged,
      selected: last.selected,
      steps: expected.length,
      epochs: last.epoch + 1,
    });
    expect(learned.mask).toEqual(seen.at(-1)!.mask);
  });

  test('the mask for a budget is the largest within it of those learned, and what its lambda gives alone', async () => {
    const options = { ...cases.fast, learningRate: 0.2, batch: 6, epochs: 8, seed };
    for (const [budget, lambda] of [
      [40, 0.002],
      [12, 2],
    ] as const) {
      const tried = new Set<number>();
      const found = await learnMaskWithin(
        steps,
        budget,
        { ...options, lambda },
        { signal, onProgress: (progress) => tried.add(progress.lambda) },
      );
      expect(found.trials.map((trial) => trial.lambda)).toEqual([...tried]);
      expect(tried.size).toBeGreaterThan(2);
      const fitting = found.trials.filter(({ selected }) => selected > 0 && selected <= budget);
      expect(found.selected).toBe(Math.max(...fitting.map(({ selected }) => selected)));
      expect(fitting).toContainEqual({ lambda: found.lambda, selected: found.selected });
      expect(found.mask.filter(isSelected).length).toBe(found.selected);
      const alone = await learnMask(steps, { ...options, lambda: found.lambda }, { signal });
      expect(found.mask).toEqual(alone.mask);
    }
  });

  test('a training that was interrupted goes on from its last epoch, to the same bits', async () => {
    const options = { ...cases.fast, seed };
    const states: Uint8Array[] = [];
    const epochs = new Set<number>();
    const whole = await learnMask(steps, options, {
      signal,
      onProgress: ({ epoch }) => epochs.add(epoch),
      save: (state) => states.push(Uint8Array.from(state)),
    });
    expect(states.length).toBeGreaterThan(2);
    for (const [done, saved] of states.entries()) {
      const rest = new Set<number>();
      const resumed = await learnMask(steps, options, {
        signal,
        saved,
        onProgress: ({ epoch }) => rest.add(epoch),
      });
      expect(resumed).toEqual(whole);
      expect([...rest]).toEqual([...epochs].slice(done + 1));
    }
  });

  test('a search that was interrupted again and again tries no lambda twice, and finds the same', async () => {
    const options = { ...cases.fast, learningRate: 0.2, batch: 6, epochs: 8, seed, lambda: 0.002 };
    const epochs: string[] = [];
    const whole = await learnMaskWithin(steps, 40, options, {
      signal,
      onProgress: ({ lambda, epoch }) => epochs.push(`${lambda} ${epoch}`),
    });
    const seen: string[] = [];
    let saved: Uint8Array | null = null;
    let found = null;
    for (let sessions = 0; !found; sessions++) {
      expect(sessions).toBeLessThan(epochs.length);
      const stop = { aborted: false };
      let saves = 0;
      const hooks = {
        signal: stop,
        saved,
        onProgress: ({ lambda, epoch }: DcmProgress & { lambda: number }) => seen.push(`${lambda} ${epoch}`),
        save: (state: Uint8Array) => {
          saved = Uint8Array.from(state);
          // Sessions of one, two and three saves, which end after an epoch or between two trainings.
          if (++saves > sessions % 3) stop.aborted = true;
        },
      };
      found = await learnMaskWithin(steps, 40, options, hooks).catch((error) => {
        if (error instanceof Cancelled) return null;
        throw error;
      });
    }
    expect(found).toEqual(whole);
    expect(seen).toEqual(epochs);
  });
});

describe('search for a budget where each component adds a known share to the margin', () => {
  // 2 w m is what a component adds, so its mask falls to 0 where 2 w is less than lambda, and stays at 1 otherwise.
  const shares = Float32Array.from({ length: 100 }, (_, i) => (i + 1) / 1000 + 0.00013);
  const selectedAt = (lambda: number) => shares.filter((w) => 2 * w > lambda).length;
  const pair = asPairs(loadOracle('llama-tied').pairs)[0]!;
  const steps = {
    space: { size: shares.length },
    pairs: [pair],
    run: async (_: unknown, gate: Float32Array) => {
      const margin = gate.reduce((sum, g, i) => sum + g * shares[i]!, 0);
      return { loss: -margin, margins: Float32Array.of(margin), gradients: shares.map((w) => -w) };
    },
  } as unknown as MaskSteps;
  const options: DcmOptions = { lambda: 0, learningRate: 0.15, batch: 1, epochs: 9, pairing: 'own', seed };
  const search = (budget: number, lambda: number) =>
    learnMaskWithin(steps, budget, { ...options, lambda }, { signal });

  test.each([
    [7, 0.01],
    [7, 0.184],
    [7, 1],
    [1, 0.05],
    [60, 0.3],
    [99, 0.02],
  ])('budget %d from lambda %d', async (budget, lambda) => {
    const found = await search(budget, lambda);
    for (const trial of found.trials) expect(trial.selected).toBe(selectedAt(trial.lambda));
    expect(found.selected).toBe(selectedAt(found.lambda));
    expect(found.selected).toBeLessThanOrEqual(budget);
    const missed = found.trials.filter(({ selected }) => selected > budget).map((trial) => trial.lambda);
    // What four bisections of a factor of two leave.
    if (found.selected < budget) expect(found.lambda / Math.max(...missed)).toBeLessThan(1.05);
    expect([...found.mask].map(isSelected)).toEqual([...shares].map((w) => 2 * w > found.lambda));
  });

  test('a first lambda that meets the budget is kept', async () => {
    const found = await search(selectedAt(0.1), 0.1);
    expect(found).toMatchObject({ lambda: 0.1, trials: [{ lambda: 0.1, selected: 51 }] });
  });

  test('a lambda that selects none is no answer', async () => {
    await expect(search(5, 1000)).rejects.toThrow('1 to 5 components');
    await expect(search(5, 1000)).rejects.toThrow(InputError);
  });
});
