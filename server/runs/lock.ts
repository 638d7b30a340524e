import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { asInputError, withFileErrors } from './atomic.ts';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

const LOCK_NAME = 'run.lock';
const GUARD_NAME = 'run.lock.takeover';
export const LOCK_NAMES = [LOCK_NAME, GUARD_NAME];
/** A taker holds the guard for a few file operations; one older than this (milliseconds) was left by a crash. */
const GUARD_STALE_MS = 5000;
/** How long (milliseconds) a lock file may be empty: its maker writes the content right after creating it. */
const HALF_WRITTEN_MS = 2000;

/** Who holds a run folder; `started` is when the lock was taken. */
export type LockHolder = ProcessIdentity;

const held = new Set<string>();
let exitHook = false;

/** A folder that this thread has taken, and as whom; or has released (null). */
export type LockListener = (folder: string, holder: LockHolder | null) => void;
let listener: LockListener = () => {};

/** Tells of every lock of this thread, so that whoever outlives it can release what it leaves. */
export function watchLocks(told: LockListener): void {
  listener = told;
}

/**
 * Releases the lock of a thread of this process that has ended: out of memory, for one, no exit hook runs, and the process
 * that the lock names lives on. A lock that somebody else has taken since stays.
 */
export function releaseLeftLock(folder: string, holder: LockHolder): void {
  try {
    while (JSON.stringify(readLock(folder)) === JSON.stringify(holder)) takeOver(folder, holder);
  } catch {
    // The folder is gone, or its file system failed: nothing is left to release, or nothing can.
  }
}

/**
 * Takes the folder for this process, so that two writers never share it. A lock whose process has ended on this host is taken over.
 * @returns a function that releases the lock; process exit releases it too
 * @throws InputError while another process, or this one, holds it
 */
export function takeLock(folder: string): () => void {
  const file = path.join(folder, LOCK_NAME);
  const own = identify(process.pid);
  for (;;) {
    if (create(file, own)) break;
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
  listener(folder, own);
  if (!exitHook) {
    exitHook = true;
    process.on('exit', () => {
      for (const name of held) fs.rmSync(name, { force: true });
    });
  }
  return () => {
    if (!held.delete(file)) return;
    fs.rmSync(file, { force: true });
    listener(folder, null);
  };
}

/** The live holder of the folder, or null when nobody writes to it. */
export function lockHolder(folder: string): LockHolder | null {
  const holder = readLock(folder);
  return typeof holder === 'object' && isAlive(holder) ? holder : null;
}

/** Creates the lock file with the name in it; false when there is one already. */
function create(file: string, own: LockHolder): boolean {
  return withFileErrors(file, () => {
    let fd: number;
    try {
      fd = fs.openSync(file, 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
    try {
      fs.writeSync(fd, `${JSON.stringify(own)}\n`);
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
 * Removes a dead holder's lock. Only the maker of the guard file may do so, and only after reading the lock again:
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
