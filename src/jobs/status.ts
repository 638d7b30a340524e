import { type Disposable, MarkdownString, StatusBarAlignment, ThemeColor, window } from 'vscode';
import { type EngineStatus, engineStatus } from '../../server/protocol/engine.ts';
import { views } from '../contributions.ts';
import type { Server } from '../server/server.ts';
import type { Jobs } from './jobs.ts';
import { statusOf } from './status-text.ts';

/** Jobs tell their progress up to ten times a second; it is drawn at most this often (milliseconds). */
const EVERY_MS = 500;

/** The jobs at work, else the engine's state, device, speed and memory; nothing before the engine is first used. */
export function showStatus(server: Server, jobs: Jobs): Disposable {
  const item = window.createStatusBarItem('circuitAmplifier.engine', StatusBarAlignment.Right, 50);
  item.name = 'Circuit Amplifier Engine';
  let latest: EngineStatus | null = null;
  let timer: NodeJS.Timeout | undefined;
  const draw = () => {
    clearTimeout(timer);
    timer = undefined;
    const { text, failed, lines, job } = statusOf(server.state, latest, jobs.running);
    item.text = text;
    item.command = job ? `${views.runs}.focus` : 'circuitAmplifier.engineMenu';
    item.backgroundColor = failed ? new ThemeColor('statusBarItem.warningBackground') : undefined;
    item.tooltip = new MarkdownString(lines.join('\n\n'));
    item.accessibilityInformation = { label: `Circuit Amplifier: ${text.replaceAll(/\$\([^)]*\)\s*/g, '')}` };
    if (server.state === 'stopped') item.hide();
    else item.show();
  };
  const soon = () => {
    timer ??= setTimeout(draw, EVERY_MS);
  };
  const subscriptions = [
    item,
    { dispose: () => clearTimeout(timer) },
    server.onState((state) => {
      if (state !== 'running') latest = null;
      draw();
    }),
    server.onNotification(engineStatus, (status) => {
      latest = status;
      draw();
    }),
    jobs.onChange(soon),
    jobs.onList(soon),
  ];
  return {
    dispose: () => {
      for (const subscription of subscriptions) subscription.dispose();
    },
  };
}
