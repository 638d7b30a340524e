import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import {
  type LockHolder,
  lockHolder,
  releaseLeftLock,
  takeLock,
  watchLocks,
} from '../../server/runs/lock.ts';
import { temporaryFolder } from './folders.ts';

const root = temporaryFolder();

function lockedBy(change: Record<string, unknown>): string {
  const folder = fs.mkdtempSync(path.join(root, 'run-'));
  const started = new Date().toISOString();
  const holder = { pid: process.pid, host: os.hostname(), started, processStart: null, ...change };
  fs.writeFileSync(path.join(folder, 'run.lock'), JSON.stringify(holder));
  return folder;
}

/** The pid of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

test('a second writer is refused until the first releases', () => {
  const folder = fs.mkdtempSync(path.join(root, 'run-'));
  const release = takeLock(folder);
  expect(lockHolder(folder)?.pid).toBe(process.pid);
  expect(() => takeLock(folder)).toThrow(`process ${process.pid} on this machine`);
  release();
  expect(lockHolder(folder)).toBeNull();
  takeLock(folder)();
  expect(fs.readdirSync(folder)).toEqual([]);
});

test.each([
  ['an ended process', { pid: deadPid() }],
  ['a process before the last start of this machine', { started: '2001-01-01T00:00:00.000Z' }],
])('the lock of %s is taken over', (_, change) => {
  const folder = lockedBy(change);
  expect(lockHolder(folder)).toBeNull();
  const release = takeLock(folder);
  expect(lockHolder(folder)?.pid).toBe(process.pid);
  release();
});

test.runIf(process.platform === 'linux')(
  'a pid that another process has got since does not hold the lock',
  () => {
    takeLock(lockedBy({ processStart: '1' }))();
  },
);

test('what a thread left behind is released, and what somebody has taken since is not', () => {
  const folder = fs.mkdtempSync(path.join(root, 'run-'));
  const told: (LockHolder | null)[] = [];
  watchLocks((_, holder) => told.push(holder));
  takeLock(folder);
  const [left] = told;
  releaseLeftLock(folder, left!);
  expect(lockHolder(folder)).toBeNull();
  const since = { ...left!, started: new Date(Date.parse(left!.started) + 1).toISOString() };
  fs.writeFileSync(path.join(folder, 'run.lock'), JSON.stringify(since));
  releaseLeftLock(folder, left!);
  expect(lockHolder(folder)).toEqual(since);
  fs.rmSync(folder, { recursive: true });
  releaseLeftLock(folder, since);
  watchLocks(() => {});
});

test('a process of another host is believed to live, and the message says what to do', () => {
  const folder = lockedBy({ pid: deadPid(), host: 'elsewhere' });
  expect(() => takeLock(folder)).toThrow(/on elsewhere since .* delete run\.lock/);
});

test('an empty lock, left by a process killed while it made it, is taken over after a while', () => {
  const folder = lockedBy({});
  const file = path.join(folder, 'run.lock');
  fs.writeFileSync(file, '');
  const past = new Date(Date.now() - 1500);
  fs.utimesSync(file, past, past);
  takeLock(folder)();
  expect(Date.now() - past.getTime()).toBeGreaterThan(1800);
});

test('of many processes that find a dead lock exactly one takes it', async () => {
  const taker = path.join(root, 'taker.mjs');
  const contents = `
    import { takeLock } from './server/runs/lock.ts';
    const [folder, at] = process.argv.slice(2);
    while (Date.now() < Number(at));
    try { takeLock(folder); process.stdout.write('taken'); } catch { process.stdout.write('refused'); }
    process.stdin.resume();`;
  const stdin = { contents, resolveDir: '.' };
  await build({ stdin, outfile: taker, bundle: true, platform: 'node', format: 'esm' });
  for (let round = 0; round < 3; round++) {
    const folder = lockedBy({ pid: deadPid() });
    const at = String(Date.now() + 700);
    const takers = Array.from({ length: 8 }, () => spawn(process.execPath, [taker, folder, at]));
    const outcomes = await Promise.all(
      takers.map((child) => {
        return new Promise<string>((resolve) => {
          child.stdout.on('data', (data) => resolve(String(data)));
          child.on('error', (error) => resolve(error.message));
          child.on('close', () => resolve('silent'));
        });
      }),
    );
    // Nobody ends before all have tried: what it held would be free.
    for (const child of takers) child.stdin.end();
    expect(outcomes.sort()).toEqual([...Array(7).fill('refused'), 'taken']);
  }
});
