import path from 'node:path';
import { CancellationError, commands, Uri, window, workspace } from 'vscode';
import type { App } from '../app.ts';
import { experimentText, isExperimentFile, outlineOf } from './experiment-file.ts';
import { type Choice, choose, chooseFiles, chooseFolder, chooseTarget } from './pick.ts';

const PATTERN = '**/{experiment.json,*.experiment.json}';
const IGNORED = '**/{node_modules,runs,.git}/**';

/** Experiment files of the workspace, absolute. */
async function findExperiments(): Promise<string[]> {
  const found = await workspace.findFiles(PATTERN, IGNORED, 200);
  return found.map(({ fsPath }) => fsPath).sort();
}

/** The experiment that a command is about: the resource's, the active editor's, the only one, or the one that is picked. */
export async function pickExperiment(argument: unknown): Promise<string> {
  if (argument instanceof Uri && isExperimentFile(argument.fsPath)) return argument.fsPath;
  const active = window.activeTextEditor?.document.uri;
  if (active?.scheme === 'file' && isExperimentFile(active.fsPath)) return active.fsPath;
  const files = await findExperiments();
  if (files.length === 1) return files[0]!;
  return files.length > 0 ? choose(files.map(fileChoice), { title: 'Which experiment?' }) : offerNew();
}

const fileChoice = (file: string): Choice<string> => ({
  label: path.basename(file),
  description: path.dirname(workspace.asRelativePath(file)).replace(/^\.$/, ''),
  value: file,
});

async function offerNew(): Promise<never> {
  const next = await choose(
    [
      { label: '$(beaker) Open the demo workspace', value: 'circuitAmplifier.openDemo' },
      { label: '$(new-file) Write a new experiment file', value: 'circuitAmplifier.newExperiment' },
    ],
    { title: 'There is no experiment file in this workspace' },
  );
  await commands.executeCommand(next);
  throw new CancellationError();
}

/** The experiment that a run came from: its job's, the one that writes to its folder, or the one that is picked. */
export async function experimentOf(app: App, run: string): Promise<string> {
  const known = app.jobs.of(run)?.spec.experiment;
  if (known !== undefined) return known;
  const files = await findExperiments();
  for (const file of files) {
    if ((await runOf(file)) === path.normalize(run)) return file;
  }
  if (files.length === 0) return offerNew();
  return choose(files.map(fileChoice), { title: `Which experiment is ${path.basename(run)} from?` });
}

/** The run folder that an experiment file names; null where it names none. */
export async function runOf(experiment: string): Promise<string | null> {
  return outlineOf(experiment, Buffer.from(await workspace.fs.readFile(Uri.file(experiment))).toString()).out;
}

/** Asks for the model and the data, writes an experiment file and opens it. */
export async function newExperiment(): Promise<void> {
  const root = workspace.workspaceFolders?.[0]?.uri.fsPath;
  const model = await pickModel();
  const split = await choose(
    [
      {
        label: 'One file of problems',
        detail: 'Split by the seed into training, validation and test',
        value: false,
      },
      { label: 'Three files', detail: 'Training, validation and test problems', value: true },
    ],
    { title: 'New experiment (2 of 4): problems' },
  );
  const ask = async (what: string) => (await chooseFiles(what, 'Take'))[0]!;
  const problems = split
    ? ([
        await ask('Training problems (JSONL)'),
        await ask('Validation problems (JSONL)'),
        await ask('Test problems (JSONL)'),
      ] as const)
    : ([await ask('Problems (JSONL: own, GSM8K or GSM-Symbolic)')] as const);
  const controls = await choose(
    [
      {
        label: 'Choose control files',
        detail: 'Items that must not get worse: watched while training and scored at the end',
        value: true,
      },
      { label: 'None', detail: 'Nothing then guards against damage', value: false },
    ],
    { title: 'New experiment (3 of 4): controls' },
  );
  const controlFiles = controls ? await chooseFiles('Control items (JSONL)', 'Take', true) : [];
  const folder = root ?? path.dirname(problems[0]);
  const name = await window.showInputBox({
    title: 'New experiment (4 of 4): name',
    value: path.basename(model).toLowerCase(),
    validateInput: (text) => (/^[\w][\w. -]*$/.test(text.trim()) ? null : 'Letters, digits, - and _'),
    ignoreFocusOut: true,
  });
  if (name === undefined) throw new CancellationError();
  const suggested = path.join(folder, `${name.trim()}.experiment.json`);
  const file = root === undefined ? await chooseTarget('Experiment file', suggested) : suggested;
  await write(file, experimentText({ file, model, problems, controls: controlFiles }));
  await window.showTextDocument(Uri.file(file));
}

async function write(file: string, text: string): Promise<void> {
  const uri = Uri.file(file);
  const there = await workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
  if (there) throw new Error(`${file} is there already; choose another name`);
  await workspace.fs.writeFile(uri, Buffer.from(text));
}

/** Model folders of the workspace, or any other. */
async function pickModel(): Promise<string> {
  const configs = await workspace.findFiles('**/config.json', IGNORED, 200);
  const folders = await Promise.all(
    configs.map(async (config) => {
      const folder = path.dirname(config.fsPath);
      const tokenizer = Uri.file(path.join(folder, 'tokenizer.json'));
      return workspace.fs.stat(tokenizer).then(
        () => [folder],
        () => [],
      );
    }),
  );
  const items: Choice<string | null>[] = folders.flat().map((folder) => ({
    label: path.basename(folder),
    description: workspace.asRelativePath(folder),
    value: folder,
  }));
  const other = { label: '$(folder-opened) Another folder…', value: null };
  const title = 'New experiment (1 of 4): model';
  const chosen = items.length > 0 ? await choose([...items, other], { title }) : null;
  return chosen ?? chooseFolder('Model folder (config.json, tokenizer.json, safetensors)', 'Take Model');
}
