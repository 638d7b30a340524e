/** Starts the engine in a worker thread and calls its jobs; whoever hosts it stays responsive while a session runs. */
import { Worker } from 'node:worker_threads';
import { RUNTIME_ENVIRONMENT } from '../onnx/environment.ts';
import { type LockHolder, releaseLeftLock } from '../runs/lock.ts';
import type { Jobs } from './jobs/index.ts';
import { Caller, type CallOptions, type EventOf, type Params, type ResultOf } from './rpc.ts';

export interface EngineOptions {
  /** The bundled worker; by default worker.mjs beside this module's own bundle. */
  worker?: URL;
  /** The thread ended without being asked to; all open calls have failed. Told once. */
  onCrash?: (error: Error) => void;
}

/** What the worker tells beside its answers: a run folder that it has taken, or released (null). */
export interface LockNotice {
  kind: 'lock';
  folder: string;
  holder: LockHolder | null;
}

export type JobName = keyof Jobs & string;
export type JobParams<K extends JobName> = Params<Jobs, K>;
export type JobEvent<K extends JobName> = EventOf<Jobs, K>;
export type JobResult<K extends JobName> = ResultOf<Jobs, K>;

export interface Engine {
  /**
   * Runs a job. Several may be open; they take turns between their units of work.
   * @throws InputError, Cancelled once `signal` fired, or an Error with the job's stack
   */
  call<K extends JobName>(
    job: K,
    params: JobParams<K>,
    options?: CallOptions<JobEvent<K>>,
  ): Promise<JobResult<K>>;
  /** Cancels what is open, frees run folders and models, and ends the thread. */
  close(): Promise<void>;
}

/** An engine in a thread of its own. If it crashes, all its calls fail; start another. */
export function startEngine({
  worker: url = new URL('./worker.mjs', import.meta.url),
  onCrash,
}: EngineOptions = {}): Engine {
  // The runtime reads the process's environment, of which a worker has only a copy: from in there it would be too late.
  Object.assign(process.env, RUNTIME_ENVIRONMENT);
  // Flags of the host (a loader, a debugger's port) are not for the worker.
  const worker = new Worker(url, { execArgv: [] });
  const caller = new Caller<Jobs>(worker);
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  let over = false;
  const fail = (error: Error) => {
    caller.fail(error);
    if (!over) onCrash?.(error);
    over = true;
  };
  const locks = new Map<string, LockHolder>();
  worker.on('message', (notice: LockNotice | { kind: 'event' | 'result' | 'error' }) => {
    if (notice.kind !== 'lock') return;
    if (notice.holder) locks.set(notice.folder, notice.holder);
    else locks.delete(notice.folder);
  });
  let thrown: Error | undefined;
  worker.on('error', (cause) => {
    thrown = new Error(`the engine stopped: ${cause.message}`, { cause });
  });
  // Every end comes here, after the error if there was one. Who hears that a call has failed finds its run folder free.
  worker.on('exit', (code) => {
    for (const [folder, holder] of locks) releaseLeftLock(folder, holder);
    fail(thrown ?? new Error(`the engine ended (exit code ${code})`));
  });
  return {
    call: (job, params, options) => caller.call(job, params, options),
    close: () => {
      over = true;
      caller.close();
      return ended;
    },
  };
}
