import { CancellationError, ProgressLocation, window, workspace } from 'vscode';
import { estimate, type JobCost, type JobSpec, start } from '../../server/protocol/jobs.ts';
import type { App } from '../app.ts';
import { config, setConfig } from '../config.ts';
import { languageId } from '../contributions.ts';
import { costLine, stagesLine } from './cost.ts';
import { isExperimentFile } from './experiment-file.ts';
import { choose } from './pick.ts';

/** Shorter jobs start without a question (seconds). */
const LONG = 15;

export const jobSpec = (experiment: string, own: Partial<JobSpec> = {}): JobSpec => ({
  experiment,
  out: null,
  until: null,
  redo: null,
  from: null,
  pairs: null,
  circuit: null,
  seed: null,
  variants: null,
  set: {},
  ...own,
});

/** What a job costs. Documents that it reads are saved before. Where nobody asks for the time, none is measured. */
async function costOf(app: App, job: JobSpec): Promise<JobCost> {
  await saveInputs();
  const measure = config.confirmJobs();
  const title = 'Estimating what the job takes';
  // On a large model that takes a while.
  return window.withProgress(
    { location: ProgressLocation.Notification, cancellable: true, title },
    (_, token) => app.engine.request(estimate, { job, measure }, { token }),
  );
}

/** What is known of a job before it is started. */
interface Known {
  cost?: JobCost;
  /** What it trains on. */
  note?: string;
}

/** Shows what a job costs, unless the user asked not to be asked, and starts it. */
export async function startJob(app: App, title: string, spec: JobSpec, known: Known = {}): Promise<void> {
  const cost = known.cost ?? (await costOf(app, spec));
  const long = cost.seconds === null || cost.seconds.high >= LONG;
  if (config.confirmJobs() && long) await confirm(title, cost, known.note);
  app.jobs.take(await app.engine.request(start, spec));
}

/** Starts a job; where all that it is to do is finished, its last stage is done again. */
export async function startOnce(app: App, title: string, spec: JobSpec, note?: string): Promise<void> {
  const cost = await costOf(app, spec);
  const again = spec.until !== null && cost.stages.every(({ kept }) => kept);
  if (!again) return startJob(app, title, spec, { cost, ...(note && { note }) });
  await startJob(app, `${title}, again`, { ...spec, redo: spec.until }, note ? { note } : {});
}

async function confirm(title: string, cost: JobCost, note?: string): Promise<void> {
  const detail = [note, stagesLine(cost)].filter(Boolean).join(' · ');
  const never = await choose(
    [
      { label: '$(play) Start', description: costLine(cost), detail, value: false },
      { label: '$(play) Start, and do not ask again', value: true },
    ],
    { title, placeHolder: costLine(cost) },
  );
  if (never) await setConfig('jobs.confirm', false);
}

/** Saves what a job may read: trace documents and experiment files. */
export async function saveInputs(): Promise<void> {
  const read = workspace.textDocuments.filter(
    ({ isDirty, languageId: language, uri }) =>
      isDirty && (language === languageId || isExperimentFile(uri.fsPath)),
  );
  const saved = await Promise.all(read.map((document) => document.save()));
  if (saved.includes(false)) throw new CancellationError();
}
