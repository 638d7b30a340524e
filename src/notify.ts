import { CancellationError, commands, type LogOutputChannel, window } from 'vscode';
import { errorCodes } from '../server/protocol/message.ts';
import { ENGINE_GONE, ServerError } from './server/server.ts';

/** A button of a message. */
export interface Button {
  title: string;
  run(): unknown;
}

const showLog: Button = {
  title: 'Show Log',
  run: () => commands.executeCommand('circuitAmplifier.showLog'),
};

let channel: LogOutputChannel | undefined;

/** The extension's log; made when something is first written. */
export function log(): LogOutputChannel {
  channel ??= window.createOutputChannel('Circuit Amplifier', { log: true });
  return channel;
}

export function disposeLog(): void {
  channel?.dispose();
  channel = undefined;
}

type Show = (message: string, ...titles: string[]) => Thenable<string | undefined>;

/** Messages that were shown last, oldest first. */
export const shown: string[] = [];
const MOST_SHOWN = 100;

/** Every message goes through here: one line, kept in the log too. */
async function show(how: Show, message: string, buttons: readonly Button[]): Promise<void> {
  const line = oneLine(message);
  shown.push(line);
  if (shown.length > MOST_SHOWN) shown.shift();
  const chosen = await how(line, ...buttons.map(({ title }) => title));
  await buttons.find(({ title }) => title === chosen)?.run();
}

export function info(message: string, ...buttons: Button[]): void {
  log().info(oneLine(message));
  void show(window.showInformationMessage, message, buttons).then(undefined, failed('The button'));
}

export function warn(message: string, ...buttons: Button[]): void {
  log().warn(oneLine(message));
  void show(window.showWarningMessage, message, buttons).then(undefined, failed('The button'));
}

export function error(message: string, ...buttons: Button[]): void {
  log().error(oneLine(message));
  void show(window.showErrorMessage, message, [...buttons, showLog]).then(undefined, failed('The button'));
}

/** A line in the status bar that goes away by itself. */
export function brief(message: string): void {
  window.setStatusBarMessage(oneLine(message), 5000);
}

/**
 * Handler of a rejected promise. Cancelling is no failure, and neither is the engine's end, which is told by itself; what needs trust offers to give it; what the user can mend is said
 * as it is, anything else with what failed before it.
 */
export const failed =
  (what: string) =>
  (reason: unknown): void => {
    if (reason instanceof CancellationError) return;
    const code = reason instanceof ServerError ? reason.code : null;
    if (code === errorCodes.untrusted) {
      const trust = () => commands.executeCommand('workbench.trust.manage');
      warn(messageOf(reason), { title: 'Manage Trust', run: trust });
    } else if (code === ENGINE_GONE) log().warn(`${what}: ${messageOf(reason)}`);
    else if (code === errorCodes.input) error(messageOf(reason));
    else {
      if (reason instanceof Error && reason.stack) log().debug(reason.stack);
      error(`${what}: ${messageOf(reason)}`);
    }
  };

export const messageOf = (reason: unknown): string =>
  reason instanceof Error ? reason.message : String(reason);

const oneLine = (text: string) => text.replaceAll(/\s*\n\s*/g, ' ').trim();
