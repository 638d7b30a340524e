/** What is measured inside the extension host: run() writes the figures of one window to CCA_BENCH_RESULT. */
import fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { Script } from 'node:vm';
import { commands, extensions, Selection, type TreeItem, Uri, window, workspace } from 'vscode';
import { type JobSpec, start } from '../../../server/protocol/jobs.ts';
import { list, view } from '../../../server/protocol/traces.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import type { Api } from '../../../src/extension.ts';
import { isRunning } from '../../../src/jobs/describe.ts';

/** Samples of one window: milliseconds, but for memory (bytes). */
export interface WindowFigures {
  activation?: number[];
  /** The same text as a plain file, opened and shown: the editor's own work. */
  plain?: number[];
  firstOverlay?: number[];
  /** From the request for scores to their first part. */
  firstScores?: number[];
  completeOverlay?: number[];
  /** The same to their last. */
  allScores?: number[];
  /** With the cursor on a pivot a second after the overlay: as soon as a person can put it there. */
  attribution?: number[];
  /** From the cursor's move to the engine's answer. */
  attributed?: number[];
  /** The same at once, and on another pivot. */
  attributionAtOnce?: number[];
  longestBlock?: number[];
  /** Longest garbage collection meanwhile: of all that the process holds, VS Code's own part of it too. */
  longestCollection?: number[];
  tracesView?: number[];
  hostMemory?: number[];
  /** Of `hostMemory` what is this process's alone: the rest is of files that all of VS Code's processes share. Linux. */
  hostPrivate?: number[];
  /** Of `hostMemory` what there was before the folder was chosen. */
  hostBefore?: number[];
  /** Of a window without the extension. */
  hostBare?: number[];
}

const MILLI = 1e-6;

/** As a person does who has opened a window: what its start has set going comes to rest. */
const rest = () => new Promise((resolve) => setTimeout(resolve, 5000));

export async function run(): Promise<void> {
  const { CCA_BENCH_PART: part, CCA_BENCH_RESULT: result, CCA_BENCH_REPEATS: repeats } = process.env;
  if (part === 'bare') {
    await rest();
    fs.writeFileSync(
      result!,
      JSON.stringify({ hostBare: [process.memoryUsage.rss()] } satisfies WindowFigures),
    );
    return;
  }
  const extension = extensions.getExtension<Api>('circuit-amplifier.circuit-amplifier')!;
  await until('activation', () => extension.isActive);
  const api = extension.exports;
  const code = read(path.join(extension.extensionPath, 'dist', 'extension.cjs'));
  const figures: WindowFigures = { activation: [code + api.activation] };
  if (part === 'traces') await traces(api, figures);
  if (part === 'amplification') await amplification(api, figures, Number(repeats));
  if (part === 'folder') await folder(api, figures);
  fs.writeFileSync(result!, JSON.stringify(figures));
}

/** How long the extension's code takes to be read and compiled: it cannot say so itself. */
function read(file: string): number {
  const begin = performance.now();
  new Script(`(function (exports, require, module) {${fs.readFileSync(file, 'utf8')}\n})`);
  return performance.now() - begin;
}

async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { every = 2, seconds = 300 } = {},
): Promise<NonNullable<T>> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** What the window was sent before has reached it: messages to it keep their order. */
const reached = () => commands.executeCommand('setContext', 'circuitAmplifier.bench', true);

const inRoot = (...parts: string[]) => path.join(workspace.workspaceFolders![0]!.uri.fsPath, ...parts);

/** Opens a trace to warm the engine, and then another. */
async function traces(api: Api, figures: WindowFigures): Promise<void> {
  await openTrace(api, 'warm.trace');
  await rest();
  const begin = performance.now();
  await window.showTextDocument(Uri.file(inRoot('long.txt')));
  await reached();
  figures.plain = [performance.now() - begin];
  const { first, complete, attribution, attributionAtOnce, timing } = await openTrace(api, 'long.trace');
  Object.assign(figures, {
    firstOverlay: [first],
    completeOverlay: [complete],
    attribution: [attribution],
    attributionAtOnce: [attributionAtOnce],
    firstScores: [timing.first],
    allScores: [timing.complete],
    attributed: [timing.attribution],
  });
}

async function openTrace({ engine, traces: shown }: Api, name: string) {
  const begin = performance.now();
  const editor = await window.showTextDocument(Uri.file(inRoot(name)));
  const { document } = editor;
  const uri = document.uri.toString();
  const state = () => {
    const one = shown.state();
    if (one?.problem) throw new Error(one.problem);
    return one?.uri === uri ? one : null;
  };
  await until('an overlay', () => (state()?.painted?.scored ?? 0) > 0);
  await reached();
  const first = performance.now() - begin;
  await until('the whole overlay', () => {
    const one = state();
    return one && one.total > 0 && one.painted?.scored === one.total;
  });
  await reached();
  const complete = performance.now() - begin;
  const { pivots } = await engine.request(view, { uri, version: document.version });
  const attributed = async ({ token, range: { start: at } }: (typeof pivots)[number]) => {
    const asked = performance.now();
    editor.selection = new Selection(at.line, at.character, at.line, at.character);
    await until('the attribution', () => state()?.painted?.attribution === token);
    await reached();
    return performance.now() - asked;
  };
  const attributionAtOnce = await attributed(pivots[0]!);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const attribution = await attributed(pivots[1]!);
  return { first, complete, attribution, attributionAtOnce, timing: state()!.timing };
}

/** The small experiment's run done again from its first stage, with everything open that follows it. */
async function amplification(api: Api, figures: WindowFigures, repeats: number): Promise<void> {
  const { engine, jobs, tracesView, runsView, patchesView, panels } = api;
  const run = inRoot('runs', 'small');
  await commands.executeCommand('workbench.view.extension.circuitAmplifier');
  const drawn = [drawing(runsView), drawing(tracesView), drawing(patchesView)];
  tracesView.show(run);
  api.catalogue.refresh();
  patchesView.refresh();
  for (const shows of drawn) await until('a view', () => shows.items.length > 0);
  await window.showTextDocument(Uri.file(inRoot('long.trace')));
  await until('the overlay', () => api.traces.state()?.painted?.scored === api.traces.state()?.total);
  await commands.executeCommand('circuitAmplifier.openCircuit', { folder: run });
  await until('the panel', () => panels.visible);
  figures.longestBlock = [];
  figures.longestCollection = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  for (let i = 0; i < repeats; i++) {
    await rest();
    delay.reset();
    delay.enable();
    const collected = collections();
    const spec: JobSpec = jobSpec(inRoot('small.experiment.json'), { redo: 'generate' });
    const { id } = await engine.request(start, spec);
    const job = () => jobs.all.find((one) => one.id === id);
    // Not every 2 ms: what the watch itself leaves to be collected would be measured.
    await until('the end of the job', () => job() && !isRunning(job()!), { every: 100 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    delay.disable();
    const { state, error } = job()!;
    if (state !== 'finished') throw new Error(error ?? state);
    figures.longestBlock.push(delay.max * MILLI);
    figures.longestCollection.push(collected());
  }
  for (const shows of drawn) if (shows.items.length < repeats) throw new Error('a view was not drawn');
}

/**
 * A watch that leaves nothing to be collected itself, as a timer's would.
 * @returns what ends it and tells the longest garbage collection, milliseconds
 */
function collections(): () => number {
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => {
    observer.disconnect();
    return longest;
  };
}

/** The items that the window asks a view for: those of a view that is not shown it does not. */
function drawing<N>(view: { getTreeItem(node: N): TreeItem }): { items: TreeItem[] } {
  const items: TreeItem[] = [];
  const own = view.getTreeItem.bind(view);
  view.getTreeItem = (node) => {
    const item = own(node);
    items.push(item);
    return item;
  };
  return { items };
}

/** From the folder's choice until its traces are on the screen: outcomes, one's templates, one's traces, opened by keys. */
async function folder({ engine, tracesView }: Api, figures: WindowFigures): Promise<void> {
  // The engine's process is there, and the view: what is measured is the folder.
  await engine.request(list, { folder: inRoot('few') });
  tracesView.show(inRoot('few'));
  const { items } = drawing(tracesView);
  await commands.executeCommand('circuitAmplifier.traces.focus');
  await until('the view', () => items.length > 0);
  await reached();
  await rest();
  items.length = 0;
  figures.hostBefore = [process.memoryUsage.rss()];
  const begin = performance.now();
  await commands.executeCommand('circuitAmplifier.showTraces', { folder: inRoot('documents') });
  const opened = (kind: string, ...keys: string[]) =>
    until(`a ${kind} in the view`, async () => {
      // Until the window has drawn what the keys are to move on.
      for (const key of keys) await commands.executeCommand(`list.${key}`);
      return items.some(({ contextValue }) => contextValue === kind);
    });
  await opened('outcome');
  await opened('template', 'focusFirst', 'expand');
  await opened('trace', 'focusFirst', 'focusDown', 'expand');
  await reached();
  figures.tracesView = [performance.now() - begin];
  figures.hostMemory = [process.memoryUsage.rss()];
  const own = fs.existsSync('/proc/self/status') && fs.readFileSync('/proc/self/status', 'utf8');
  const kilobytes = own && /^RssAnon:\s*(\d+) kB/m.exec(own)?.[1];
  if (kilobytes) figures.hostPrivate = [Number(kilobytes) * 1024];
}
