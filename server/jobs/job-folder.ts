/**
 * A job on disk, in a folder of its own: whoever starts, watches or ends it knows it from here alone. job.json says
 * what it is, process.json which process works on it, events.jsonl what that has printed, log.txt what it complained
 * about, cancel.json that it was asked to stop, ended.json how it ended.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { JobSpec, JobState } from '../protocol/jobs.ts';
import { writeFileAtomic } from '../runs/atomic.ts';
import type { ProcessIdentity } from '../runs/process-identity.ts';

/** job.json. */
export interface JobRecord {
  id: string;
  title: string;
  spec: JobSpec;
  run: string;
  stages: string[];
  /** Words after the program's name. */
  words: string[];
  /** Its process leaves the processor to others. */
  background: boolean;
  /** Milliseconds since the epoch. */
  started: number;
}

/** process.json. */
export interface JobProcess extends ProcessIdentity {
  /** 0 for the first process of a job. */
  attempt: number;
}

/** An id that sorts by time and is no other job's. */
export const newJobId = (now: Date) =>
  `${now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')}-${randomBytes(3).toString('hex')}`;

export class JobFolder {
  readonly path: string;
  readonly events: string;
  readonly log: string;

  constructor(folder: string) {
    this.path = folder;
    this.events = path.join(folder, 'events.jsonl');
    this.log = path.join(folder, 'log.txt');
  }

  /** Null while the job is being made, and for a folder that is none. */
  record(): JobRecord | null {
    return this.read<JobRecord>('job.json');
  }

  process(): JobProcess | null {
    return this.read<JobProcess>('process.json');
  }

  ended(): JobState | null {
    return this.read<JobState>('ended.json');
  }

  get cancelled(): boolean {
    return existsSync(this.name('cancel.json'));
  }

  get exists(): boolean {
    return existsSync(this.name('job.json'));
  }

  /** When the job last said something, milliseconds since the epoch: whoever looks finds the same time. */
  lastWord(): number {
    return Math.round(statSync(this.events, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  }

  create(record: JobRecord): void {
    mkdirSync(this.path, { recursive: true });
    this.write('job.json', record);
  }

  setProcess(process: JobProcess): void {
    this.write('process.json', process);
  }

  setCancelled(): void {
    this.write('cancel.json', { at: new Date().toISOString() });
  }

  setEnded(state: JobState): void {
    this.write('ended.json', state);
  }

  /** A line between the output of two processes; the first one's last line may have been cut off. */
  noteAttempt(attempt: number): void {
    const file = openSync(this.events, 'a');
    try {
      writeSync(file, `\n${JSON.stringify({ event: 'attempt', attempt })}\n`);
    } finally {
      closeSync(file);
    }
  }

  /** What an ended job printed is of no use any more: its run folder has all of it. */
  dropEvents(): void {
    rmSync(this.events, { force: true });
  }

  remove(): void {
    // First what makes it a job, so that nobody finds half of one.
    rmSync(this.name('job.json'), { force: true });
    rmSync(this.path, { recursive: true, force: true });
  }

  private name(name: string): string {
    return path.join(this.path, name);
  }

  private write(name: string, value: unknown): void {
    writeFileAtomic(this.name(name), `${JSON.stringify(value)}\n`);
  }

  private read<T>(name: string): T | null {
    try {
      return JSON.parse(readFileSync(this.name(name), 'utf8')) as T;
    } catch {
      return null;
    }
  }
}
