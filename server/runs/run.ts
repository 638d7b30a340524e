import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { syncFolder, withFileErrors, writeFileAtomic } from './atomic.ts';
import { checkName } from './disk.ts';
import {
  isOwnName,
  JOURNAL_NAME,
  refuseForeign,
  removeNames,
  removeTemporaries,
  removeWork,
} from './folder.ts';
import { Journal } from './journal.ts';
import { takeLock } from './lock.ts';
import {
  continueManifest,
  MANIFEST_NAME,
  type Manifest,
  newManifest,
  type RunSetup,
  type RunStatus,
  readManifest,
  writeManifest,
} from './manifest.ts';
import { apply, type History, replay, stateName } from './replay.ts';
import { Stage } from './stage.ts';

export interface OpenOptions {
  /** Start over the stages that the setup names, or only these of them: their artefacts are deleted. Others are kept. */
  fresh?: boolean | readonly string[];
}

/**
 * Creates a run folder, or continues the run in it. The caller must `close` it; until then no other process can open it.
 * @throws InputError when the folder is not a run's (nor empty), is in use, cannot be written, or holds a run of another
 *   model, data, seed, stage setting or major version
 */
export function openRun(folder: string, setup: RunSetup, options: OpenOptions = {}): Run {
  const root = path.resolve(folder);
  withFileErrors(root, () => fs.mkdirSync(root, { recursive: true }));
  // Before the lock is taken: a stranger's folder gets no file of ours.
  if (readManifest(root) === null) refuseForeign(root);
  const release = takeLock(root);
  try {
    return new Run(root, setup, options, release);
  } catch (error) {
    release();
    throw error;
  }
}

function startedOver(setup: RunSetup, fresh: boolean | readonly string[]): readonly string[] {
  if (typeof fresh === 'boolean') return fresh ? Object.keys(setup.stages) : [];
  return fresh;
}

/** A run folder that is open for writing. */
export class Run {
  readonly folder: string;
  /** True when the folder held work that this run goes on from. */
  readonly resumed: boolean;
  manifest: Manifest;
  private readonly journal: Journal;
  private readonly history: History;
  private readonly open = new Map<string, Stage>();
  private readonly release: () => void;
  private closed = false;

  /** Made by openRun, which holds the lock. */
  constructor(folder: string, setup: RunSetup, options: OpenOptions, release: () => void) {
    this.folder = folder;
    this.release = release;
    removeTemporaries(folder);
    const file = path.join(folder, MANIFEST_NAME);
    let stored = readManifest(folder);
    const restarted = stored ? startedOver(setup, options.fresh ?? false) : [];
    if (stored && restarted.length > 0) {
      if (Object.keys(stored.stages).every((name) => restarted.includes(name))) {
        removeWork(folder);
        stored = null;
      } else {
        const kept = <T>(entries: Record<string, T>) =>
          Object.fromEntries(
            Object.entries(entries).filter(([name]) => !restarted.includes(name.split('.', 1)[0]!)),
          );
        // A restarted stage may read other files than before; they are recorded as STAGE.ROLE.
        stored = { ...stored, stages: kept(stored.stages), data: kept(stored.data) };
      }
    }
    this.manifest = stored ? continueManifest(file, stored, setup) : newManifest(setup);
    // Before the journal: a folder with a journal and no manifest would pass for a stranger's after a kill in between.
    if (stored === null) writeManifest(folder, this.manifest);
    this.journal = new Journal(path.join(folder, JOURNAL_NAME));
    try {
      this.history = replay(this.journal.events);
      for (const stage of restarted) this.restart(stage);
      if (stored !== null) writeManifest(folder, this.manifest);
      this.resumed = this.history.stages.size > 0;
      const { product, device, versions } = this.manifest;
      this.log('opened', { pid: process.pid, product, device, versions, resumed: this.resumed }, true);
      syncFolder(folder);
    } catch (error) {
      this.journal.close();
      throw error;
    }
  }

  /**
   * Begins or continues a stage that the setup names.
   * @param artefacts JSONL files that its units append to
   * @param inputs hashes of what the stage reads from other stages, by role: a resumed stage must read the same
   * @throws InputError when an input differs or a committed artefact was changed
   */
  stage(name: string, artefacts: readonly string[] = [], inputs: Record<string, string> = {}): Stage {
    checkName(name);
    for (const artefact of artefacts) this.claim(artefact, name);
    if (!this.manifest.stages[name]) throw new Error(`the run's setup has no stage ${name}`);
    if (this.open.has(name)) throw new Error(`stage ${name} is open already`);
    const known = this.history.stages.get(name);
    if (known) {
      const role = Object.keys(inputs).find((key) => known.inputs[key] !== inputs[key]);
      if (role) {
        const where = path.join(this.folder, JOURNAL_NAME);
        const remedy = 'Restore it, choose another --out, or start the stage over with --fresh.';
        throw new InputError(where, `the ${role} that stage ${name} began with have changed`, remedy);
      }
    }
    const names = known?.finished ? known.artefacts : [...artefacts];
    if (!known?.finished) this.log('stage-opened', { stage: name, artefacts: names, inputs }, true);
    const record = this.history.stages.get(name)!;
    const stage = new Stage(this.folder, record, this.log);
    this.open.set(name, stage);
    return stage;
  }

  /** Atomically writes a file of the run, replacing an earlier one. */
  writeArtefact(name: string, data: string | Uint8Array): void {
    writeFileAtomic(this.reserve(name), data);
  }

  /** The path of a file or folder that the caller writes itself (a checkpoint, say); deleting the run deletes it too. */
  reserve(name: string): string {
    this.claim(name, null);
    if (!this.history.names.has(name)) this.log('artefact', { name }, true);
    return path.join(this.folder, name);
  }

  /** Records something worth keeping that is not work: a warning, a figure of a curve. `fields` are JSON values. */
  note(fields: Record<string, unknown>): void {
    this.log('note', { note: fields }, false);
  }

  /** Ends the session: records how it ended, frees the folder. `error` is one line. Later calls do nothing. */
  close(status: RunStatus, error: string | null = null): void {
    if (this.closed) return;
    this.closed = true;
    try {
      for (const stage of this.open.values()) stage.close();
      this.log('closed', { status, error }, true);
      this.manifest = { ...this.manifest, status, error, finished: new Date().toISOString() };
      writeManifest(this.folder, this.manifest);
    } catch (failure) {
      // On a full disk the caller is closing because of the very same trouble; that error must not be hidden by this one.
      if (status === 'finished') throw failure;
    } finally {
      this.journal.close();
      this.release();
    }
  }

  private readonly log = (event: string, fields: Record<string, unknown>, durable: boolean): void => {
    apply(this.history, this.journal.append(event, fields, durable));
  };

  /** Two writers of one file would spoil each other's work: refuses names of another stage and of the run itself. */
  private claim(name: string, owner: string | null): void {
    checkName(name);
    const others = [...this.history.stages.values()].filter((stage) => stage.name !== owner);
    if (isOwnName(name) || others.some((stage) => stage.artefacts.includes(name))) {
      throw new Error(`the name ${name} is taken in this run`);
    }
  }

  private restart(name: string): void {
    const record = this.history.stages.get(name);
    if (!record) return;
    this.log('stage-restarted', { stage: name }, true);
    removeNames(this.folder, [...record.artefacts, stateName(name)]);
  }
}
