import path from 'node:path';
import { type Disposable, type ExtensionContext, workspace } from 'vscode';
import { configure, engineCrashed } from '../../server/protocol/engine.ts';
import { config, onConfig } from '../config.ts';
import { error, failed, warn } from '../notify.ts';
import { readApiKey } from './api-key.ts';
import { EngineClient } from './client.ts';
import { launchOf } from './launch.ts';
import { launchSettings, liveSettings, serverOptions } from './options.ts';

/** Several settings changed in one edit are one restart. */
const SETTLE_MS = 300;

/** The engine of this window, following settings and trust. Nothing starts before it is asked for something. */
export function createEngine(context: ExtensionContext): EngineClient {
  const engine = new EngineClient({
    launch: async () =>
      launchOf({
        node: config.engineNode(),
        command: config.engineCommand(),
        editorNode: process.execPath,
        script: path.join(context.extensionPath, 'dist', 'server.mjs'),
        apiKey: await readApiKey(context.secrets),
      }),
    options: () => serverOptions(context),
    crashed: (reason, again) => {
      if (again) return warn(`The engine ended unexpectedly (${reason}) and is started again.`);
      const restart = { title: 'Restart Engine', run: () => engine.restart() };
      error(`The engine ended too often and is not started again (${reason}).`, restart);
    },
  });
  const reconfigure = () => {
    if (engine.state !== 'running') return;
    engine.request(configure, serverOptions(context)).catch(failed('The settings could not be changed'));
  };
  const restart = settled(() => {
    if (engine.state !== 'stopped') engine.restart().catch(failed('The engine could not be restarted'));
  });
  context.subscriptions.push(
    engine,
    restart,
    onConfig(liveSettings, reconfigure),
    onConfig(launchSettings, restart.call),
    context.secrets.onDidChange(restart.call),
    workspace.onDidGrantWorkspaceTrust(reconfigure),
    workspace.onDidChangeWorkspaceFolders(reconfigure),
    engine.onNotification(engineCrashed, ({ reason, restarted }) =>
      restarted
        ? warn(`The engine's model thread ended (${reason}) and was started again.`)
        : error(`The engine's model thread ended (${reason}).`),
    ),
  );
  return engine;
}

/** Calls once after calls have stopped coming. */
function settled(run: () => void): Disposable & { call(): void } {
  let timer: NodeJS.Timeout | undefined;
  const dispose = () => clearTimeout(timer);
  const call = () => {
    dispose();
    timer = setTimeout(run, SETTLE_MS);
  };
  return { call, dispose };
}
