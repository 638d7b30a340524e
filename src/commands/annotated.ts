/** Jobs on the pivots of trace documents, as they were annotated. */
import path from 'node:path';
import { Uri, window, workspace } from 'vscode';
import type { JobSpec } from '../../server/protocol/jobs.ts';
import { annotations, freeFolder, type RunRow } from '../../server/protocol/runs.ts';
import { view } from '../../server/protocol/traces.ts';
import type { App } from '../app.ts';
import { languageId } from '../contributions.ts';
import { annotationLine } from '../jobs/describe.ts';
import { experimentOf, pickExperiment, runOf } from './experiments.ts';
import { choose, folderOf, pickRun } from './pick.ts';
import { jobSpec, saveInputs, startJob, startOnce } from './start-job.ts';

/**
 * Starts a job, on the pivots of the run's trace documents where these say something else than the run was made from: a run is
 * reproducible from its files, so what was annotated since makes another run.
 */
export async function startOnPivots(app: App, title: string, spec: JobSpec): Promise<void> {
  await saveInputs();
  const run = await runOf(spec.experiment);
  const said = run === null ? null : await app.engine.request(annotations, { folder: run });
  if (run === null || !said || said.changed === 0) return startOnce(app, title, spec);
  const derived = derivedRuns(app, run);
  const chosen = await choose(
    [
      {
        label: '$(edit) On the annotated pivots',
        description: 'a new run',
        detail: annotationLine(said),
        value: null,
      },
      ...derived.map((folder) => ({
        label: `$(edit) On with ${path.basename(folder)}`,
        description: 'the run on annotated pivots',
        detail: folder,
        value: folder,
      })),
      {
        label: '$(history) On the pivots as they were located',
        description: path.basename(run),
        detail: 'What was annotated since is not used',
        value: run,
      },
    ],
    { title: `${title}: trace documents of ${path.basename(run)} were annotated` },
  );
  if (chosen === run) return startOnce(app, title, spec);
  const out = chosen ?? (await app.engine.request(freeFolder, { run })).folder;
  await startOnce(app, title, { ...spec, out, from: run }, annotationLine(said));
}

/** Runs that earlier jobs of this workspace made from a run's traces and pivots, newest first. */
function derivedRuns(app: App, run: string): string[] {
  const made = app.jobs.all.filter(
    ({ spec }) => spec.from !== null && path.normalize(spec.from) === run && spec.circuit === null,
  );
  return [...new Set(made.map((job) => job.run))].filter((folder) => folder !== run);
}

/**
 * The whole amplification on the pivots of trace documents: of a run, into a new run beside it, or of any folder.
 * @param argument a run, a folder of documents or one document; nothing for what is in front
 */
export async function amplifyAnnotated(app: App, argument: unknown): Promise<void> {
  await saveInputs();
  const folder = await documentsOf(app, argument);
  const said = await app.engine.request(annotations, { folder });
  if (said.documents === 0) {
    throw new Error(
      `${folder} has no trace document yet: open a trace, and accept, reject or mark its pivots`,
    );
  }
  if (said.changed === 0) {
    throw new Error(
      `the trace documents of ${path.basename(folder)} say what the run was made from: annotate one first`,
    );
  }
  const experiment = said.run === null ? await pickExperiment(null) : await experimentOf(app, said.run);
  const run = said.run ?? (await runOf(experiment)) ?? folder;
  const { folder: out } = await app.engine.request(freeFolder, { run });
  const source = said.run === null ? { pairs: folder } : { from: said.run };
  const note = annotationLine(said);
  await startJob(app, 'Amplify from annotated traces', jobSpec(experiment, { ...source, out }), { note });
}

/** The run, or the folder, whose documents a command is about. */
async function documentsOf(app: App, argument: unknown): Promise<string> {
  const active = window.activeTextEditor?.document;
  const given = argument instanceof Uri ? argument : null;
  const document =
    given === null ? active : workspace.textDocuments.find(({ uri }) => String(uri) === String(given));
  const named = given === null ? folderOf(argument) : null;
  if (named !== null) return named;
  if (document?.languageId === languageId) {
    const { uri, version } = document;
    const { run } = await app.engine.request(view, { uri: String(uri), version });
    return run ?? path.dirname(uri.fsPath);
  }
  const shown = given?.fsPath ?? app.tracesView.folder;
  return shown ?? (await pickRun(app, null, 'Annotated traces of which run?', hasPairs)).folder;
}

const hasPairs = ({ files }: RunRow): boolean => files.pairs !== null;
