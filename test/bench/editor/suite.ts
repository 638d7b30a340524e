/** What is measured inside the extension host: run() writes the figures of one window to CCA_BENCH_RESULT. */
import fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { commands, type Extension, extensions, Selection, Uri, window, workspace } from 'vscode';
import { list, view } from '../../../server/protocol/traces.ts';
import type { Api } from '../../../src/extension.ts';
import { isRunning } from '../../../src/jobs/describe.ts';

/** Milliseconds, but for memory (bytes). */
export interface WindowFigures {
  activation: number | null;
  firstOverlay?: number;
  completeOverlay?: number;
  attribution?: number;
  longestBlock?: number;
  tracesView?: number;
  hostMemory?: number;
}

const MILLI = 1e-6;

export async function run(): Promise<void> {
  const extension = extensions.getExtension<Api>('circuit-amplifier.circuit-amplifier')!;
  const figures: WindowFigures = { activation: await activation(extension) };
  const { CCA_BENCH_PART: part, CCA_BENCH_RESULT: result } = process.env;
  if (part === 'traces') await traces(extension.exports, figures);
  if (part === 'amplification') await amplification(extension.exports, figures);
  if (part === 'folder') await folder(extension.exports, figures);
  fs.writeFileSync(result!, JSON.stringify(figures));
}

/** Null where VS Code was faster. */
async function activation(extension: Extension<Api>): Promise<number | null> {
  if (extension.isActive) return null;
  const begin = performance.now();
  await extension.activate();
  return performance.now() - begin;
}

async function until<T>(probe: () => T | Promise<T>, seconds = 300): Promise<NonNullable<T>> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Opens the documents one after another: the first warms the engine. */
async function traces({ engine, traces: shown }: Api, figures: WindowFigures): Promise<void> {
  for (const name of ['warm.trace', 'long.trace']) {
    const uri = Uri.file(path.join(workspace.workspaceFolders![0]!.uri.fsPath, name));
    const begin = performance.now();
    const editor = await window.showTextDocument(uri);
    const state = () => {
      const one = shown.state();
      if (one?.problem) throw new Error(one.problem);
      return one?.uri === editor.document.uri.toString() ? one : null;
    };
    await until(() => (state()?.scored ?? 0) > 0);
    figures.firstOverlay = performance.now() - begin;
    await until(() => {
      const one = state();
      return one && one.total > 0 && one.scored === one.total;
    });
    figures.completeOverlay = performance.now() - begin;
    const { version } = editor.document;
    const { pivots } = await engine.request(view, { uri: editor.document.uri.toString(), version });
    const { start } = pivots[0]!.range;
    const asked = performance.now();
    editor.selection = new Selection(start.line, start.character, start.line, start.character);
    await until(() => state()?.attribution === pivots[0]!.token);
    figures.attribution = performance.now() - asked;
  }
}

async function amplification({ jobs }: Api, figures: WindowFigures): Promise<void> {
  const root = workspace.workspaceFolders![0]!.uri.fsPath;
  await workspace.getConfiguration('circuitAmplifier').update('jobs.confirm', false, true);
  // The window itself starts first: its own work is not the job's.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await commands.executeCommand('circuitAmplifier.run', Uri.file(path.join(root, 'experiment.json')));
  await until(() => jobs.all[0] && !isRunning(jobs.all[0]), 560);
  delay.disable();
  const { state, error } = jobs.all[0]!;
  if (state !== 'finished') throw new Error(error ?? state);
  figures.longestBlock = delay.max * MILLI;
}

async function folder({ engine, tracesView }: Api, figures: WindowFigures): Promise<void> {
  const documents = path.join(workspace.workspaceFolders![0]!.uri.fsPath, 'documents');
  // The engine's process is there; what is measured is the folder.
  await engine.request(list, { folder: path.dirname(documents) });
  const begin = performance.now();
  tracesView.show(documents);
  const groups = await tracesView.getChildren();
  for (const group of groups) await tracesView.getChildren(group);
  figures.tracesView = performance.now() - begin;
  figures.hostMemory = process.memoryUsage().rss;
}
