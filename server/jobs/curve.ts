import path from 'node:path';
import type { StepReport } from '../amplify/amplifier.ts';
import type { StepPoint } from '../protocol/jobs.ts';
import { JOURNAL_NAME } from '../runs/folder.ts';
import { readJournal } from '../runs/journal.ts';
import { replay } from '../runs/replay.ts';
import { stepPoint } from './job-events.ts';

/** The training steps that a run folder has committed. @throws InputError for a damaged journal */
export function curveOf(run: string): StepPoint[] {
  const { stages } = replay(readJournal(path.join(run, JOURNAL_NAME)).events);
  const commits = stages.get('amplify')?.commits ?? [];
  return commits
    .filter(({ key }) => /^step \d+$/.test(key))
    .map(({ result }) => stepPoint(result as StepReport));
}
