import path from 'node:path';
import { type ConfigurationScope, Disposable, Uri, workspace } from 'vscode';
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
  /** 16-bit weights are left as they are stored. */
  lean: () => read('lean'),
  /** Model folder, absolute; null for none. @param folder of the workspace, whose own setting it may be */
  model: (folder = workspace.workspaceFolders?.[0]) =>
    absolute(read('model', folder?.uri), folder?.uri.fsPath),
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
      .map((name) => absolute(name))
      .filter((folder) => folder !== null),
  confirmJobs: () => read('jobs.confirm'),
  backgroundJobs: () => read('jobs.background'),
};

/** Relative paths start at the first workspace folder unless another is given; null for an empty one. */
function absolute(name: string, folder = workspace.workspaceFolders?.[0]?.uri.fsPath ?? ''): string | null {
  return name.trim() === '' ? null : path.resolve(folder, name.trim());
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

/** Name of the workspace folder that a path lies in, where there are several; null. */
export function rootName(file: string): string | null {
  if ((workspace.workspaceFolders?.length ?? 0) < 2) return null;
  return workspace.getWorkspaceFolder(Uri.file(file))?.name ?? null;
}

/** Calls back when the folders that are searched change. */
export const onSearchFolders = (changed: () => void): Disposable =>
  Disposable.from(onConfig(['runs.folders'], changed), workspace.onDidChangeWorkspaceFolders(changed));

/** Folders that are searched for runs and patches. */
export const searchFolders = (): string[] => [
  ...(workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === 'file')
    .map(({ uri }) => uri.fsPath),
  ...config.runFolders(),
];
