import fs from 'node:fs';
import path from 'node:path';
import { breathe, neverAborted, type Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import { withFileErrors } from './atomic.ts';
import { JOURNAL_NAME, removeTemporaries, removeWork } from './folder.ts';
import { readJournal } from './journal.ts';
import { type LockHolder, lockHolder, takeLock } from './lock.ts';
import { MANIFEST_NAME, type Manifest, type RunStatus, readManifest } from './manifest.ts';
import { replay } from './replay.ts';

/** Name of the artefact with a run's figures. */
const REPORT_NAME = 'report.json';

export interface StageStatus {
  name: string;
  status: 'waiting' | 'begun' | 'finished';
  /** Units of work committed. */
  units: number;
  /** Wall time in seconds, over all sessions. */
  seconds: number;
  summary: unknown;
}

/** What a run folder says about its run. */
export interface RunDescription {
  folder: string;
  manifest: Manifest;
  /** `interrupted`: the process that wrote the run has ended without saying so (it was killed). */
  status: RunStatus | 'interrupted';
  /** The process that writes the run now. */
  holder: LockHolder | null;
  stages: StageStatus[];
  /** Files and folders that the run has made and that are there, sizes in bytes (null for folders). */
  artefacts: { name: string; bytes: number | null }[];
  /** report.json, when the run has one. */
  report: Record<string, unknown> | null;
}

/** A folder with a manifest that cannot be described, and why. */
export interface BrokenRun {
  folder: string;
  problem: string;
}

/** Reads a run folder without changing it. InputError when it is not one or is damaged. */
export function describeRun(folder: string): RunDescription {
  const root = path.resolve(folder);
  const manifest = requireManifest(root);
  const history = replay(readJournal(path.join(root, JOURNAL_NAME)).events);
  const holder = lockHolder(root);
  const stages = Object.keys(manifest.stages).map((name): StageStatus => {
    const record = history.stages.get(name);
    if (!record) return { name, status: 'waiting', units: 0, seconds: 0, summary: null };
    const status = record.finished ? 'finished' : 'begun';
    return { name, status, units: record.commits.length, seconds: record.seconds, summary: record.summary };
  });
  const artefacts = [...history.names].flatMap((name) => {
    const stat = fs.statSync(path.join(root, name), { throwIfNoEntry: false });
    return stat ? [{ name, bytes: stat.isDirectory() ? null : stat.size }] : [];
  });
  const status = manifest.status === 'running' && !holder ? 'interrupted' : manifest.status;
  return { folder: root, manifest, status, holder, stages, artefacts, report: readReport(root) };
}

/** The runs in the sub-folders of `root` (and `root` itself, if it is one), newest first, then those that cannot be read. */
export async function listRuns(
  root: string,
  signal: Signal = neverAborted,
): Promise<{ runs: RunDescription[]; broken: BrokenRun[] }> {
  const base = path.resolve(root);
  const runs: RunDescription[] = [];
  const broken: BrokenRun[] = [];
  const entries = withFileErrors(base, () => fs.readdirSync(base, { withFileTypes: true }));
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(base, entry.name));
  for (const folder of [base, ...folders]) {
    if (!fs.existsSync(path.join(folder, MANIFEST_NAME))) continue;
    await breathe(signal);
    try {
      runs.push(describeRun(folder));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      broken.push({ folder, problem: error.message });
    }
  }
  runs.sort((a, b) => b.manifest.created.localeCompare(a.manifest.created));
  return { runs, broken };
}

/**
 * Deletes a run: everything that it made, and the folder when nothing else is in it.
 * @returns names in the folder that the run did not make and that are therefore kept
 * @throws InputError when the folder is not a run's, or is in use
 */
export function deleteRun(folder: string): { kept: string[] } {
  const root = path.resolve(folder);
  requireManifest(root);
  const release = takeLock(root);
  try {
    removeTemporaries(root);
    removeWork(root);
    // Last: until here an interrupted deletion leaves a run folder, which can be deleted again.
    fs.rmSync(path.join(root, MANIFEST_NAME));
  } finally {
    release();
  }
  const kept = fs.readdirSync(root);
  if (kept.length === 0) fs.rmdirSync(root);
  return { kept };
}

function requireManifest(root: string): Manifest {
  withFileErrors(root, () => fs.readdirSync(root));
  const manifest = readManifest(root);
  if (manifest) return manifest;
  throw new InputError(root, `is not a run folder (it has no ${MANIFEST_NAME})`, 'Give the folder of a run.');
}

function readReport(root: string): Record<string, unknown> | null {
  const file = path.join(root, REPORT_NAME);
  if (!fs.existsSync(file)) return null;
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    throw new InputError(file, 'is not JSON', 'Run the evaluation again.');
  }
}
