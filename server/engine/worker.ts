/** Entry of the engine's thread: answers calls from the table of jobs. */
import { parentPort } from 'node:worker_threads';
import { watchLocks } from '../runs/lock.ts';
import type { LockNotice } from './client.ts';
import { makeJobs } from './jobs/index.ts';
import { Models } from './models.ts';
import { serve } from './rpc.ts';

const port = parentPort;
if (!port) throw new Error('worker.mjs runs in a worker thread');
watchLocks((folder, holder) => port.postMessage({ kind: 'lock', folder, holder } satisfies LockNotice));
// Exit rather than let the thread run out: locks of run folders are freed on exit.
serve(port, makeJobs(new Models()), () => process.exit(0));
