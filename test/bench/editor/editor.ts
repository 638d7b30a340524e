/**
 * Figures of the extension in a real VS Code, on the demo model:
 *     npm run bench:editor [-- --windows N --only traces,folder,amplification]
 * Prints median, minimum, maximum and count of each, beside its bar.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { loadTokenizer } from '../../../server/checkpoint/tokenizer.ts';
import type { Pair, Trace } from '../../../server/data/records.ts';
import { printTraceDocument } from '../../../server/data/trace-print.ts';
import { ROOT } from '../../vscode/folders.ts';
import { runTests } from '../../vscode/run-tests.ts';
import { packagedExtension } from '../../vscode/vsix.ts';
import { demoWorkspace } from '../../vscode/workspace.ts';
import type { WindowFigures } from './suite.ts';

const TOKENS = 500;
const DOCUMENTS = 10_000;

const { values } = parseArgs({
  options: {
    windows: { type: 'string', default: '5' },
    only: { type: 'string', default: 'traces,folder,amplification' },
  },
});
const parts = values.only.split(',');
const windows = Number(values.windows);
const outfile = path.join(ROOT, 'dist', 'bench-editor-suite.cjs');
await build({
  entryPoints: [path.join(import.meta.dirname, 'suite.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
});

const workspace = demoWorkspace();
const model = path.join(workspace.folder, 'model');
const tokenizer = loadTokenizer(model);
const prompts = fs
  .readFileSync(path.join(workspace.folder, 'data', 'train.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { id: string; prompt: string; answer: string; target: number });

/** A trace of `length` tokens: problems with their solutions one after another, with a pivot near its end. */
function document(file: string, id: string, length: number, first: number): void {
  const text = Array.from({ length: 40 }, (_, i) => prompts[(first + i) % prompts.length]!)
    .map(({ prompt, answer }) => `${prompt} ${answer}`)
    .join('\n');
  const ids = tokenizer.encode(text).slice(0, length);
  const [cut, at] = [Math.floor(length / 2), length - 20];
  const trace: Trace = {
    id,
    problem_id: id,
    template_id: `template-${first % 17}`,
    target: 1,
    answer: 2,
    correct: false,
    truncated: false,
    prompt_ids: ids.slice(0, cut),
    completion_ids: ids.slice(cut),
    decoding: { strategy: 'greedy' },
    text: '',
  };
  const undesired = ids[at]!;
  const desired = ids.find((other) => other !== undesired)!;
  const prefix = ids.slice(0, at);
  const pair: Pair = { id, prefix, desired, undesired, method: 'branching', status: 'auto' };
  const places = { model: path.relative(path.dirname(file), model).split(path.sep).join('/') };
  fs.writeFileSync(file, printTraceDocument(trace, [pair], tokenizer, places));
}

document(path.join(workspace.folder, 'warm.trace'), 'warm', TOKENS, 50);
document(path.join(workspace.folder, 'long.trace'), 'long', TOKENS, 0);
const many = path.join(workspace.folder, 'documents');
fs.mkdirSync(many);
for (let i = 0; i < DOCUMENTS; i++) document(path.join(many, `trace-${i}.trace`), `trace-${i}`, 60, i);

const extension = await packagedExtension();
const result = path.join(os.tmpdir(), `cca-bench-${process.pid}.json`);
const samples = new Map<keyof WindowFigures, number[]>();

async function measure(part: string): Promise<void> {
  await runTests({
    extension,
    extensionTestsPath: outfile,
    extensionTestsEnv: { CCA_BENCH_PART: part, CCA_BENCH_RESULT: result },
    workspace: workspace.folder,
  });
  const figures = JSON.parse(fs.readFileSync(result, 'utf8')) as WindowFigures;
  for (const [name, value] of Object.entries(figures) as [keyof WindowFigures, number | null][]) {
    if (value !== null) samples.set(name, [...(samples.get(name) ?? []), value]);
  }
}

try {
  for (const part of parts) {
    // A whole amplification takes a minute or two: one window.
    for (let i = 0; i < (part === 'amplification' ? 1 : windows); i++) await measure(part);
  }
} finally {
  fs.rmSync(workspace.folder, { recursive: true, force: true });
  fs.rmSync(result, { force: true });
}

const missed: string[] = [];
function line(label: string, name: keyof WindowFigures, unit: 'ms' | 'MB', bar: number): void {
  const sorted = (samples.get(name) ?? []).map((v) => (unit === 'MB' ? v / 1e6 : v)).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (median === undefined) {
    console.log(`${label.padEnd(58)} not measured`);
    return;
  }
  const met = median <= bar;
  if (!met) missed.push(label);
  const spread = [sorted[0]!, median, sorted.at(-1)!].map((v) => v.toFixed(0)).join(' / ');
  console.log(
    `${label.padEnd(58)}${spread.padStart(18)} ${unit}  n ${sorted.length}  bar ${bar} ${met ? 'met' : 'MISSED'}`,
  );
}

console.log(`${os.cpus()[0]!.model}, ${os.cpus().length} cores; minimum / median / maximum`);
line('activation of the extension host part', 'activation', 'ms', 200);
line(`${TOKENS}-token trace, from opening to the first overlay`, 'firstOverlay', 'ms', 400);
line(`${TOKENS}-token trace, from opening to the complete overlay`, 'completeOverlay', 'ms', 1200);
line('cursor on a pivot to its attribution shown', 'attribution', 'ms', 300);
line('longest block of the host during the whole demo run', 'longestBlock', 'ms', 50);
line(`${DOCUMENTS.toLocaleString('en')} traces: view usable`, 'tracesView', 'ms', 2000);
line(`${DOCUMENTS.toLocaleString('en')} traces: memory of the host`, 'hostMemory', 'MB', 150);
const size = fs.statSync(extension).size / 1e6;
console.log(
  `VSIX${' '.repeat(54)}${size.toFixed(1).padStart(18)} MB       bar 60 ${size <= 60 ? 'met' : 'MISSED'}`,
);
if (missed.length > 0) console.log(`\nMissed: ${missed.join('; ')}`);
