/**
 * The wish that a run's training ends early, its best step kept. A file beside what the run writes, and not a signal: it
 * reaches a process on any system, and one that crashes meanwhile still finds it when it is started again.
 */
import fs from 'node:fs';
import path from 'node:path';
import { withFileErrors, writeFileAtomic } from './atomic.ts';
import { END_TRAINING_NAME } from './folder.ts';

const fileOf = (folder: string) => path.join(folder, END_TRAINING_NAME);

/** Leaves the wish in a run folder. @throws InputError where it cannot be written */
export function askToEndTraining(folder: string): void {
  writeFileAtomic(fileOf(folder), `${JSON.stringify({ at: new Date().toISOString() })}\n`);
}

export function askedToEndTraining(folder: string): boolean {
  return fs.existsSync(fileOf(folder));
}

/** Takes the wish back, or off once it is fulfilled. */
export function forgetEndOfTraining(folder: string): void {
  withFileErrors(fileOf(folder), () => fs.rmSync(fileOf(folder), { force: true }));
}
