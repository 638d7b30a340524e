import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { api, next } from './session.ts';

/** Processes that this extension host started for the engine. */
export function engineProcesses(): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, words] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(parent) === process.pid && words!.includes('server.mjs') ? [Number(pid)] : [];
  });
}

/** Kills the engine's process as the system would, and waits until it was started again. */
export async function killEngine(): Promise<void> {
  const { engine } = await api();
  const [pid] = engineProcesses();
  assert.ok(pid, 'the engine has no process');
  const restarted = next(engine.onRestart);
  process.kill(pid, 'SIGKILL');
  await restarted;
}
