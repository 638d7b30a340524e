import { ProgressLocation, window } from 'vscode';
import * as protocol from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { brief, info } from '../notify.ts';
import { showPage } from './documents.ts';
import { choose, folderOf, pickRun, runChoice } from './pick.ts';

export async function showReport(app: App, argument: unknown): Promise<void> {
  const run = await pickRun(app, argument, 'Report of a run', ({ files }) => files.report !== null);
  const report = await app.engine.request(protocol.report, { folder: run.folder });
  if (!report) return info(`${run.name} has no report yet: it is written at the end of the evaluation.`);
  await showPage(app, `Report of ${run.name}`, { report: run.folder });
}

/** The two selected runs, or this one and one that is picked. */
export async function compareRuns(app: App, argument: unknown, selected: unknown): Promise<void> {
  const chosen = Array.isArray(selected) ? selected.map(folderOf).filter((one) => one !== null) : [];
  const first = await pickRun(app, chosen[0] ? { folder: chosen[0] } : argument, 'Compare a run');
  const { runs } = await app.catalogue.list();
  const others = runs.filter(({ folder }) => folder !== first.folder);
  const second =
    others.find(({ folder }) => folder === chosen[1]) ??
    (await choose(
      others.map((row) => runChoice(app, row)),
      { title: `Compare ${first.name} with` },
    ));
  await showPage(app, `${first.name} and ${second.name}`, { compare: [first.folder, second.folder] });
}

/** The only question that is modal: what is deleted is gone. */
export async function deleteRun(app: App, argument: unknown): Promise<void> {
  const run = await pickRun(app, argument, 'Delete a run', ({ status }) => status !== 'running');
  const question = `Delete the run ${run.name}?`;
  const detail = `${run.folder}\nIts traces, pairs, circuit, patch and report are deleted; files of yours are kept.`;
  const answer = await window.showWarningMessage(question, { modal: true, detail }, 'Delete');
  if (answer !== 'Delete') return;
  // Not to be cancelled: half a run is of no use.
  const { kept } = await window.withProgress(
    { location: ProgressLocation.Window, title: `Deleting ${run.name}` },
    () => app.engine.request(protocol.remove, { folder: run.folder }),
  );
  if (kept.length > 0) info(`${run.name} is deleted; ${kept.join(', ')} is not of the run and was kept.`);
  else brief(`${run.name} is deleted.`);
  await app.jobs.refresh();
  app.catalogue.refresh();
  app.patchesView.refresh();
}
