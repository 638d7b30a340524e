import path from 'node:path';
import { removeSelection, saveSelection } from '../../server/protocol/circuit.ts';
import type { TrainingChoices } from '../../server/protocol/panel.ts';
import { freeFolder } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { experimentOf } from '../commands/experiments.ts';
import { jobSpec, startJob } from '../commands/start-job.ts';

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
  try {
    await startJob(app, `Sparse training of ${selected.length} components`, spec);
  } catch (reason) {
    // Declined or refused: nothing was trained that a selection of this name could stand for.
    await app.engine.request(removeSelection, { run, name });
    throw reason;
  }
  return out;
}
