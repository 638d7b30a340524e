/** The window that the suite runs in: the extension's own objects, its workspace, and ways to wait. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { commands, type Extension, extensions, type TextEditor, Uri, window, workspace } from 'vscode';
import { list, open, type TraceRow } from '../../../server/protocol/traces.ts';
import type { Api } from '../../../src/extension.ts';

export const extension = (): Extension<Api> => {
  const found = extensions.getExtension<Api>('circuit-amplifier.circuit-amplifier');
  assert.ok(found, 'the extension is not installed');
  return found;
};

/** Activated by VS Code itself, once its windows are up. */
export async function api(): Promise<Api> {
  await until('the extension is active', () => extension().isActive);
  return extension().exports;
}

export const root = (): string => workspace.workspaceFolders![0]!.uri.fsPath;
export const inRoot = (...parts: string[]): string => path.join(root(), ...parts);
/** A finished run of small.experiment.json. */
export const smallRun = (): string => inRoot('runs', 'small');

/** Waits for something to be so; the value that says it. @throws Error after a minute */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  seconds = 60,
): Promise<NonNullable<T>> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The next event that suits. */
export function next<T>(
  event: (listener: (value: T) => void) => { dispose(): void },
  suits: (value: T) => boolean = () => true,
): Promise<T> {
  return new Promise((resolve) => {
    const subscription = event((value) => {
      if (!suits(value)) return;
      subscription.dispose();
      resolve(value);
    });
  });
}

/** Opens the document of one of the small run's traces, its engine warm and its overlay complete. */
export async function openTrace(suits: (row: TraceRow) => boolean): Promise<TextEditor> {
  const { engine } = await api();
  const { rows } = await engine.request(list, { folder: smallRun() });
  const row = rows.find(suits);
  assert.ok(row, 'no trace of the run suits');
  const { file } = await engine.request(open, { run: smallRun(), trace: row.id });
  return show(file);
}

/** Shows a trace document, and waits for its overlay. */
export async function show(file: string): Promise<TextEditor> {
  const editor = await window.showTextDocument(await workspace.openTextDocument(file));
  await scored(editor);
  return editor;
}

export async function scored(editor: TextEditor) {
  const { traces } = await api();
  const uri = editor.document.uri.toString();
  return until(`scores of ${uri}`, () => {
    const state = traces.state();
    if (state?.problem) throw new Error(state.problem);
    return state?.uri === uri && state.total > 0 && state.scored === state.total ? state : null;
  });
}

export const wrongWithPivot = (row: TraceRow): boolean => row.correct === false && row.pivots > 0;

export const read = (...parts: string[]): string => fs.readFileSync(inRoot(...parts), 'utf8');
export const uriOf = (...parts: string[]): Uri => Uri.file(inRoot(...parts));

/** One of our commands by its short name. */
export const run = <T>(name: string, argument?: unknown, selected?: unknown) =>
  commands.executeCommand<T>(`circuitAmplifier.${name}`, argument, selected);

/** Answers every question of a command with what it offers first, until the command ends. */
export async function accepting<T>(asked: Thenable<T>): Promise<T> {
  let over = false;
  const answer = Promise.resolve(asked).finally(() => {
    over = true;
  });
  const accept = () => commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
  await until('the end of the command', async () => {
    if (!over) await accept();
    return over;
  });
  return answer;
}

const labels = () => window.tabGroups.all.flatMap(({ tabs }) => tabs.map(({ label }) => label));
/** Waits for a tab with such a label. */
export const tab = (wanted: RegExp) =>
  until(`a tab ${wanted}`, () => labels().find((label) => wanted.test(label)));
