import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import { Throttle } from '../jobs/throttle.ts';
import { findRuns } from './run-rows.ts';

/** A training writes its journal several times a second. */
const TOLD_MS = 1000;

interface Watched {
  watcher: FSWatcher;
  told: Throttle;
}

/** @param files names that were written in the folder; null where runs may have come or gone */
type Tell = (folder: string, files: string[] | null) => void;

/**
 * Tells that a run was made, changed or removed, as far as the system tells: folders are watched and never polled, one
 * level at a time, since only a run's own files and the lists of runs are of interest.
 */
export class RunWatch {
  private readonly tell: Tell;
  private readonly watched = new Map<string, Watched>();
  private folders: readonly string[] = [];

  constructor(tell: Tell) {
    this.tell = tell;
  }

  /** Watches the runs of these folders of the workspace from now on. */
  watch(folders: readonly string[], runs: readonly string[] = []): void {
    this.folders = folders.map((folder) => path.resolve(folder));
    const roots = this.folders.flatMap((folder) => [folder, path.join(folder, 'runs')]);
    const wanted = new Set([...roots, ...findRuns(this.folders), ...runs]);
    for (const [folder, { watcher }] of this.watched) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.watched.delete(folder);
    }
    for (const folder of wanted) this.add(folder, runs);
  }

  close(): void {
    for (const { watcher, told } of this.watched.values()) {
      watcher.close();
      told.close();
    }
    this.watched.clear();
  }

  private add(folder: string, runs: readonly string[]): void {
    if (this.watched.has(folder)) return;
    const isWorkspace = this.folders.includes(folder);
    try {
      const isList = isWorkspace || path.basename(folder) === 'runs';
      const files = new Set<string>();
      const told = new Throttle(TOLD_MS, () => {
        // A system that names no files says nothing of what has changed.
        this.tell(folder, isList || files.has('') ? null : [...files]);
        files.clear();
        // A run that has appeared, or the folder of runs itself.
        if (isList) this.watch(this.folders, runs);
      });
      const watcher = watch(folder, (_, name) => {
        // Of the workspace's own folder only the folder of runs is of interest.
        if (isWorkspace && name !== 'runs' && name !== 'manifest.json') return;
        if (name !== null && /^\.tmp-|^run\.lock/.test(name) && !isWorkspace) return;
        files.add(name ?? '');
        told.call();
      });
      watcher.on('error', () => this.drop(folder));
      this.watched.set(folder, { watcher, told });
    } catch {
      // Not there, or a file system that tells nothing.
    }
  }

  private drop(folder: string): void {
    this.watched.get(folder)?.watcher.close();
    this.watched.delete(folder);
  }
}
