import { command } from '../command.ts';
import { required, rest, toggle } from '../options.ts';
import { folder, newFolder } from '../paths.ts';
import { modelOptions, runOptions } from './common.ts';

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
  summary: 'two runs side by side: answers, settings, circuits',
  details: `Target, further problem sets, controls and benchmarks of both runs; where both answered
the same documents they are paired: what flipped, McNemar's exact test, a bootstrap
interval of the difference over documents and over templates. Then the settings in
which the runs differ, and how far their circuits are the same. A run need not be
finished, and the models may be any two; what is missing is told.`,
  arguments: { a: runFolder, b: runFolder },
  options: { flips: toggle('list every document whose outcome changed') },
});

export const runsDelete = command({
  name: 'runs delete',
  summary: 'delete what a run has made; other files in its folder are kept',
  arguments: { run: runFolder },
  options: {},
});

export const merge = command({
  name: 'merge',
  summary: 'put the shards of a run together, as if one run had done it all',
  details: `Takes the run folders of all shards of generate, localize or evaluate, in any
order, and writes the run folder of the whole: the same traces, pairs, answers and
figures, byte for byte, as one run on the same device gives. Refuses shards of
different runs, and shards that are missing, given twice or not finished. The
next stage goes on from there.

  for i in 1 2 3; do cca generate ... --shard $i/3 --out part-$i; done
  cca merge part-1 part-2 part-3 --out runs/first`,
  arguments: { shards: rest(folder('run folders of the shards')) },
  options: { out: required(newFolder('run folder of the whole')), fresh: runOptions.fresh },
});

export const devices = command({
  name: 'devices',
  summary: 'where models can run on this machine',
  details: `Every device is tried: it must make a session and compute a small graph right, in
single precision (TF32, NVIDIA's default for products, is switched off, and would fail).
The time is that of matrix products of 0.25 GFLOP. \`auto\` is the fastest if it is
twice as fast as the CPU, and the CPU for models of less than 64 MiB.

\`tested\` says how far a device was ever run in development: the CPU in full; webgpu with
every kind of graph on a software driver, on no GPU; cuda, dml and coreml never. Compare
a first result there with the CPU's (cca runs compare).`,
  arguments: {},
  options: { threads: modelOptions.threads },
});
