import { type Disposable, MarkdownString, StatusBarAlignment, ThemeColor, window } from 'vscode';
import { type EngineStatus, engineStatus } from '../../server/protocol/engine.ts';
import { bytes } from '../format.ts';
import type { Server, ServerState } from './server.ts';

/** Engine state, device, speed and memory in the status bar; nothing before the engine is first used. */
export function showStatus(server: Server): Disposable {
  const item = window.createStatusBarItem('circuitAmplifier.engine', StatusBarAlignment.Right, 50);
  item.name = 'Circuit Amplifier Engine';
  item.command = 'circuitAmplifier.engineMenu';
  let latest: EngineStatus | null = null;
  const draw = () => {
    const { text, failed } = statusText(server.state, latest);
    item.text = text;
    item.backgroundColor = failed ? new ThemeColor('statusBarItem.warningBackground') : undefined;
    item.tooltip = new MarkdownString(statusLines(server.state, latest).join('\n\n'));
    item.accessibilityInformation = { label: `Circuit Amplifier: ${text.replaceAll(/\$\([^)]*\)\s*/g, '')}` };
    if (server.state === 'stopped') item.hide();
    else item.show();
  };
  const subscriptions = [
    item,
    server.onState((state) => {
      if (state !== 'running') latest = null;
      draw();
    }),
    server.onNotification(engineStatus, (status) => {
      latest = status;
      draw();
    }),
  ];
  return {
    dispose: () => {
      for (const subscription of subscriptions) subscription.dispose();
    },
  };
}

function statusText(state: ServerState, status: EngineStatus | null): { text: string; failed: boolean } {
  if (state === 'failed') return { text: '$(error) Circuit engine', failed: true };
  if (state !== 'running') return { text: '$(sync~spin) Circuit engine', failed: false };
  if (!status) return { text: '$(circuit-board) Circuit engine', failed: false };
  const failed = status.state === 'failed';
  const icon = failed ? 'error' : status.state === 'busy' ? 'loading~spin' : 'circuit-board';
  const parts = [
    status.device?.toUpperCase() ?? 'ready',
    status.tokensPerSecond !== null && `${Math.round(status.tokensPerSecond)} tok/s`,
    status.memory > 0 && bytes(status.memory),
  ];
  return { text: `$(${icon}) ${parts.filter(Boolean).join(' · ')}`, failed };
}

function statusLines(state: ServerState, status: EngineStatus | null): string[] {
  if (state !== 'running' || !status) return [`Circuit Amplifier engine: ${state}`];
  const lines = [
    `Circuit Amplifier engine: ${status.state}`,
    status.model !== null && `Model: \`${status.model}\``,
    status.device !== null && `Device: ${status.device}`,
    status.tokensPerSecond !== null && `${Math.round(status.tokensPerSecond)} tokens per second`,
    `Memory: ${bytes(status.memory)}`,
    status.failure,
  ];
  return lines.filter((line) => typeof line === 'string');
}
