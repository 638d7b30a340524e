import { createHash } from 'node:crypto';
import { type ExtensionContext, Uri, workspace } from 'vscode';
import type { ServerOptions } from '../../server/protocol/engine.ts';
import { config } from '../config.ts';
import type { Setting } from '../contributions.ts';

/** Settings that a running server takes on. */
export const liveSettings = [
  'device',
  'threads',
  'model',
  'alternatives',
  'maxTokens',
] as const satisfies Setting[];
/** Settings that need a new process. */
export const launchSettings = ['engine.node', 'engine.command'] as const satisfies Setting[];

/**
 * Where the window's jobs are listed: with the workspace, or for windows without one in one place. An engine behind a command
 * may be on another machine, which has no such folder: it is given a name for one of its own.
 */
function storageOf(context: ExtensionContext): string {
  const { fsPath } = context.storageUri ?? Uri.joinPath(context.globalStorageUri, 'no-workspace');
  if (config.engineCommand().length === 0) return fsPath;
  return createHash('sha256').update(fsPath).digest('hex').slice(0, 16);
}

export const serverOptions = (context: ExtensionContext): ServerOptions => ({
  trusted: workspace.isTrusted,
  storage: storageOf(context),
  device: config.device(),
  threads: config.threads(),
  topK: config.alternatives(),
  maxTokens: config.maxTokens(),
  model: config.model(),
  models: (workspace.workspaceFolders ?? []).map((folder) => ({
    folder: folder.uri.fsPath,
    model: config.model(folder),
  })),
});
