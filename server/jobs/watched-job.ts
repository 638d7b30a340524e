import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { InputError } from '../errors.ts';
import type { JobState, StepPoint } from '../protocol/jobs.ts';
import { askedToEndTraining } from '../runs/end-request.ts';
import { lockHolder, takeLock } from '../runs/lock.ts';
import { isAlive } from '../runs/process-identity.ts';
import { resumed } from './command-line.ts';
import { AT_REST, JobEvents, type MaskPoint, newState } from './job-events.ts';
import type { JobFolder, JobProcess, JobRecord } from './job-folder.ts';
import { startProcess, workingFolder } from './job-process.ts';
import { Tail } from './tail.ts';
import { Throttle } from './throttle.ts';

/** What a job needs of whoever watches it. */
export interface JobHost {
  /** The command line's bundle. */
  readonly program: string;
  /** Milliseconds to wait before each restart after a crash; as many restarts as there are waits. */
  readonly backOff: readonly number[];
  /** Whether processes may be started (a trusted workspace). */
  mayStart(): boolean;
  changed(state: JobState): void;
  steps(job: JobState, from: number, steps: StepPoint[]): void;
  mask(job: JobState, mask: MaskPoint): void;
  /** Something unexpected, for the log. */
  failed(error: unknown): void;
}

/** A process that is alive is asked after this often; what it prints is seen as it comes, where the system tells. */
const LOOK_MS = 1000;
const CHANGED_MS = 100;
const MASK_MS = 200;
/** A job without a process is one whose maker has died, after this long. */
const UNSTARTED_MS = 10_000;

/** One job as seen from here: another window may see it too, and either may have started it. */
export class WatchedJob {
  readonly folder: JobFolder;
  readonly record: JobRecord;
  /** All that had been printed when the job was found has been read. */
  readonly ready: Promise<void>;
  private readonly host: JobHost;
  private readonly events: JobEvents;
  private readonly tail: Tail;
  private readonly tellChanged: Throttle;
  private readonly tellMask: Throttle;
  private readonly tellSteps: Throttle;
  private timer: NodeJS.Timeout | null = null;
  private watcher: FSWatcher | null = null;
  /** First step that has not been told; null for none. */
  private untold: number | null = null;
  private looking: Promise<void> | null = null;
  private lookAgain = false;
  private restarting = false;
  /** Told ended; nothing will change any more. */
  private over = false;
  private closed = false;

  constructor(folder: JobFolder, record: JobRecord, host: JobHost) {
    this.folder = folder;
    this.record = record;
    this.host = host;
    this.events = new JobEvents(newState(record, record.stages));
    this.tail = new Tail(folder.events, (line) => this.take(line));
    this.tellChanged = new Throttle(CHANGED_MS, () => host.changed(this.state));
    this.tellSteps = new Throttle(CHANGED_MS, () => this.sendSteps());
    this.tellMask = new Throttle(MASK_MS, () => {
      const mask = this.events.mask();
      if (mask) host.mask(this.state, mask);
    });
    const ended = folder.ended();
    if (ended) {
      this.over = true;
      Object.assign(this.events.state, ended);
      this.ready = Promise.resolve();
      return;
    }
    try {
      this.watcher = watch(folder.path, () => this.look());
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // A file system that tells nothing: the timer looks.
    }
    this.timer = setInterval(() => this.look(), LOOK_MS);
    this.timer.unref();
    this.ready = this.look();
  }

  get state(): JobState {
    return this.events.state;
  }

  get ended(): boolean {
    return this.over;
  }

  /** Looks at the files and the process; looks that come while one is under way become one more. */
  look(): Promise<void> {
    if (this.looking) {
      this.lookAgain = true;
      return this.looking;
    }
    this.looking = (async () => {
      do {
        this.lookAgain = false;
        await this.lookOnce();
      } while (this.lookAgain && !this.over && !this.closed);
    })()
      .catch((error) => this.host.failed(error))
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  /** The job was asked to stop, by whoever. */
  noteCancelling(): void {
    if (this.over || this.state.state !== 'running') return;
    this.state.state = 'cancelling';
    this.tellChanged.call();
  }

  private noteEndingTraining(): void {
    const ending = askedToEndTraining(this.record.run);
    if (ending === this.state.endingTraining) return;
    this.state.endingTraining = ending;
    this.tellChanged.call();
  }

  close(): void {
    this.closed = true;
    this.rest();
  }

  private async lookOnce(): Promise<void> {
    if (this.over || this.closed) return;
    await this.tail.read();
    if (!this.folder.exists) return this.rest();
    const { ending } = this.events;
    if (ending && ending !== 'crashed') return this.end(ending, this.events.error);
    if (this.folder.cancelled) this.noteCancelling();
    this.noteEndingTraining();
    const process = this.folder.process();
    if (!process) {
      const late = Date.now() - this.record.started > UNSTARTED_MS;
      return late ? this.end('failed', 'its process was never started') : undefined;
    }
    if (isAlive(process)) return;
    // It may have said more just before it ended.
    await this.tail.read();
    const last = this.events.ending;
    if (last && last !== 'crashed') return this.end(last, this.events.error);
    if (this.folder.cancelled) return this.end('cancelled', null);
    if (process.attempt >= this.host.backOff.length) {
      const times = process.attempt + 1;
      const what = `its process ended unexpectedly ${times} times; what it said is in ${this.folder.log}`;
      return this.end('failed', what);
    }
    // Not awaited: the waiting must not hold up what else there is to see.
    if (!this.restarting && this.host.mayStart()) {
      this.restarting = true;
      void this.restart(process)
        .catch((error) => this.host.failed(error))
        .finally(() => {
          this.restarting = false;
        });
    }
  }

  /** Starts the process of a crashed job again. Of all who watch the job, the holder of its lock does it. */
  private async restart(crashed: JobProcess): Promise<void> {
    // Its process may have left one behind that still writes: two writers would get in each other's way.
    if (lockHolder(this.record.run)) return;
    let release: () => void;
    try {
      release = takeLock(this.folder.path);
    } catch (error) {
      if (error instanceof InputError) return;
      throw error;
    }
    try {
      await delay(this.host.backOff[crashed.attempt], undefined, { ref: false });
      const stale = this.folder.process()?.attempt !== crashed.attempt;
      if (stale || this.closed || this.folder.cancelled || !this.folder.exists) return;
      const attempt = crashed.attempt + 1;
      this.folder.noteAttempt(attempt);
      const { words, spec, background } = this.record;
      const identity = await startProcess(
        this.folder,
        this.host.program,
        { words: resumed(words, this.events.begun), background },
        workingFolder(spec.experiment),
        () => void this.look(),
      );
      this.folder.setProcess({ ...identity, attempt });
    } finally {
      release();
      void this.look();
    }
  }

  private take(line: string): void {
    const { state, steps, mask } = this.events.read(line);
    if (this.closed) return;
    if (state) this.tellChanged.call();
    if (steps !== null) {
      this.untold = Math.min(this.untold ?? steps, steps);
      this.tellSteps.call();
    }
    if (mask) this.tellMask.call();
  }

  private sendSteps(): void {
    if (this.untold === null) return;
    const from = this.untold;
    this.untold = null;
    this.host.steps(this.state, from, this.events.steps.slice(from));
  }

  private end(state: 'finished' | 'failed' | 'cancelled', error: string | null): void {
    const { stages } = this.state;
    Object.assign(this.state, { state, error, ...AT_REST, ended: this.folder.lastWord() });
    for (const stage of stages) if (stage.status === 'running') stage.status = 'waiting';
    this.folder.setEnded(this.state);
    this.over = true;
    this.tellChanged.call();
    this.rest();
  }

  private rest(): void {
    if (this.timer) clearInterval(this.timer);
    this.watcher?.close();
    this.tellSteps.close();
    this.tellMask.close();
    this.tellChanged.close();
  }
}
