/**
 * `npm run bench`: the engine's speed and memory as ratios measured within one run, on a 125M-parameter Llama of random weights.
 *
 *     npm run bench -- [--quick] [--only mask,shared,rows,decode,memory,branching] [--repeats N] [--threads N] [--demo DIR]
 *         [--torch-micro-batch N]
 *
 * Where python3, or the Python that CCA_PYTHON names, has PyTorch, its figures stand beside ours. Figures are
 * min / median / max over the repeats. --quick takes tiny shapes, to which the bars do not apply. PyTorch's whole-prefix
 * mask step takes 9 GB of memory; --torch-micro-batch 4 makes it take 4 prefixes at a time and 5 GB.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Model } from '../../server/model/model.ts';
import { branching } from './branching.ts';
import { type Bench, decode, decodeSeconds, mask, rows, shared } from './cases.ts';
import { Report } from './measure.ts';
import { fullShape, quickShape, writeModel } from './shape.ts';
import { findTorch } from './torch.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: 'mask,shared,rows,decode,memory,branching' },
    repeats: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' },
    demo: { type: 'string' },
    'torch-micro-batch': { type: 'string', default: '0' },
    /** A child process's: decode from this folder and print the peak memory. */
    'memory-of': { type: 'string' },
  },
});
const shape = values.quick ? quickShape : fullShape;
const repeats = Number(values.repeats);
const threads = Number(values.threads);
if (!(repeats >= 1) || !(threads >= 1)) throw new Error('--repeats and --threads are counts');
/** The package's root, from dist/bench.mjs. */
const root = fileURLToPath(new URL('..', import.meta.url));

async function printPeak(folder: string): Promise<void> {
  const model = await Model.load(folder, { threads });
  await decodeSeconds(model, shape, Math.max(...shape.decodeBatches));
  // Linux hands a parent's peak down to its child's maxRSS, so its own count is read. Both are in kilobytes of 1024.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const own = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  console.log((own ? Number(own) : process.resourceUsage().maxRSS) * 1024);
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
  process.once('SIGINT', () => process.exit(130));
  const report = new Report(!values.quick);
  const torch = findTorch(join(root, 'test/bench/torch_bench.py'), shape, threads);
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, threads ${threads}`);
  console.log(
    torch
      ? `PyTorch ${torch.version}`
      : 'PyTorch is not installed: our figures alone. (CCA_PYTHON can name a Python that has it.)',
  );
  console.log('Figures: min / median / max.');
  const torchMicroBatch = Number(values['torch-micro-batch']);
  const bench: Bench = { folder, shape, threads, repeats, torch, torchMicroBatch, report };
  const weightBytes = writeModel(folder, shape);
  const cases: Record<string, () => Promise<void> | void> = {
    mask: () => mask(bench),
    shared: () => shared(bench),
    rows: () => rows(bench),
    decode: () => decode(bench),
    memory: () => memory(bench, weightBytes),
    branching: () => branching(bench, values.demo ?? join(root, 'media/demo'), values.quick ? 12 : 200),
  };
  for (const name of values.only.split(',')) {
    const run = cases[name];
    if (!run) throw new Error(`--only ${name}: known are ${Object.keys(cases).join(', ')}`);
    await run();
  }
  if (report.missed.length > 0) {
    console.log(`\nMissed: ${report.missed.join('; ')}`);
    process.exitCode = 1;
  }
}

await (values['memory-of'] === undefined ? main() : printPeak(values['memory-of']));
