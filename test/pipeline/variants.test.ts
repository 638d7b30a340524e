/** Matched controls and baselines as a run trains them: under every preset, and interrupted. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { denseOverlay, fineTuning, loraOverlay } from '../../server/amplify/baselines.ts';
import { neverAborted, type Signal } from '../../server/control.ts';
import type { Pair, Problem, Trace } from '../../server/data/records.ts';
import { type Preset, presetSettings } from '../../server/engine/experiment/settings.ts';
import { Cancelled } from '../../server/errors.ts';
import { ComponentSpace } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { makeRunners } from '../../server/pipeline/context.ts';
import type { Settings } from '../../server/pipeline/settings.ts';
import { type VariantName, variantStage } from '../../server/pipeline/variants.ts';
import { Rng } from '../../server/random.ts';
import { readJournal } from '../../server/runs/journal.ts';
import { openRun } from '../../server/runs/run.ts';
import { scratch } from '../cli/built.ts';
import { checkpointFolder } from '../oracle.ts';
import { setup } from '../runs/setup.ts';

const root = scratch();
let model: Model;
/** Of equal tokens, so that the losses of different steps can be compared. */
let traces: Trace[];
let pairs: Pair[];
const problems: Problem[] = [{ id: 'p', prompt: 'How many?', answer: '1', target: 1 }];

beforeAll(async () => {
  model = await Model.load(checkpointFolder('llama-tied'));
  const rng = new Rng('variants');
  const ids = (count: number) => Array.from({ length: count }, () => rng.int(model.config.vocabSize));
  const one = { prompt_ids: ids(4), completion_ids: ids(12) };
  traces = Array.from({ length: 320 }, (_, i) => ({
    ...{ id: `trace ${i}`, problem_id: `problem ${i}`, target: 1, ...one, decoding: { strategy: 'greedy' } },
    ...{ text: '', answer: 1, correct: true, truncated: false },
  }));
  pairs = Array.from({ length: 6 }, (_, i) => ({
    ...{ id: `pair ${i}`, prefix: ids(3 + i), desired: 20 + i, undesired: 40 + i },
    ...{ method: 'branching', status: 'auto' },
  }));
});
afterAll(() => model.release());

/** Trains and evaluates a variant in a run folder; `afterStep` hears of every step. */
async function variant(
  name: VariantName,
  settings: Settings,
  folder: string,
  {
    signal = neverAborted,
    afterStep = (_: number) => {},
  }: { signal?: Signal; afterStep?(step: number): void } = {},
) {
  const run = openRun(folder, setup({ stages: { [`variant-${name}`]: { ...settings.variants } } }));
  let last = 0;
  try {
    const stage = await variantStage(
      {
        ...{ model, run, signal },
        emit: (event) => {
          // Progress is told within steps too.
          if (event.event !== 'progress' || event.done === last) return;
          last = event.done;
          afterStep(event.done);
        },
      },
      name,
      {
        circuit: new ComponentSpace(model.config).circuit((i) => i % 40 === 0),
        training: { pairs, controlText: [[1, 2, 3, 4]], traces: [], validation: problems, guard: [] },
        ...{ traces, settings, seed: 3, suites: { problems: { test: problems }, controls: [] } },
      },
    );
    return { ...stage, steps: stepsOf(folder) };
  } finally {
    run.close('finished');
  }
}

/** Loss by step, as the journal has it; of a step that was done again, the last. */
function stepsOf(folder: string): number[] {
  const losses: number[] = [];
  for (const { event, note } of readJournal(path.join(folder, 'journal.jsonl')).events) {
    if (event !== 'note') continue;
    const { step, loss } = note as { step: number; loss: number };
    losses[step - 1] = loss;
  }
  return losses;
}

/** Of the gradient on the traces before training. */
async function squaredNorm(name: 'lora' | 'full'): Promise<number> {
  const { variants, amplify } = presetSettings.default;
  const overlay = name === 'lora' ? loraOverlay(model, { ...variants.lora, seed: 3 }) : denseOverlay(model);
  const data = { ...{ traces: traces.slice(0, 1), pairs, controls: [], own: [] } };
  const options = { data: 'traces', epochs: 1, batch: 0 } as const;
  const runners = await makeRunners(model, []);
  const { objective } = await fineTuning(overlay, runners, data, options, amplify, new Rng(0), neverAborted);
  const { gradients } = await objective.step(overlay, 0, new Rng(0), neverAborted);
  return [...gradients.values()].reduce((sum, g) => g.reduce((s, x) => s + x * x, sum), 0);
}

const short = (preset: Preset, change: Partial<Settings['variants']['lora']> = {}): Settings => {
  const settings = presetSettings[preset];
  const { variants, evaluate } = settings;
  return {
    ...settings,
    evaluate: { ...evaluate, maxTokens: 4 },
    variants: {
      ...variants,
      lora: { ...variants.lora, ...change },
      full: { ...variants.full, ...change },
    },
  };
};

describe.each(['paper', 'reference'] as const)('preset %s', (preset) => {
  test.each(['lora', 'full'] as const)('%s learns with its own optimiser', async (name) => {
    const folder = path.join(root, `${preset}-${name}`);
    const { steps, summary } = await variant(name, short(preset), folder);
    const { variants } = presetSettings[preset];
    const { epochs, batch, learningRate } = variants[name];
    if (preset === 'paper') expect(summary.steps).toBe(epochs * (320 / batch));
    expect(steps).toHaveLength(summary.steps);
    expect(summary.breach).toBeNull();
    // Plain gradient descent of this rate would fall by rate x squared norm of the gradient in a step.
    const descent = learningRate * (await squaredNorm(name)) * summary.steps;
    expect(steps[0]! - steps.at(-1)!).toBeGreaterThan(3 * descent);
  });

  test('all components take the coefficient of the paper', async () => {
    const folder = path.join(root, `${preset}-all`);
    expect(presetSettings[preset].variants.all.learningRate).toBe(1e-4);
    const { steps, summary } = await variant('all', short(preset), folder);
    expect(summary).toMatchObject({ steps: 50, breach: null });
    for (let i = 1; i < steps.length; i++) expect(steps[i]!).toBeLessThan(steps[i - 1]!);
  });
});

test.each([
  ['lora', 'traces'],
  ['lora', 'pairs'],
  ['full', 'traces'],
  ['full', 'pairs'],
  ['random', 'pairs'],
] as const)('%s on %s, interrupted, gives the same result', async (name, data) => {
  const settings = short('default', { data, epochs: 1, batch: data === 'pairs' ? 1 : 40, dropout: 0.1 });
  settings.amplify = { ...settings.amplify, steps: 6, validateEvery: 2 };
  const whole = await variant(name, settings, path.join(root, `${name}-${data}`));
  const cut = path.join(root, `${name}-${data}-cut`);
  const seen: number[] = [];
  for (const at of [1, 3, 5]) {
    const signal = { aborted: false };
    const afterStep = (step: number) => {
      seen.push(step);
      if (step === at) signal.aborted = true;
    };
    await expect(variant(name, settings, cut, { signal, afterStep })).rejects.toThrow(Cancelled);
  }
  const rest = await variant(name, settings, cut, { afterStep: (step) => seen.push(step) });
  const { outcomes, summary, steps } = whole;
  expect(rest).toMatchObject({ outcomes, summary, steps });
  // It went on from validations: the first step was done again after the first interruption alone.
  expect(seen.filter((step) => step === 1).length).toBe(2);
});
