import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../runs/atomic.ts';
import { type ControlSplit, controlItem, controls, suites } from './controls.ts';
import { problems } from './problems.ts';

/** Seed and sizes of the demo's data files. Problem counts are multiples of the template counts (34 and 6). */
const seed = 'demo data 1';
const problemCounts = { train: 408, val: 510, test: 1020, unseen: 504 } as const;
const controlCounts = { text: 125, guard: 320, test: 1000 } as const;

function jsonLines(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

function controlRecords(split: ControlSplit, perSuite: number) {
  return suites.flatMap((suite) =>
    controls(suite, split, perSuite, seed).map((control, i) => ({ control, id: `${split}-${suite}-${i}` })),
  );
}

/** The demo's data files, as file name -> text. */
function makeDemoData(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const group of ['train', 'val', 'test', 'unseen'] as const) {
    files[`${group}.jsonl`] = jsonLines(problems(group, problemCounts[group], seed));
  }
  const items = (split: 'guard' | 'test') =>
    jsonLines(controlRecords(split, controlCounts[split]).map(({ control, id }) => controlItem(control, id)));
  files['guard.jsonl'] = items('guard');
  files['controls.jsonl'] = items('test');
  files['text.jsonl'] = jsonLines(
    controlRecords('text', controlCounts.text).map(({ control, id }) => ({
      id,
      text: control.prompt + control.completion,
      suite: control.suite,
    })),
  );
  return files;
}

/**
 * Writes the demo's data into `folder`, which is created where missing: train.jsonl, val.jsonl, test.jsonl and
 * unseen.jsonl (problems); guard.jsonl (controls watched while a patch trains) and controls.jsonl (controls that score
 * it); text.jsonl (plain text for KL and Fisher information). The same bytes every time.
 * @throws InputError when the folder cannot be written
 */
export function writeDemoData(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(makeDemoData())) writeFileAtomic(join(folder, name), text);
}
