import { CancellationError, type QuickPickItem, window } from 'vscode';
import { devices } from '../../server/protocol/engine.ts';
import type { App } from '../app.ts';
import { config, setConfig } from '../config.ts';
import { brief, info, log } from '../notify.ts';
import { removeApiKey, writeApiKey } from '../server/api-key.ts';
import { choose } from './pick.ts';

/** Where models can run here, and why not elsewhere; choosing one sets it. */
export async function showDevices(app: App): Promise<void> {
  const current = config.device();
  const found = app.engine.request(devices, null).then((all) => {
    const items = all.map(({ name, available, reason }) => ({
      label: `$(${available ? 'check' : 'circle-slash'}) ${name}`,
      description: name === current ? 'chosen' : '',
      detail: reason,
      value: available ? name : null,
    }));
    const auto = { label: '$(sparkle) auto', description: current === 'auto' ? 'chosen' : '', value: 'auto' };
    return [{ ...auto, detail: 'The first of these that works' }, ...items];
  });
  const name = await choose(found, { title: 'Devices', placeHolder: 'Where models run' });
  if (name === null) return info('That device is not available here; its line says why.');
  await setConfig('device', name as ReturnType<typeof config.device>);
}

export async function restartEngine(app: App): Promise<void> {
  await app.engine.restart();
  brief('The engine was started again; jobs went on.');
}

export function showLog(): void {
  log().show();
}

export async function engineMenu(app: App): Promise<void> {
  const items: (QuickPickItem & { run: () => unknown })[] = [
    { label: '$(server) Devices', run: () => showDevices(app) },
    { label: '$(debug-restart) Restart engine', run: () => restartEngine(app) },
    { label: '$(output) Show log', run: showLog },
  ];
  const chosen = await window.showQuickPick(items, { title: `Engine: ${app.engine.state}` });
  await chosen?.run();
}

/** The key goes to the system's key store, and from there to the engine's environment alone. */
export async function setApiKey(app: App): Promise<void> {
  const key = await window.showInputBox({
    title: 'API key of the endpoint',
    prompt:
      'Kept in the system’s key store; sent to the server under "endpoint" of the experiment that is run, unless that names a variable of its own',
    password: true,
    ignoreFocusOut: true,
  });
  if (!key) throw new CancellationError();
  await writeApiKey(app.context.secrets, key);
  brief('The API key is stored.');
}

export async function removeKey(app: App): Promise<void> {
  await removeApiKey(app.context.secrets);
  brief('The API key is removed.');
}
