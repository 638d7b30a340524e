/** Workspaces of tests: the demo as a user gets it, small enough to run in seconds, with or without a run. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { demoExperiment } from '../../src/commands/experiment-file.ts';
import { ROOT } from './folders.ts';

/** Of small.experiment.json: the demo's data and recipe with few problems and steps. */
const SMALL = {
  limit: 40,
  controlLimit: 20,
  settings: {
    generate: { samples: 6 },
    amplify: { steps: 20, validateEvery: 5, guardItems: 20, validationItems: 40 },
  },
};

export interface DemoWorkspace {
  folder: string;
  /** Experiment files. */
  demo: string;
  small: string;
  /** The small experiment's run. */
  run: string;
}

/** A copy of the demo in a fresh folder, with small.experiment.json beside experiment.json. Its maker deletes it. */
export function demoWorkspace(): DemoWorkspace {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-demo-')));
  const demo = path.join(folder, 'experiment.json');
  fs.cpSync(path.join(ROOT, 'media', 'demo'), folder, { recursive: true });
  const text = demoExperiment(fs.readFileSync(demo, 'utf8'));
  fs.writeFileSync(demo, text);
  const { unseen: _, ...problems } = JSON.parse(text).problems;
  const small = path.join(folder, 'small.experiment.json');
  const experiment = { ...JSON.parse(text), problems, out: 'runs/small', ...SMALL };
  fs.writeFileSync(small, `${JSON.stringify(experiment, null, 2)}\n`);
  return { folder, demo, small, run: path.join(folder, 'runs', 'small') };
}

/** Runs an experiment by the built command line. */
export function runExperiment(experiment: string): void {
  execFileSync(process.execPath, [path.join(ROOT, 'dist', 'cli.mjs'), 'run', '--experiment', experiment], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
