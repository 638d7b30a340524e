import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { withFileErrors } from './atomic.ts';
import { readEvents } from './journal.ts';
import { LOCK_NAMES } from './lock.ts';
import { MANIFEST_NAME } from './manifest.ts';
import { replay } from './replay.ts';

export const JOURNAL_NAME = 'journal.jsonl';
/** Mean attribution of the run's pairs, kept for the editor: derived, so it goes with the run and is in no journal. */
export const ATTRIBUTION_NAME = 'attribution.bin';
/** Asks the training that is under way to end early; who asks is another process than the run's writer. */
export const END_TRAINING_NAME = 'end-training.json';
/** Names that an atomic write leaves behind when it is killed. */
const TEMPORARY = /^\.tmp-\d+-[0-9a-f]+$/;

/** True for the files that every run folder has; no stage may write them. */
export function isOwnName(name: string): boolean {
  return (
    [MANIFEST_NAME, JOURNAL_NAME, END_TRAINING_NAME, ...LOCK_NAMES].includes(name) || TEMPORARY.test(name)
  );
}

/** InputError when the folder holds files and no manifest: it belongs to somebody else. */
export function refuseForeign(folder: string): void {
  const entries = withFileErrors(folder, () => fs.readdirSync(folder));
  const stranger = entries.find((name) => !isOwnName(name) || name === JOURNAL_NAME);
  if (stranger !== undefined) {
    const what = `is not a run folder (it has ${stranger} and no ${MANIFEST_NAME})`;
    throw new InputError(folder, what, 'Choose an empty or new folder.');
  }
}

/** Deletes what killed atomic writes have left. Only for the holder of the lock. */
export function removeTemporaries(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (TEMPORARY.test(name)) fs.rmSync(path.join(folder, name), { force: true });
  }
}

/**
 * Deletes the artefacts and the journal, in an order that leaves a run folder behind whenever it is interrupted. Files
 * that the run did not make are kept.
 */
export function removeWork(folder: string): void {
  const journal = path.join(folder, JOURNAL_NAME);
  removeNames(folder, [...replay(readEvents(journal)).names, ATTRIBUTION_NAME, END_TRAINING_NAME]);
  withFileErrors(journal, () => fs.rmSync(journal, { force: true }));
}

/** Deletes files and folders of a run by name. A name that leads out of the folder, by `..` or by a link, is not followed. */
export function removeNames(folder: string, names: Iterable<string>): void {
  const root = fs.realpathSync(folder);
  for (const name of names) {
    const target = path.join(root, name);
    let parent = path.dirname(target);
    if (!fs.existsSync(parent)) continue;
    // The journal may have been edited: what it names is trusted no further than the folder.
    if (!isInside(root, target) || fs.realpathSync(parent) !== parent) {
      throw new InputError(target, 'leads out of the run folder', 'Delete the folder yourself.');
    }
    withFileErrors(target, () => fs.rmSync(target, { recursive: true, force: true }));
    for (; parent !== root && fs.readdirSync(parent).length === 0; parent = path.dirname(parent))
      fs.rmdirSync(parent);
  }
}

function isInside(root: string, target: string): boolean {
  const relative = path.relative(root, target);
  return relative !== '' && relative.split(path.sep)[0] !== '..' && !path.isAbsolute(relative);
}
