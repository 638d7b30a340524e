import { command } from '../command.ts';
import { required, toggle } from '../options.ts';
import { folder } from '../paths.ts';
import { modelOptions } from './common.ts';

const runFolder = required(folder('run folder'));

export const runsList = command({
  name: 'runs list',
  summary: 'the runs below a folder, newest first',
  arguments: { root: folder('where to look (default: the current folder)') },
  options: {},
});

export const runsShow = command({
  name: 'runs show',
  summary: 'status, stages, settings, files and figures of a run',
  arguments: { run: runFolder },
  options: {},
});

export const runsCompare = command({
  name: 'runs compare',
  summary: 'the figures of two reports side by side',
  arguments: { a: runFolder, b: runFolder },
  options: { changed: toggle('only figures that differ') },
});

export const runsDelete = command({
  name: 'runs delete',
  summary: 'delete what a run has made; other files in its folder are kept',
  arguments: { run: runFolder },
  options: {},
});

export const devices = command({
  name: 'devices',
  summary: 'where models can run on this machine',
  details: `Every device is tried: it must make a session and compute a small graph right.
The time is that of matrix products of 0.25 GFLOP. \`auto\` is the fastest if it is
twice as fast as the CPU, and the CPU for models of less than 64 MiB.`,
  arguments: {},
  options: { threads: modelOptions.threads },
});
