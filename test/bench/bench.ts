/**
 * `npm run bench`: the engine's speed and memory as ratios measured within one run, on a 125M-parameter Llama of random weights.
 *
 *     npm run bench -- [--quick] [--only mask,shared,rows,decode,memory,branching] [--repeats N] [--threads N] [--demo DIR]
 *         [--torch-micro-batch N]
 *     npm run bench -- --only estimates [--experiment FILE] [--repeats N] [--threads N] [-- OPTIONS OF cca run]
 *     npm run bench -- --only sizes [--params 0.5,1.5] [--dtype bf16,bf16-lean,f32] [--repeats N] [--threads N]
 *
 * Where python3, or the Python that CCA_PYTHON names, has PyTorch, its figures stand beside ours. Figures are
 * min / median / max over the repeats. --quick takes tiny shapes, to which the bars do not apply. PyTorch's whole-prefix
 * mask step takes 9 GB of memory; --torch-micro-batch 4 makes it take 4 prefixes at a time and 5 GB.
 *
 * `estimates` runs an experiment, by default the demo, as `cca run --json` does, and says for each stage what its estimate after
 * 5 % of its time was worth.
 *
 * `sizes` is by itself: random checkpoints with the shapes of Qwen2.5-0.5B and 1.5B, beside what the machine's memory
 * bandwidth and its rate of products allow, both measured between the cases. They are written to the temporary folder (TMPDIR) and
 * deleted afterwards: 3 GB of disk for 1.5 billion parameters in bf16, 6 GB in f32.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Model } from '../../server/model/model.ts';
import { branching } from './branching.ts';
import { type Bench, decode, decodeSeconds, mask, rows, shared } from './cases.ts';
import { estimates } from './estimates.ts';
import { peakBytes, Report } from './measure.ts';
import { fullShape, quickShape, writeModel } from './shape.ts';
import { runTask, sizes } from './sizes.ts';
import { findTorch } from './torch.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: 'mask,shared,rows,decode,memory,branching' },
    repeats: { type: 'string', default: '3' },
    threads: { type: 'string' },
    demo: { type: 'string' },
    experiment: { type: 'string' },
    'torch-micro-batch': { type: 'string', default: '0' },
    params: { type: 'string', default: '0.5,1.5' },
    dtype: { type: 'string', default: 'bf16' },
    /** A child process's: decode from this folder and print the peak memory. */
    'memory-of': { type: 'string' },
    /** A child process's: a part of the case `sizes`. */
    'size-task': { type: 'string' },
  },
});
const shape = values.quick ? quickShape : fullShape;
const repeats = Number(values.repeats);
const threads = Number(values.threads ?? 1);
if (!(repeats >= 1) || !(threads >= 1)) throw new Error('--repeats and --threads are counts');
/** The package's root, from dist/bench.mjs. */
const root = fileURLToPath(new URL('..', import.meta.url));

async function printPeak(folder: string): Promise<void> {
  const model = await Model.load(folder, { threads });
  await decodeSeconds(model, shape, Math.max(...shape.decodeBatches));
  console.log(peakBytes());
}

/** Peak resident memory of a process that loads the model and decodes, page cache of the mapped weights included. */
function memory({ folder, report }: Bench, weightBytes: number): void {
  report.heading(`Memory: decoding, batch ${Math.max(...shape.decodeBatches)}`);
  const flags = [`--memory-of=${folder}`, `--threads=${threads}`, ...(values.quick ? ['--quick'] : [])];
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...flags], { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`the decoding process ended with ${child.status}: ${child.stderr}`);
  const mb = (bytes: number) => Math.round(bytes / 1e6);
  const peak = mb(Number(child.stdout));
  report.line('float32 weights, MB', String(mb(weightBytes)));
  report.judged('peak, MB', String(peak), peak, { atMost: mb(1.25 * weightBytes + 400e6) });
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cca-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const [name, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }))
    process.on(name, () => process.exit(128 + number));
  const report = new Report(!values.quick);
  const names = values.only.split(',');
  // The other cases have models of their own.
  const onModel = names.some((name) => !['branching', 'sizes', 'estimates'].includes(name));
  const torch = onModel ? findTorch(join(root, 'test/bench/torch_bench.py'), shape, threads) : null;
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, threads ${threads}`);
  if (torch) console.log(`PyTorch ${torch.version}`);
  else if (onModel)
    console.log('PyTorch is not installed: our figures alone. (CCA_PYTHON can name a Python that has it.)');
  console.log('Figures: min / median / max.');
  const torchMicroBatch = Number(values['torch-micro-batch']);
  const bench: Bench = { folder, shape, threads, repeats, torch, torchMicroBatch, report };
  const weightBytes = onModel ? await writeModel(folder, shape) : 0;
  const { quick, params, dtype } = values;
  const cases: Record<string, () => Promise<void> | void> = {
    mask: () => mask(bench),
    shared: () => shared(bench),
    rows: () => rows(bench),
    decode: () => decode(bench),
    memory: () => memory(bench, weightBytes),
    branching: () => branching(bench, values.demo ?? join(root, 'media/demo'), quick ? 12 : 200),
    estimates: () => {
      execFileSync(process.execPath, ['build.mjs'], { cwd: root });
      return estimates(report, {
        ...{ cli: join(root, 'dist/cli.mjs'), folder, repeats },
        experiment: values.experiment ?? join(root, 'media/demo/experiment.json'),
        options: [...(values.threads === undefined ? [] : ['--threads', values.threads]), ...positionals],
      });
    },
    sizes: () => sizes({ folder, quick, params, dtype, threads, repeats, report }),
  };
  for (const name of names) {
    const run = cases[name];
    if (!run) throw new Error(`--only ${name}: known are ${Object.keys(cases).join(', ')}`);
    await run();
  }
  if (report.missed.length > 0) {
    console.log(`\nMissed: ${report.missed.join('; ')}`);
    process.exitCode = 1;
  }
}

if (values['memory-of'] !== undefined) await printPeak(values['memory-of']);
else if (values['size-task'] !== undefined) await runTask(values['size-task']);
else await main();
