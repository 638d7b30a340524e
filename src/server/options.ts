import { createHash } from 'node:crypto';
import { type ExtensionContext, Uri, workspace } from 'vscode';
import type { ServerOptions } from '../../server/protocol/engine.ts';
import { config } from '../config.ts';
import type { Setting } from '../contributions.ts';

/** Settings that a running server takes on. */
export const liveSettings = [
  'device',
  'threads',
  'lean',
  'jobs.background',
  'model',
  'alternatives',
  'maxTokens',
] as const satisfies Setting[];
/** Settings that need a new process. */
export const launchSettings = ['engine.node', 'engine.command'] as const satisfies Setting[];

/**
 * Where the jobs of the window's workspace are listed: one place for all windows on it, which the editor's own storage of a
 * workspace is not (a second window is given another), and one for windows without a workspace. An engine behind a command may
 * be on another machine, which has no such folder: it is given a name for one of its own.
 */
function storageOf({ globalStorageUri }: ExtensionContext): string {
  const { workspaceFile, workspaceFolders = [] } = workspace;
  const opened = workspaceFile ? [workspaceFile] : workspaceFolders.map(({ uri }) => uri);
  const name = createHash('sha256').update(opened.join('\n')).digest('hex').slice(0, 16);
  return config.engineCommand().length === 0
    ? Uri.joinPath(globalStorageUri, 'workspaces', name).fsPath
    : name;
}

export const serverOptions = (context: ExtensionContext): ServerOptions => ({
  trusted: workspace.isTrusted,
  storage: storageOf(context),
  device: config.device(),
  threads: config.threads(),
  lean: config.lean(),
  background: config.backgroundJobs(),
  topK: config.alternatives(),
  maxTokens: config.maxTokens(),
  model: config.model(),
  models: (workspace.workspaceFolders ?? []).map((folder) => ({
    folder: folder.uri.fsPath,
    model: config.model(folder),
  })),
});
