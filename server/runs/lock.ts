import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { asInputError, withFileErrors } from './atomic.ts';

const LOCK_NAME = 'run.lock';
const GUARD_NAME = 'run.lock.takeover';
export const LOCK_NAMES = [LOCK_NAME, GUARD_NAME];
/** A taker holds the guard for a few file operations; one older than this (milliseconds) was left by a crash. */
const GUARD_STALE_MS = 5000;
/** How long (milliseconds) a lock file may be empty: its maker writes the content right after creating it. */
const HALF_WRITTEN_MS = 2000;

/** Who holds a run folder. */
export interface LockHolder {
  pid: number;
  host: string;
  /** When the lock was taken, ISO 8601. */
  started: string;
  /** Start of the process in kernel ticks since boot; null where the system does not tell (not Linux). */
  processStart: string | null;
}

const held = new Set<string>();
let exitHook = false;

/**
 * Takes the folder for this process, so that two writers never share it. A lock whose process has ended on this host is taken over.
 * @returns a function that releases the lock; process exit releases it too
 * @throws InputError while another process, or this one, holds it
 */
export function takeLock(folder: string): () => void {
  const file = path.join(folder, LOCK_NAME);
  for (;;) {
    if (create(file)) break;
    const holder = readLock(folder);
    if (holder === 'absent') continue;
    if (holder === 'half-written') {
      pause(50);
      continue;
    }
    if (holder !== 'broken' && isAlive(holder)) throw inUse(file, holder);
    takeOver(folder, holder);
  }
  held.add(file);
  if (!exitHook) {
    exitHook = true;
    process.on('exit', () => {
      for (const name of held) fs.rmSync(name, { force: true });
    });
  }
  return () => {
    if (held.delete(file)) fs.rmSync(file, { force: true });
  };
}

/** The live holder of the folder, or null when nobody writes to it. */
export function lockHolder(folder: string): LockHolder | null {
  const holder = readLock(folder);
  return typeof holder === 'object' && isAlive(holder) ? holder : null;
}

/** Creates the lock file with our name in it; false when there is one already. */
function create(file: string): boolean {
  return withFileErrors(file, () => {
    let fd: number;
    try {
      fd = fs.openSync(file, 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
    try {
      const self: LockHolder = {
        pid: process.pid,
        host: os.hostname(),
        started: new Date().toISOString(),
        processStart: processStart(process.pid),
      };
      fs.writeSync(fd, `${JSON.stringify(self)}\n`);
      fs.fsyncSync(fd);
    } catch (error) {
      fs.rmSync(file, { force: true });
      throw error;
    } finally {
      fs.closeSync(fd);
    }
    return true;
  });
}

function readLock(folder: string): LockHolder | 'absent' | 'half-written' | 'broken' {
  const file = path.join(folder, LOCK_NAME);
  try {
    const { mtimeMs } = fs.statSync(file);
    const text = fs.readFileSync(file, 'utf8');
    try {
      const holder = JSON.parse(text) as LockHolder;
      if (Number.isInteger(holder.pid) && typeof holder.host === 'string') return holder;
    } catch {
      // Judged by its age below.
    }
    return Date.now() - mtimeMs < HALF_WRITTEN_MS ? 'half-written' : 'broken';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw asInputError(error, file);
  }
}

/**
 * Removes a dead process's lock. Only the maker of the guard file may do so, and only after reading the lock again:
 * otherwise two takers could each remove the lock that the other has just made.
 */
function takeOver(folder: string, seen: LockHolder | 'broken'): void {
  const guard = path.join(folder, GUARD_NAME);
  try {
    fs.closeSync(fs.openSync(guard, 'wx'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw asInputError(error, guard);
    }
    const age = Date.now() - (fs.statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > GUARD_STALE_MS) fs.rmSync(guard, { force: true });
    else pause(20);
    return;
  }
  try {
    if (JSON.stringify(readLock(folder)) === JSON.stringify(seen))
      fs.rmSync(path.join(folder, LOCK_NAME), { force: true });
  } finally {
    fs.rmSync(guard, { force: true });
  }
}

/** False only when the holder has surely ended: a process of another host cannot be asked. */
function isAlive(holder: LockHolder): boolean {
  if (holder.host !== os.hostname()) return true;
  // The machine has been started since (one minute of slack for clock changes).
  if (Date.parse(holder.started) < Date.now() - os.uptime() * 1000 - 60_000) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The pid lives, perhaps as another process that got the same number.
  const start = processStart(holder.pid);
  return start === null || holder.processStart === null || start === holder.processStart;
}

/** Field 22 of /proc/PID/stat; the command name before it may contain spaces and brackets. */
function processStart(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function inUse(file: string, holder: LockHolder): InputError {
  const here = holder.host === os.hostname();
  return new InputError(
    file,
    `the run is being written by process ${holder.pid} on ${here ? 'this machine' : holder.host} since ${holder.started}`,
    here
      ? 'Wait for it to end or choose another --out.'
      : `Wait for it to end; if it has ended, delete ${LOCK_NAME}.`,
  );
}

/** Blocks for some milliseconds: opening a run is synchronous, and this happens only when two processes collide. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
