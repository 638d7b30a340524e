/** Entry of the engine's thread: answers calls from the table of jobs. */
import { parentPort } from 'node:worker_threads';
import { makeJobs } from './jobs/index.ts';
import { Models } from './models.ts';
import { serve } from './rpc.ts';

if (!parentPort) throw new Error('worker.mjs runs in a worker thread');
// Exit rather than let the thread run out: locks of run folders are freed on exit.
serve(parentPort, makeJobs(new Models()), () => process.exit(0));
