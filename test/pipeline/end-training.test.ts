/** A training that the user ends early: its best step is kept, and a kill before the patch changes nothing. */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import type { Pair, Problem } from '../../server/data/records.ts';
import { presetSettings } from '../../server/engine/experiment/settings.ts';
import { ComponentSpace } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { amplifyStage } from '../../server/pipeline/stages/amplify.ts';
import { Rng } from '../../server/random.ts';
import { askedToEndTraining, askToEndTraining } from '../../server/runs/end-request.ts';
import { readJournal } from '../../server/runs/journal.ts';
import { openRun } from '../../server/runs/run.ts';
import { scratch } from '../cli/built.ts';
import { checkpointFolder } from '../oracle.ts';
import { setup } from '../runs/setup.ts';

const root = scratch();
let model: Model;
let pairs: Pair[];
const problems: Problem[] = [{ id: 'p', prompt: 'How many?', answer: '1', target: 1 }];
const STEPS = 30;

beforeAll(async () => {
  model = await Model.load(checkpointFolder('llama-tied'));
  const rng = new Rng('end');
  const ids = (count: number) => Array.from({ length: count }, () => rng.int(model.config.vocabSize));
  pairs = Array.from({ length: 6 }, (_, i) => ({
    ...{ id: `pair ${i}`, prefix: ids(3 + i), desired: 20 + i, undesired: 40 + i },
    ...{ method: 'branching', status: 'auto' },
  }));
});
afterAll(() => model.release());

/** Trains in a run folder; `afterStep` hears of every step, `beforePatch` that training is over. */
async function train(
  folder: string,
  {
    afterStep = (_: number) => {},
    beforePatch = () => {},
  }: { afterStep?(step: number): void; beforePatch?(): void } = {},
) {
  const run = openRun(folder, setup({ stages: { amplify: {} } }));
  const reserve = run.reserve.bind(run);
  run.reserve = (name) => {
    beforePatch();
    return reserve(name);
  };
  const { amplify, evaluate } = presetSettings.default;
  try {
    return await amplifyStage(
      {
        ...{ model, run, signal: neverAborted },
        emit: (event) => {
          if (event.event === 'step') afterStep(event.report.step);
        },
      },
      {
        circuit: new ComponentSpace(model.config).circuit((i) => i % 40 === 0),
        data: { pairs, controlText: [[1, 2, 3, 4]], traces: [], validation: problems, guard: [] },
        settings: {
          ...{ ...amplify, steps: STEPS, validateEvery: 10, validateEveryEarly: 10 },
          guard: { ...amplify.guard, maxKl: 1e9 },
        },
        evaluate: { ...evaluate, maxTokens: 4 },
        seed: 3,
      },
    );
  } finally {
    run.close('finished');
  }
}

test('it ends with the next step, validated, and writes the patch of its best step', async () => {
  const folder = path.join(root, 'asked');
  const { summary, patch } = await train(folder, {
    afterStep: (step) => {
      if (step === 3) askToEndTraining(folder);
    },
  });
  // No step before the fourth was validated: it is judged because it is the last.
  expect(summary).toMatchObject({ steps: 4, best: 4, breach: null, asked: true });
  expect(summary.curve.map(({ observation }) => observation !== null)).toEqual([false, false, false, true]);
  expect(patch.provenance).toMatchObject({ step: 4 });
  expect(patch.entries.length).toBeGreaterThan(0);
  expect(askedToEndTraining(folder)).toBe(false);
  const { events } = readJournal(path.join(folder, 'journal.jsonl'));
  const notes = events.filter(({ event }) => event === 'note').map(({ note }) => note);
  expect(notes).toContainEqual({ stage: 'amplify', endedAsAsked: 4 });
  // The stage is finished: nothing is trained when the run is opened again.
  expect((await train(folder)).summary).toEqual(summary);
});

test('a training that nobody ends early says so', async () => {
  const { summary } = await train(path.join(root, 'whole'));
  expect(summary).toMatchObject({ steps: STEPS, asked: false });
});

test('killed after the last step and before the patch, it ends at the same step with the same patch', async () => {
  const whole = path.join(root, 'asked');
  const folder = path.join(root, 'killed');
  const killed = new Error('killed');
  let steps = 0;
  const afterStep = (step: number) => {
    steps++;
    if (step === 3) askToEndTraining(folder);
  };
  // What a kill leaves: the steps and their snapshot, no patch.
  const beforePatch = () => {
    throw killed;
  };
  await expect(train(folder, { afterStep, beforePatch })).rejects.toBe(killed);
  const { summary, patch } = await train(folder, { afterStep });
  expect(steps).toBe(4);
  const undisturbed = await train(whole);
  const { seconds: _, ...rest } = summary;
  expect(undisturbed.summary).toMatchObject(rest);
  expect(patch).toEqual(undisturbed.patch);
});
