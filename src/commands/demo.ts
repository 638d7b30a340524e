import path from 'node:path';
import { commands, type ExtensionContext, Uri, workspace } from 'vscode';
import type { App } from '../app.ts';
import { setContext, withUnset } from '../context.ts';
import { demoExperiment } from './experiment-file.ts';
import { choose, chooseFolder } from './pick.ts';

const NAME = 'circuit-amplifier-demo';
/** Folders that the demo was copied to, and the one whose window is about to open. */
const FOLDERS = 'demoFolders';
const OPENING = 'demoOpening';

/** Copies model, data and experiment to a folder of the user's and opens it. A copy that is there is opened as it is. */
export async function openDemo(app: App): Promise<void> {
  const { context } = app;
  const own = context.globalStorageUri;
  const parent = await choose(
    [
      { label: 'In a folder of the editor', detail: own.fsPath, value: own },
      { label: 'Choose a folder…', detail: `A folder ${NAME} is made in it`, value: null },
    ],
    { title: 'Where should the demo workspace go? (5 MB)' },
  );
  const folder = Uri.joinPath(
    parent ?? Uri.file(await chooseFolder('Folder for the demo', 'Copy Here')),
    NAME,
  );
  await copyDemo(Uri.joinPath(context.extensionUri, 'media', 'demo'), folder);
  const known = new Set([...demoFolders(context), folder.fsPath]);
  await context.globalState.update(FOLDERS, [...known]);
  await context.globalState.update(OPENING, folder.fsPath);
  // Work that is open stays where it is.
  const busy = await hasWork();
  await commands.executeCommand('vscode.openFolder', folder, {
    forceReuseWindow: !busy,
    forceNewWindow: busy,
  });
}

/** A folder with something in it is open in this window. */
async function hasWork(): Promise<boolean> {
  const folders = workspace.workspaceFolders ?? [];
  const entries = await Promise.all(
    folders.map(({ uri }) =>
      workspace.fs.readDirectory(uri).then(
        ({ length }) => length,
        () => 0,
      ),
    ),
  );
  return entries.some((count) => count > 0);
}

/** @param folder made where it is not there */
async function copyDemo(source: Uri, folder: Uri): Promise<void> {
  const experiment = Uri.joinPath(folder, 'experiment.json');
  const there = await workspace.fs.stat(experiment).then(
    () => true,
    () => false,
  );
  if (there) return;
  await workspace.fs.createDirectory(folder);
  for (const part of ['model', 'data', 'README.md']) {
    await workspace.fs.copy(Uri.joinPath(source, part), Uri.joinPath(folder, part), { overwrite: true });
  }
  const text = Buffer.from(await workspace.fs.readFile(Uri.joinPath(source, 'experiment.json'))).toString();
  // Last: its presence says that the copy is whole.
  await workspace.fs.writeFile(experiment, Buffer.from(demoExperiment(text)));
}

/** Says whether this window has the demo open; the first time the walkthrough goes on there. */
export async function greetDemo(context: ExtensionContext): Promise<void> {
  const here = workspace.workspaceFolders?.[0]?.uri.fsPath;
  setContext('circuitAmplifier.demo', here !== undefined && demoFolders(context).includes(here));
  if (here === undefined || context.globalState.get(OPENING) !== here) return;
  await context.globalState.update(OPENING, undefined);
  await commands.executeCommand('circuitAmplifier.openWalkthrough');
}

const demoFolders = (context: ExtensionContext): string[] =>
  context.globalState.get<string[]>(FOLDERS, []).map((folder) => path.normalize(folder));

export function openWalkthrough({ context }: App): Promise<void> {
  const open = () =>
    commands.executeCommand<void>('workbench.action.openWalkthrough', `${context.extension.id}#start`, false);
  const steps = ['demo', 'amplified', 'flipOpened', 'diffSeen'] as const;
  return withUnset(
    steps.map((step) => `circuitAmplifier.${step}` as const),
    open,
  );
}
