import { spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { identify, isAlive, type ProcessIdentity } from '../runs/process-identity.ts';
import type { JobFolder, JobRecord } from './job-folder.ts';

/** A tenth of the usual weight. */
const BACKGROUND = os.constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Starts a job's process in a session of its own, its output going to the job's files: it outlives whoever started it,
 * and a closed terminal or editor is nothing to it.
 * @param program the command line's bundle
 * @param onExit only while this process lives
 */
export function startProcess(
  folder: JobFolder,
  program: string,
  { words, background }: Pick<JobRecord, 'words' | 'background'>,
  cwd: string,
  onExit: () => void,
): Promise<ProcessIdentity> {
  const events = openSync(folder.events, 'a');
  const log = openSync(folder.log, 'a');
  const child = spawn(process.execPath, [program, ...words], {
    cwd,
    detached: true,
    stdio: ['ignore', events, log],
    windowsHide: true,
    env: {
      ...process.env,
      // The runtime reads this as it is loaded.
      ORT_DISABLE_TELEMETRY: '1',
      // Activations of every size come and go: below this threshold glibc would keep them all.
      MALLOC_MMAP_THRESHOLD_: '131072',
      // In an Electron host the executable is Electron's unless it is told to be Node.
      ELECTRON_RUN_AS_NODE: '1',
    },
  });
  closeSync(events);
  closeSync(log);
  child.unref();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => {
      if (background) putInBackground(child.pid!);
      resolve(identify(child.pid!));
    });
    child.once('exit', onExit);
  });
}

/** Where nobody else wants the processor a job is as fast as before. */
function putInBackground(pid: number): void {
  try {
    os.setPriority(pid, BACKGROUND);
    // Linux mostly weighs sessions against each other, and niceness only within one: a job's session has only itself.
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/autogroup`, String(BACKGROUND));
  } catch {
    // It has ended, or sessions are not weighed here.
  }
}

/** Asks a process to stop and keep what it has finished; where no signal says so, the run folder keeps it. */
export function interrupt(identity: ProcessIdentity): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, 'SIGINT');
  } catch {
    // It ended just now.
  }
}

/** A folder that is there for a process to start in. */
export const workingFolder = (experiment: string) => path.dirname(path.resolve(experiment));
