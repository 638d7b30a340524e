import path from 'node:path';
import { type ConfigurationScope, type Disposable, workspace } from 'vscode';
import { type Setting, settings } from './contributions.ts';

const section = 'circuitAmplifier';

type Value<S extends Setting> = (typeof settings)[S];

function read<S extends Setting>(name: S, scope?: ConfigurationScope): Value<S> {
  return workspace.getConfiguration(section, scope).get<Value<S>>(name, settings[name]);
}

/** One getter per setting. */
export const config = {
  /** Node that runs the engine; empty for the editor's own. */
  engineNode: () => read('engine.node').trim(),
  /** Program and arguments in place of a local engine; empty for none. */
  engineCommand: () => read('engine.command'),
  device: () => read('device'),
  threads: () => read('threads'),
  /** Model folder, absolute; null for none. */
  model: () => absolute(read('model', workspace.workspaceFolders?.[0]?.uri)),
  alternatives: () => read('alternatives'),
  maxTokens: () => read('maxTokens'),
  overlayKind: () => read('overlay.kind'),
  overlayPivots: () => read('overlay.pivots'),
  overlayPrompt: () => read('overlay.prompt'),
  overlayDeviations: () => read('overlay.deviations'),
  overlayAttribution: () => read('overlay.attribution'),
  overlayLegend: () => read('overlay.legend'),
  /** Run folders beside those of the workspace, absolute. */
  runFolders: () =>
    read('runs.folders')
      .map(absolute)
      .filter((folder) => folder !== null),
  confirmJobs: () => read('jobs.confirm'),
};

/** Relative paths start at the first workspace folder; null for an empty one. */
function absolute(name: string): string | null {
  if (name.trim() === '') return null;
  return path.resolve(workspace.workspaceFolders?.[0]?.uri.fsPath ?? '', name.trim());
}

/** Writes where it applies to all windows. */
export const setConfig = <S extends Setting>(name: S, value: Value<S>) =>
  workspace.getConfiguration(section).update(name, value, true);

/** Calls back when one of the settings changes. */
export function onConfig(names: readonly Setting[], changed: () => void): Disposable {
  return workspace.onDidChangeConfiguration((event) => {
    if (names.some((name) => event.affectsConfiguration(`${section}.${name}`))) changed();
  });
}

/** Folders that are searched for runs and patches. */
export const searchFolders = (): string[] => [
  ...(workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === 'file')
    .map(({ uri }) => uri.fsPath),
  ...config.runFolders(),
];
