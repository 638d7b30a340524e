import { CancellationError } from 'vscode';
import {
  endTraining as askEnd,
  cancel,
  forget,
  type JobState,
  type StageName,
} from '../../server/protocol/jobs.ts';
import type { App } from '../app.ts';
import { isRunning, isTraining, progressLine, stageLabel } from '../jobs/describe.ts';
import { brief } from '../notify.ts';
import { startOnPivots } from './annotated.ts';
import { experimentOf, pickExperiment } from './experiments.ts';
import { choose, folderOf, pickRun } from './pick.ts';
import { jobSpec, startJob, startOnce } from './start-job.ts';

const VARIANTS = [
  ['random', 'Random circuit, same kinds and count, same training'],
  ['all', 'All components'],
  ['neurons', 'The same neurons with gate_proj rows and down_proj columns'],
  ['random-neurons', 'Random neurons with gate_proj rows and down_proj columns'],
  ['paper', 'The paper’s recipe: learned mask, descent on the logit difference'],
  ['lora', 'LoRA on the correct traces'],
  ['full', 'Full fine-tuning on the correct traces'],
] as const;

export async function runAll(app: App, argument: unknown): Promise<void> {
  await startOnPivots(app, 'Whole amplification', jobSpec(await pickExperiment(argument)));
}

/** One stage, with those before it that are not finished; a finished one is done again. */
export const runStage =
  (stage: StageName) =>
  async (app: App, argument: unknown): Promise<void> => {
    const once = jobSpec(await pickExperiment(argument), { until: stage });
    const title = stageLabel(stage);
    if (TRAINING.includes(stage)) return startOnPivots(app, title, once);
    await startOnce(app, title, once);
  };

/** Stages whose result depends on the pivots. */
const TRAINING: readonly StageName[] = ['mask', 'amplify', 'evaluate'];

/** All matched controls and baselines beside a run; what it has finished is kept. */
export async function runControls(app: App, argument: unknown): Promise<void> {
  const folder = (argument as { kind?: unknown } | null)?.kind === 'run' ? folderOf(argument) : null;
  const experiment = folder === null ? await pickExperiment(argument) : await experimentOf(app, folder);
  const variants = VARIANTS.map(([name]) => name);
  await startJob(app, 'With matched controls', jobSpec(experiment, { variants: [...variants], out: folder }));
}

export async function resume(app: App, argument: unknown): Promise<void> {
  const unfinished = ({ status }: { status: string }) => status !== 'finished' && status !== 'running';
  const folder = folderOf(argument) ?? (await pickRun(app, null, 'Resume a run', unfinished)).folder;
  const spec = app.jobs.of(folder)?.spec;
  if (spec) return startJob(app, 'Resume', { ...spec, redo: null });
  await startJob(app, 'Resume', jobSpec(await experimentOf(app, folder), { out: folder }));
}

/** Ends a training with its present step: its best step becomes the patch, and the job goes on with the evaluation. */
export async function endTraining(app: App, argument: unknown): Promise<void> {
  const job = await pickJob(app, argument, 'Stop a training, keep its best step', isTraining);
  await app.engine.request(askEnd, { id: job.id });
}

export async function cancelJob(app: App, argument: unknown): Promise<void> {
  const job = await pickJob(app, argument, 'Cancel a job', isRunning);
  await app.engine.request(cancel, { id: job.id });
}

export async function forgetJob(app: App, argument: unknown): Promise<void> {
  const job = await pickJob(app, argument, 'Take a job off the list', (one) => !isRunning(one));
  await app.engine.request(forget, { id: job.id });
  await app.jobs.refresh();
}

async function pickJob(
  app: App,
  argument: unknown,
  title: string,
  suits: (job: JobState) => boolean,
): Promise<JobState> {
  await app.jobs.refresh();
  const suited = app.jobs.all.filter(suits);
  const given = (argument as { job?: JobState } | null)?.job;
  const named = suited.find(({ id }) => id === given?.id);
  if (named) return named;
  if (suited.length === 0) {
    brief('There is no such job.');
    throw new CancellationError();
  }
  if (suited.length === 1) return suited[0]!;
  const items = suited.map((job) => ({ label: job.title, description: progressLine(job), value: job }));
  return choose(items, { title });
}
