import path from 'node:path';
import { CancellationError, type QuickPickItem, type QuickPickOptions, Uri, window } from 'vscode';
import type { RunRow } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { rootName } from '../config.ts';
import { type PatchNode, patchName } from '../views/patches.ts';
import { runDescription } from '../views/run-nodes.ts';

/** An item that stands for a value. */
export interface Choice<T> extends QuickPickItem {
  value: T;
}

/**
 * A list that stays until something is chosen or Escape is pressed: the walkthrough's page takes the focus back when it is
 * drawn anew, which would close a list that one of its buttons has just shown.
 * @throws CancellationError where nothing is chosen: the command ends silently
 */
export async function choose<T>(
  items: readonly Choice<T>[] | Promise<Choice<T>[]>,
  options: QuickPickOptions,
): Promise<T> {
  const item = await window.showQuickPick(items, {
    matchOnDescription: true,
    ignoreFocusOut: true,
    ...options,
  });
  if (!item) throw new CancellationError();
  return item.value;
}

/** @throws CancellationError where nothing is chosen */
export async function chooseFolder(title: string, label: string): Promise<string> {
  const chosen = await window.showOpenDialog({
    title,
    openLabel: label,
    canSelectFiles: false,
    canSelectFolders: true,
  });
  if (!chosen?.[0]) throw new CancellationError();
  return chosen[0].fsPath;
}

/** @throws CancellationError where nothing is chosen */
export async function chooseFiles(title: string, label: string, many = false): Promise<string[]> {
  const filters = { 'JSON lines': ['jsonl'], 'All files': ['*'] };
  const chosen = await window.showOpenDialog({ title, openLabel: label, canSelectMany: many, filters });
  if (!chosen?.[0]) throw new CancellationError();
  return chosen.map(({ fsPath }) => fsPath);
}

/** Where something new goes. @throws CancellationError where nothing is chosen */
export async function chooseTarget(title: string, suggested: string, extension?: string): Promise<string> {
  const chosen = await window.showSaveDialog({
    title,
    defaultUri: Uri.file(suggested),
    ...(extension === undefined ? {} : { filters: { [extension]: [extension] } }),
  });
  if (!chosen) throw new CancellationError();
  return chosen.fsPath;
}

/** The folder that a command was called for, by an item of a view, a message's button or a resource; null for none. */
export function folderOf(argument: unknown): string | null {
  if (argument instanceof Uri) return argument.fsPath;
  if (typeof argument !== 'object' || argument === null) return null;
  const { folder, row, run } = argument as { folder?: unknown; row?: RunRow; run?: unknown };
  const named = folder ?? row?.folder ?? run;
  return typeof named === 'string' ? named : null;
}

/** A run that has what is asked for: the command's own, or one that the user picks. */
export async function pickRun(
  app: App,
  argument: unknown,
  title: string,
  suits: (row: RunRow) => boolean = () => true,
): Promise<RunRow> {
  const { runs } = await app.catalogue.list();
  const folder = folderOf(argument);
  const named = runs.find((row) => row.folder === folder);
  if (named) return named;
  const items = runs.filter(suits).map((row) => runChoice(app, row));
  if (items.length === 0) throw new Error('no run of this workspace has what is needed');
  return choose(items, { title, placeHolder: 'Run' });
}

export const runChoice = (app: App, row: RunRow): Choice<RunRow> => ({
  label: row.name,
  description: runDescription(
    { kind: 'run', row, job: app.jobs.of(row.folder), root: rootName(row.folder) },
    Date.now(),
  ),
  detail: row.folder,
  value: row,
});

/** Patches that a command is about: the item's, a run's own, or those that the user ticks. */
export async function pickPatches(
  app: App,
  argument: unknown,
  title: string,
  many: boolean,
): Promise<PatchNode[]> {
  const nodes = await app.patchesView.nodes();
  const { file, row } = (argument ?? {}) as { file?: unknown; row?: RunRow | null };
  const wanted = typeof file === 'string' ? file : row?.files?.patch;
  const named = nodes.filter((node) => node.file === wanted);
  if (named.length > 0) return named;
  if (nodes.length === 0) throw new Error('there are no patches in this workspace');
  const items = nodes.map((node) => ({
    label: patchName(node),
    description: node.place ? `active × ${node.place.scale}` : '',
    detail: path.dirname(node.file),
    picked: node.place !== null,
    value: node,
  }));
  if (!many) return [await choose(items, { title, placeHolder: 'Patch' })];
  const chosen = await window.showQuickPick(items, {
    title,
    placeHolder: 'Patches',
    canPickMany: true,
    ignoreFocusOut: true,
  });
  if (!chosen?.length) throw new CancellationError();
  return chosen.map(({ value }) => value);
}
