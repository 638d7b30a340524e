import path from 'node:path';
import { Uri, workspace } from 'vscode';
import { saveSelection } from '../../server/protocol/circuit.ts';
import type { GuardLimits, TrainingChoices } from '../../server/protocol/panel.ts';
import { freeFolder } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { experimentOf } from '../commands/experiments.ts';
import { jobSpec, startJob } from '../commands/start-job.ts';

/** What a training from the panel begins with: the run's own settings, the product's where it has none. */
export interface Settings {
  choices: TrainingChoices;
  limits: GuardLimits;
}

const defaults: Settings = {
  choices: { steps: 30, learningRate: 5e-3, klControl: 3, neurons: 'up', validateEvery: 10, variants: [] },
  limits: { maxKl: 0.05, maxDrop: 1 },
};

/** The settings that a run's manifest has recorded. */
export async function readSettings(run: string): Promise<Settings> {
  try {
    const bytes = await workspace.fs.readFile(Uri.file(path.join(run, 'manifest.json')));
    return parseSettings(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // A run that has not begun yet.
    return defaults;
  }
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

function parseSettings(manifest: unknown): Settings {
  const amplify = fields(fields(fields(manifest).stages).amplify);
  const guard = fields(amplify.guard);
  const number = (value: unknown, otherwise: number) =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : otherwise;
  /** A guard that is switched off has limits that nothing reaches. */
  const limit = (value: unknown, otherwise: number | null) =>
    typeof value !== 'number' ? otherwise : value < 1e6 ? value : null;
  const { choices, limits } = defaults;
  return {
    choices: {
      steps: number(amplify.steps, choices.steps),
      learningRate: number(amplify.learningRate, choices.learningRate),
      klControl: number(amplify.klControl, choices.klControl),
      neurons: amplify.neurons === 'up+gate+down' ? 'up+gate+down' : choices.neurons,
      validateEvery: number(amplify.validateEvery, choices.validateEvery),
      variants: [],
    },
    limits: { maxKl: limit(guard.maxKl, limits.maxKl), maxDrop: limit(guard.maxDrop, limits.maxDrop) },
  };
}

/**
 * Trains a selection on a run's pairs, into a new run folder beside it.
 * @returns the new run folder
 * @throws CancellationError where the user thinks better of it
 */
export async function train(
  app: App,
  run: string,
  experiment: string | null,
  selected: number[],
  choices: TrainingChoices,
): Promise<string> {
  const { folder: out } = await app.engine.request(freeFolder, { run });
  const name = path.basename(out);
  // Under the new run's name: what it trained can be loaded and compared here later.
  const { file } = await app.engine.request(saveSelection, { run, name, selected });
  const { steps, learningRate, klControl, neurons, validateEvery, variants } = choices;
  const spec = jobSpec(experiment ?? (await experimentOf(app, run)), {
    out,
    from: run,
    circuit: file,
    variants,
    set: {
      'amplify.steps': steps,
      'amplify.learningRate': learningRate,
      'amplify.klControl': klControl,
      'amplify.neurons': neurons,
      'amplify.validateEvery': validateEvery,
      'amplify.validateEveryEarly': validateEvery,
    },
  });
  await startJob(app, `Sparse training of ${selected.length} components`, spec);
  return out;
}
