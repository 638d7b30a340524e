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

/** Where the window's jobs are listed: with the workspace, or for windows without one in one place. */
export const storageOf = (context: ExtensionContext): Uri =>
  context.storageUri ?? Uri.joinPath(context.globalStorageUri, 'no-workspace');

export const serverOptions = (context: ExtensionContext): ServerOptions => ({
  trusted: workspace.isTrusted,
  storage: storageOf(context).fsPath,
  device: config.device(),
  threads: config.threads(),
  topK: config.alternatives(),
  maxTokens: config.maxTokens(),
  model: config.model(),
});
