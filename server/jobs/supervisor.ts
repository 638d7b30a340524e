import { type FSWatcher, mkdirSync, readdirSync, watch } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import type { ServerOptions } from '../protocol/engine.ts';
import type { JobSpec, JobState } from '../protocol/jobs.ts';
import { withFileErrors } from '../runs/atomic.ts';
import { askToEndTraining, forgetEndOfTraining } from '../runs/end-request.ts';
import { lockHolder } from '../runs/lock.ts';
import { commandLine, type JobMachine, planJob } from './command-line.ts';
import { JobFolder, type JobRecord, newJobId } from './job-folder.ts';
import { interrupt, startProcess, workingFolder } from './job-process.ts';
import { type JobHost, WatchedJob } from './watched-job.ts';

/** Waits before the restarts of a crashed job, milliseconds. */
export const BACK_OFF = [1000, 5000, 20_000];
/** Where the system does not tell of new jobs, they are looked for this often. */
const SCAN_MS = 3000;
/** A job has settled this long after its end (milliseconds). */
const SETTLED_MS = 60_000;
const RETRY_MS = 50;
const RETRIES = 40;

/**
 * The jobs of a workspace. Each is a process of its own that outlives this one; what is known of it lies in its folder, so
 * that several supervisors on one storage see the same jobs, and one that begins later sees all that came before.
 */
export class Supervisor {
  private readonly root: string;
  private readonly host: JobHost;
  private readonly jobs = new Map<string, WatchedJob>();
  private watcher: FSWatcher | null = null;
  private timer: NodeJS.Timeout | null = null;
  /** The next look at folders that are only half made, and how many more there will be. */
  private soon: NodeJS.Timeout | null = null;
  private retries = RETRIES;

  /**
   * @param storage folder of the workspace's own; made where it is not there
   * @throws InputError where it cannot be made
   */
  constructor(storage: string, host: JobHost) {
    this.root = path.join(storage, 'jobs');
    this.host = host;
    withFileErrors(this.root, () => mkdirSync(this.root, { recursive: true }));
    this.scan();
    this.prune();
    this.observe();
  }

  /**
   * Starts a job.
   * @throws InputError for a wrong experiment, or where the run folder is in use
   */
  async start(spec: JobSpec, options: JobMachine & Pick<ServerOptions, 'background'>): Promise<JobState> {
    const { title, run, stages, experiment } = await planJob(spec);
    this.scan();
    this.prune();
    this.refuseInUse(run);
    const now = new Date();
    const record: JobRecord = {
      id: newJobId(now),
      title,
      spec,
      run,
      stages,
      words: commandLine(spec, run, options, experiment.endpoint),
      background: options.background,
      started: now.getTime(),
    };
    const folder = new JobFolder(path.join(this.root, record.id));
    // What an earlier job of the run was asked for is not this one's.
    forgetEndOfTraining(run);
    withFileErrors(folder.path, () => folder.create(record));
    this.observe();
    const cwd = workingFolder(spec.experiment);
    try {
      const look = () => void this.jobs.get(record.id)?.look();
      const identity = await startProcess(folder, this.host.program, record, cwd, look);
      folder.setProcess({ ...identity, attempt: 0 });
    } catch (error) {
      folder.remove();
      throw error;
    }
    const job = this.add(record.id)!;
    await job.ready;
    return job.state;
  }

  /** Jobs as they are, newest first. */
  async list(): Promise<JobState[]> {
    this.scan();
    const jobs = [...this.jobs.values()];
    await Promise.all(jobs.map((job) => job.ready));
    return jobs.map((job) => job.state).sort((a, b) => b.started - a.started || (a.id < b.id ? 1 : -1));
  }

  /** Asks a job to stop; a second time, to stop at once. @throws InputError where it is not there */
  cancel(id: string): void {
    const job = this.find(id);
    if (job.ended) return;
    job.folder.setCancelled();
    job.noteCancelling();
    const process = job.folder.process();
    if (process) interrupt(process);
    void job.look();
  }

  /** Takes the jobs of a run folder off the list, which is gone; one that still works stays. */
  forgetRun(run: string): void {
    this.scan();
    for (const job of [...this.jobs.values()]) {
      if (job.ended && job.record.run === path.resolve(run)) this.forget(job.record.id);
    }
  }

  /**
   * Asks a job's training to end early, its best step kept; the job then goes on to its next stage.
   * @throws InputError where it is not there, or trains nothing now
   */
  endTraining(id: string): void {
    const job = this.find(id);
    const { state, stage } = job.state;
    if (state !== 'running' || stage !== 'amplify')
      throw new InputError(`job ${id}`, 'is not training now', 'Ask while its training is under way.');
    askToEndTraining(job.record.run);
    void job.look();
  }

  /** Takes an ended job off the list. @throws InputError where it is not there, or still works */
  forget(id: string): void {
    const job = this.find(id);
    if (!job.ended) throw new InputError(`job ${id}`, 'is still at work', 'Cancel it first.');
    this.jobs.delete(id);
    job.close();
    job.folder.remove();
  }

  /** The job that works on a run folder, or null. */
  workingOn(run: string): JobState | null {
    const folder = path.resolve(run);
    return [...this.jobs.values()].find((job) => !job.ended && job.record.run === folder)?.state ?? null;
  }

  /** Run folders of all jobs. */
  get runs(): string[] {
    return [...this.jobs.values()].map((job) => job.record.run);
  }

  /** Stops watching; the jobs go on. */
  close(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    if (this.soon) clearTimeout(this.soon);
    this.watcher?.close();
    this.watcher = null;
    for (const job of this.jobs.values()) job.close();
    this.jobs.clear();
  }

  /**
   * Of every run the last job is kept, those before it and what ended ones have printed are not. Jobs that have just ended are
   * left alone: another window may still be reading.
   */
  private prune(): void {
    const settled = (job: WatchedJob) =>
      job.ended && job.state.ended !== null && Date.now() - job.state.ended > SETTLED_MS;
    const newest = new Map<string, WatchedJob>();
    for (const job of this.jobs.values()) {
      const other = newest.get(job.record.run);
      if (!other || other.record.started <= job.record.started) newest.set(job.record.run, job);
    }
    for (const job of [...this.jobs.values()].filter(settled)) {
      if (newest.get(job.record.run) === job) job.folder.dropEvents();
      else this.forget(job.record.id);
    }
  }

  private refuseInUse(run: string): void {
    const job = this.workingOn(run);
    if (job) {
      const remedy = 'Wait for it to end, cancel it, or choose another run folder.';
      throw new InputError(run, `the job "${job.title}" works on this run`, remedy);
    }
    const holder = lockHolder(run);
    if (!holder) return;
    const what = `the run is being written by process ${holder.pid} on ${holder.host} since ${holder.started}`;
    throw new InputError(run, what, 'Wait for it to end or choose another run folder.');
  }

  private find(id: string): WatchedJob {
    this.scan();
    const job = this.jobs.get(id);
    if (!job) throw new InputError(`job ${id}`, 'is not there any more', 'Look at the list of jobs again.');
    return job;
  }

  /** Finds jobs that others have made and drops those that others have forgotten. */
  private scan(): void {
    let names: string[] = [];
    try {
      names = readdirSync(this.root);
    } catch {
      // No job yet.
    }
    const halfMade = names.filter((name) => !this.jobs.has(name) && this.add(name) === null);
    // A folder is seen before what it says is written into it, and what is written in it is not seen from here.
    if (halfMade.length > 0 && this.retries-- > 0)
      this.soon ??= setTimeout(() => this.again(), RETRY_MS).unref();
    else if (halfMade.length === 0) this.retries = RETRIES;
    for (const [id, job] of this.jobs) {
      if (names.includes(id) && job.folder.exists) continue;
      job.close();
      this.jobs.delete(id);
    }
  }

  private again(): void {
    this.soon = null;
    this.scan();
  }

  private add(id: string): WatchedJob | null {
    const known = this.jobs.get(id);
    if (known) return known;
    const folder = new JobFolder(path.join(this.root, id));
    const record = folder.record();
    if (!record) return null;
    const job = new WatchedJob(folder, record, this.host);
    this.jobs.set(id, job);
    this.host.changed(job.state);
    return job;
  }

  private observe(): void {
    if (this.watcher) return;
    try {
      this.watcher = watch(this.root, () => this.scan());
      this.watcher.on('error', () => {
        this.watcher?.close();
        this.watcher = null;
      });
    } catch {
      this.watcher = null;
    }
    this.timer ??= setInterval(() => {
      if (this.watcher) return;
      this.scan();
      this.observe();
    }, SCAN_MS);
    this.timer.unref();
  }
}
