import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { ChunkedArtefact, EMPTY } from './artefact.ts';
import { withFileErrors, writeFileAtomic } from './atomic.ts';
import { type StageRecord, stateName } from './replay.ts';

/** What a unit of work hands over: a JSON result that resuming returns, and records to append to the stage's artefacts. */
export interface Work<T> {
  result: T;
  records?: Record<string, readonly unknown[]>;
}

/** A snapshot from which the stage can go on: every unit committed before it is kept, later ones are done again. */
export interface Snapshot {
  step: number;
  bytes: Uint8Array;
}

/** Writes an event to the run's journal. */
export type Log = (event: string, fields: Record<string, unknown>, durable: boolean) => void;

/**
 * One stage of a run, worked through in units. A unit's records and result are kept together or not at all, in the order
 * in which `unit` was called, so that a run that was killed and resumed leaves the same bytes as one that was not.
 */
export class Stage {
  readonly name: string;
  /** The last snapshot, when the stage was interrupted after `saveState`. */
  readonly state: Snapshot | null;
  private readonly folder: string;
  private readonly record: StageRecord;
  private readonly log: Log;
  private readonly results: Map<string, unknown>;
  private readonly files = new Map<string, ChunkedArtefact>();
  private readonly openedAt = performance.now();
  private readonly earlierSeconds: number;
  private last: Promise<unknown> = Promise.resolve();

  /** Made by Run.stage. Cuts artefacts and commits back to what can be continued; a finished stage is left untouched. */
  constructor(folder: string, record: StageRecord, log: Log) {
    this.name = record.name;
    this.folder = folder;
    this.record = record;
    this.log = log;
    this.earlierSeconds = record.seconds;
    this.state = record.finished ? null : this.loadState();
    this.results = new Map(record.commits.map((commit) => [commit.key, commit.result]));
    if (record.finished) {
      fs.rmSync(this.stateFile, { force: true });
      return;
    }
    try {
      const extents = record.commits.at(-1)?.extents ?? {};
      for (const name of record.artefacts) {
        this.files.set(name, new ChunkedArtefact(path.join(folder, name), extents[name] ?? EMPTY));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** True when the stage ended in this or an earlier session: `summary` holds what it reported. */
  get finished(): boolean {
    return this.record.finished;
  }

  get summary(): unknown {
    return this.record.summary;
  }

  /** Number of units committed. */
  get done(): number {
    return this.record.commits.length;
  }

  /** Wall time in seconds spent in the stage, over all sessions. */
  get seconds(): number {
    if (this.finished) return this.record.seconds;
    return this.earlierSeconds + (performance.now() - this.openedAt) / 1000;
  }

  /** True when the unit was committed in this or an earlier session. */
  has(key: string): boolean {
    return this.results.has(key);
  }

  /**
   * The result of a unit of work: as recorded when it was done before, else computed and committed. Units may be computed
   * side by side; they are committed in the order of the calls, and none is committed after one that failed.
   */
  async unit<T>(key: string, compute: () => Work<T> | Promise<Work<T>>): Promise<T> {
    if (this.results.has(key)) return this.results.get(key) as T;
    if (this.finished) throw new Error(`stage ${this.name} is finished; it has no unit ${key}`);
    const before = this.last;
    const mine = (async () => {
      const work = await compute();
      await before;
      return this.commit(key, work) as T;
    })();
    // A failure reaches the caller through `mine`; here it only holds back the units after it.
    this.last = mine;
    mine.catch(() => undefined);
    return mine;
  }

  /**
   * Shows records of the one unit in flight before it is committed, in its order: they are in the file at once. After a kill
   * they are there until the stage is resumed, which makes them again with their unit.
   */
  show(artefact: string, records: readonly unknown[]): void {
    this.file(artefact).show(records);
  }

  /** The records committed to one of the stage's artefacts, in order. */
  records(artefact: string): Iterable<unknown> {
    return this.file(artefact).records();
  }

  /**
   * Saves a snapshot to resume from; the latest replaces the one before. In `unit` nothing may be in flight but the unit
   * that saves it: that one is then computed again, from the snapshot.
   */
  saveState(step: number, bytes: Uint8Array): void {
    const commits = this.record.commits.length;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const header = Buffer.from(`${JSON.stringify({ step, commits, sha256 })}\n`);
    writeFileAtomic(this.stateFile, Buffer.concat([header, bytes]));
  }

  /** Ends the stage: its artefacts will not be written again, its snapshot is deleted. `summary` is a JSON value. */
  finish(summary: unknown): void {
    this.log('stage-finished', { stage: this.name, summary, seconds: this.seconds }, true);
    fs.rmSync(this.stateFile, { force: true });
    this.close();
  }

  /** Closes the files; Run.close does it for a stage that was not finished. */
  close(): void {
    for (const file of this.files.values()) file.close();
    this.files.clear();
  }

  private commit(key: string, work: Work<unknown>): unknown {
    if (this.results.has(key)) throw new Error(`unit ${key} of stage ${this.name} was committed twice`);
    const appended = Object.entries(work.records ?? {});
    const extents = Object.fromEntries([...this.files].map(([name, file]) => [name, file.extent]));
    for (const [name, records] of appended) extents[name] = this.file(name).append(records);
    this.log(
      'unit',
      { stage: this.name, key, result: work.result ?? null, extents, seconds: this.seconds },
      true,
    );
    for (const [name] of appended) this.file(name).extent = extents[name]!;
    const { result } = this.record.commits.at(-1)!;
    this.results.set(key, result);
    return result;
  }

  private file(name: string): ChunkedArtefact {
    const file = this.files.get(name);
    if (!file) throw new Error(`stage ${this.name} has no open artefact ${name}`);
    return file;
  }

  private get stateFile(): string {
    return path.join(this.folder, stateName(this.name));
  }

  /** Reads the snapshot and takes back the units that were committed after it: the stage will do them again. */
  private loadState(): Snapshot | null {
    if (!fs.existsSync(this.stateFile)) return null;
    const data = withFileErrors(this.stateFile, () => fs.readFileSync(this.stateFile));
    const end = data.indexOf(10);
    const bytes = data.subarray(end + 1);
    const header = parseHeader(data.toString('utf8', 0, Math.max(end, 0)));
    const whole = header?.sha256 === createHash('sha256').update(bytes).digest('hex');
    if (!header || !whole || header.commits > this.record.commits.length) {
      throw new InputError(
        this.stateFile,
        'the snapshot is damaged',
        'Start over with --fresh or another --out.',
      );
    }
    if (header.commits < this.record.commits.length) {
      this.log('rolled-back', { stage: this.name, commits: header.commits }, true);
    }
    return { step: header.step, bytes };
  }
}

function parseHeader(text: string): { step: number; commits: number; sha256: string } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
