/** A small experiment on the demo model: a few problems, a few steps, everything else as it is. */
import fs from 'node:fs';
import path from 'node:path';
import type { JobSpec } from '../../server/protocol/jobs.ts';
import { demo } from './client.ts';

export function tinyExperiment(folder: string, change: Record<string, unknown> = {}): string {
  const data = (name: string) => path.join(demo, 'data', `${name}.jsonl`);
  const experiment = {
    model: path.join(demo, 'model'),
    out: 'runs/tiny',
    problems: { train: data('train'), val: data('val'), test: data('test') },
    controls: { test: [data('controls')], guard: [data('guard')] },
    text: [data('text')],
    limit: 24,
    controlLimit: 20,
    seed: 1,
    threads: 2,
    settings: { generate: { samples: 4, counterparts: 1 }, amplify: { steps: 6, validateEvery: 2 } },
    ...change,
  };
  const file = path.join(folder, 'tiny.experiment.json');
  fs.writeFileSync(file, JSON.stringify(experiment, null, 2));
  return file;
}

export const job = (experiment: string, change: Partial<JobSpec> = {}): JobSpec => ({
  experiment,
  out: null,
  until: null,
  redo: null,
  from: null,
  pairs: null,
  circuit: null,
  seed: null,
  variants: null,
  set: {},
  ...change,
});
