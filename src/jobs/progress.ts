import { type Disposable, type Progress, ProgressLocation, window } from 'vscode';
import { cancel, type JobState } from '../../server/protocol/jobs.ts';
import { failed, warn } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { isRunning, progressLine, share } from './describe.ts';
import type { Jobs } from './jobs.ts';

/** A notification is drawn anew at most this often (milliseconds). */
const EVERY_MS = 500;

/** Shows every running job in the notification area, and says when one was started again or has ended. */
export function showProgress(server: Server, jobs: Jobs, ended: (job: JobState) => void): Disposable {
  const shown = new Set<string>();
  const restarts = new Map<string, number>();
  return jobs.onChange((job) => {
    if (job.restarts > (restarts.get(job.id) ?? job.restarts))
      warn(`${job.title}: its process ended unexpectedly and was started again; it goes on where it was.`);
    restarts.set(job.id, job.restarts);
    if (!isRunning(job) || shown.has(job.id)) return;
    shown.add(job.id);
    void window.withProgress(
      { location: ProgressLocation.Notification, cancellable: true, title: job.title },
      async (progress, token) => {
        token.onCancellationRequested(() => {
          server.request(cancel, { id: job.id }).catch(failed('The job could not be cancelled'));
        });
        const last = await follow(jobs, job, progress);
        shown.delete(job.id);
        ended(last);
      },
    );
  });
}

/** Reports a job's progress until it ends, or is no longer known. */
function follow(
  jobs: Jobs,
  first: JobState,
  progress: Progress<{ message?: string; increment?: number }>,
): Promise<JobState> {
  return new Promise((resolve) => {
    let latest = first;
    let reported = 0;
    const report = () => {
      const percent = Math.floor(100 * share(latest));
      progress.report({ message: progressLine(latest), increment: Math.max(0, percent - reported) });
      reported = Math.max(reported, percent);
    };
    const timer = setInterval(report, EVERY_MS);
    report();
    const finish = (job: JobState) => {
      clearInterval(timer);
      changes.dispose();
      lists.dispose();
      resolve(job);
    };
    const changes = jobs.onChange((job) => {
      if (job.id !== first.id) return;
      latest = job;
      if (!isRunning(job)) finish(job);
    });
    const lists = jobs.onList(() => {
      if (!jobs.all.some(({ id }) => id === first.id)) finish({ ...latest, state: 'cancelled' });
    });
  });
}
