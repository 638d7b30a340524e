import { CancellationError, commands, Uri, window } from 'vscode';
import * as protocol from '../../server/protocol/traces.ts';
import type { App } from '../app.ts';
import { info } from '../notify.ts';
import { tagNames, traceDescription } from '../views/trace-groups.ts';
import { type Choice, choose, chooseFolder, folderOf, runChoice } from './pick.ts';
import { withProgress } from './progress.ts';

/** Shows the traces of a run, or of any folder of trace documents. */
export async function showTraces(app: App, argument: unknown): Promise<void> {
  app.tracesView.show(folderOf(argument) ?? (await pickFolder(app)));
  await commands.executeCommand('circuitAmplifier.traces.focus');
}

async function pickFolder(app: App): Promise<string> {
  const runs = app.catalogue.list().then(({ runs: all }) => {
    const items: Choice<string | null>[] = all
      .filter(({ files }) => files.traces !== null)
      .map((row) => ({ ...runChoice(app, row), value: row.folder }));
    return [...items, { label: '$(folder-opened) Folder of trace documents…', value: null }];
  });
  const chosen = await choose(runs, { title: 'Traces of which run?' });
  return chosen ?? chooseFolder('Folder of trace documents', 'Show Traces');
}

/** Opens a trace's document, which is made where it is not there yet. */
export async function openTrace(app: App, argument: unknown): Promise<void> {
  const run = app.tracesView.folder;
  const row = (argument as { row?: protocol.TraceRow } | null)?.row ?? (await pickTrace(app));
  const file =
    row.document ??
    (run === null ? null : (await app.engine.request(protocol.open, { run, trace: row.id })).file);
  if (file !== null) await window.showTextDocument(Uri.file(file));
}

const pickTrace = (app: App): Promise<protocol.TraceRow> =>
  choose(
    app.tracesView.rows().then((rows) =>
      rows.map((row) => ({
        label: row.id,
        description: traceDescription(row),
        ...(row.template === null ? {} : { detail: row.template }),
        value: row,
      })),
    ),
    { title: 'Open a trace', matchOnDetail: true },
  );

export async function filterTraces(app: App): Promise<void> {
  const text = await window.showInputBox({
    title: 'Filter traces',
    value: app.tracesView.filter,
    prompt: `Words of id, problem or template; ${tagNames.join(' ')}`,
    ignoreFocusOut: true,
  });
  if (text === undefined) throw new CancellationError();
  app.tracesView.setFilter(text);
}

/** Writes documents of a run's traces beside it, to annotate, search and keep in version control. */
export async function writeDocuments(app: App, argument: unknown): Promise<void> {
  const run = folderOf(argument) ?? app.tracesView.folder ?? (await pickFolder(app));
  const which = await choose(
    [
      { label: 'Traces with pivots', value: 'pivots' as const },
      { label: 'All traces', value: 'all' as const },
    ],
    { title: 'Write trace documents' },
  );
  const { folder, written, kept } = await withProgress('Writing trace documents', (token) =>
    app.engine.request(protocol.writeDocuments, { run, which }, { token }),
  );
  const rest = kept > 0 ? ` ${kept} were there and are left as they are.` : '';
  info(`${written} documents written to ${folder}.${rest}`, {
    title: 'Show in Explorer',
    run: () => commands.executeCommand('revealInExplorer', Uri.file(folder)),
  });
  app.tracesView.refresh();
}
