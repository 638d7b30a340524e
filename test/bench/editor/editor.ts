/**
 * `npm run bench:editor`: how fast the extension is in a real VS Code, on the demo model.
 *
 *     npm run bench:editor -- [--windows N] [--repeats N] [--traces N] [--only traces,folder,amplification,packages,story]
 *
 * A trace, a folder of N traces (10,000) and the activation are measured in N windows each; a whole amplification N times in one
 * window with all views, a trace and the circuit panel open; a first session once. "Shown" is when the window has been given
 * what it is to draw. Figures are minimum / median / maximum; the bars are judged by the median, that of blocks by the
 * longest. Exit code 1 where one is missed or a figure could not be taken.
 */
import { execFileSync } from 'node:child_process';
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
import { demoWorkspace, runExperiment } from '../../vscode/workspace.ts';
import { median, Report, spread } from '../measure.ts';
import { AS_INSTALLED, firstSession } from './story.ts';
import type { WindowFigures } from './suite.ts';

const TOKENS = 500;
const PARTS = ['traces', 'folder', 'amplification', 'packages', 'story'];

const { values } = parseArgs({
  options: {
    windows: { type: 'string', default: '5' },
    repeats: { type: 'string', default: '3' },
    traces: { type: 'string', default: '10000' },
    only: { type: 'string', default: PARTS.join(',') },
  },
});
const parts = values.only.split(',');
const [windows, repeats, many] = [values.windows, values.repeats, values.traces].map(Number) as [
  number,
  number,
  number,
];
const unknown = parts.find((part) => !PARTS.includes(part));
if (unknown) throw new Error(`--only: ${unknown} is none of ${PARTS.join(', ')}`);
if (!(windows >= 1 && repeats >= 1 && many >= 1)) {
  throw new Error('--windows, --repeats and --traces are counts');
}
const outfile = path.join(ROOT, 'dist', 'bench-editor-suite.cjs');
await build({
  entryPoints: [path.join(import.meta.dirname, 'suite.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  mainFields: ['module', 'main'],
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

/** A trace of `length` tokens: problems with their solutions one after another, with two pivots near its end. */
function document(file: string, id: string, length: number, first: number): void {
  // A problem with its solution has more than 30 tokens.
  const text = Array.from(
    { length: Math.ceil(length / 30) },
    (_, i) => prompts[(first + i) % prompts.length]!,
  )
    .map(({ prompt, answer }) => `${prompt} ${answer}`)
    .join('\n');
  const ids = tokenizer.encode(text).slice(0, length);
  if (ids.length < length) throw new Error(`${id} has only ${ids.length} tokens`);
  const cut = Math.floor(length / 2);
  const trace: Trace = {
    id,
    problem_id: id,
    template_id: `template-${first % 40}`,
    target: 1,
    answer: 2,
    correct: false,
    truncated: false,
    prompt_ids: ids.slice(0, cut),
    completion_ids: ids.slice(cut),
    decoding: { strategy: 'greedy' },
    text: '',
  };
  const pairs = [length - 20, length - 10].map((at, i): Pair => {
    const undesired = ids[at]!;
    const desired = ids.find((other) => other !== undesired)!;
    const prefix = ids.slice(0, at);
    return { id: `${id}/${i}`, prefix, desired, undesired, method: 'branching', status: 'auto' };
  });
  const places = { model: path.relative(path.dirname(file), model).split(path.sep).join('/') };
  fs.writeFileSync(file, printTraceDocument(trace, pairs, tokenizer, places));
}

document(path.join(workspace.folder, 'warm.trace'), 'warm', TOKENS, 50);
document(path.join(workspace.folder, 'long.trace'), 'long', TOKENS, 0);
fs.copyFileSync(path.join(workspace.folder, 'long.trace'), path.join(workspace.folder, 'long.txt'));
for (const [name, count] of [
  ['few', 10],
  ['documents', parts.includes('folder') ? many : 0],
] as const) {
  const folder = path.join(workspace.folder, name);
  fs.mkdirSync(folder);
  for (let i = 0; i < count; i++) document(path.join(folder, `trace-${i}.trace`), `trace-${i}`, 60, i);
}

const extension = await packagedExtension();
const result = path.join(os.tmpdir(), `cca-bench-${process.pid}.json`);
const samples = new Map<keyof WindowFigures, number[]>();

/** A window that fails is told, and has no figures. */
async function measure(part: string): Promise<void> {
  fs.rmSync(result, { force: true });
  try {
    await runTests({
      extension: part === 'bare' ? null : extension,
      extensionTestsPath: outfile,
      animated: true,
      settings: AS_INSTALLED,
      extensionTestsEnv: {
        CCA_BENCH_PART: part,
        CCA_BENCH_RESULT: result,
        CCA_BENCH_REPEATS: String(repeats),
      },
      workspace: workspace.folder,
      timeout: 900_000,
    });
  } catch (error) {
    console.error(`${part}: ${error instanceof Error ? error.message : error}`);
    return;
  }
  const figures: WindowFigures = JSON.parse(fs.readFileSync(result, 'utf8'));
  for (const [name, values] of Object.entries(figures) as [keyof WindowFigures, number[]][]) {
    // Memory is in bytes.
    const scale = name.startsWith('host') ? 1e-6 : 1;
    samples.set(name, [...(samples.get(name) ?? []), ...values.map((value) => value * scale)]);
  }
}

const report = new Report(true);

/** @param of what is judged of the samples */
function line(
  label: string,
  values: readonly number[] | undefined,
  unit: 'ms' | 's' | 'MB',
  atMost: number,
  of: (values: readonly number[]) => number = median,
): void {
  if (!values?.length) report.unmeasured(label);
  else report.judged(label, `${spread(values)} ${unit}   n ${values.length}`, of(values), { atMost });
}

/** A figure without a bar. */
function told(label: string, name: keyof WindowFigures, unit: 'ms' | 'MB'): void {
  const values = samples.get(name);
  if (values) report.line(label, `${spread(values)} ${unit}   n ${values.length}`);
}

/** Sizes of the packages, MB, by platform. */
function packages(): [string, number][] {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-packages-'));
  const binaries = path.join(ROOT, 'node_modules', 'onnxruntime-node', 'bin', 'napi-v6');
  const targets = fs
    .readdirSync(binaries)
    .flatMap((system) => fs.readdirSync(path.join(binaries, system)).map((cpu) => `${system}-${cpu}`));
  try {
    return targets.map((target) => {
      execFileSync(process.execPath, [path.join(ROOT, 'package.mjs'), '--target', target, '--out', out], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const file = fs.readdirSync(out).find((name) => name.includes(target));
      return [target, fs.statSync(path.join(out, file!)).size / 1e6];
    });
  } finally {
    fs.rmSync(out, { recursive: true, force: true });
  }
}

console.log(`${os.cpus()[0]!.model}, ${os.cpus().length} cores; minimum / median / maximum`);
try {
  for (const part of ['traces', 'folder', 'amplification']) {
    if (!parts.includes(part)) continue;
    // Its run is there before: the views and the panel show it while it is made again.
    if (part === 'amplification') runExperiment(workspace.small);
    for (let i = 0; i < (part === 'amplification' ? 1 : windows); i++) {
      if (part === 'folder') await measure('bare');
      await measure(part);
    }
  }
  const get = (name: keyof WindowFigures) => samples.get(name);
  if (samples.size > 0 || parts.includes('traces')) {
    report.heading('Windows');
    line('activation of the host part', get('activation'), 'ms', 200);
  }
  if (parts.includes('traces')) {
    report.heading(`A trace of ${TOKENS} tokens, engine warm`);
    told('a plain file of the same text, opened and shown', 'plain', 'ms');
    line('opened, first overlay shown', get('firstOverlay'), 'ms', 400);
    told('of it from the request to the first scores', 'firstScores', 'ms');
    line('opened, complete overlay shown', get('completeOverlay'), 'ms', 1200);
    told('of it from the request to the last scores', 'allScores', 'ms');
    line('cursor on a pivot at once, attribution shown', get('attributionAtOnce'), 'ms', 300);
    line('a second later', get('attribution'), 'ms', 300);
    told("of it to the engine's answer", 'attributed', 'ms');
  }
  if (parts.includes('amplification')) {
    report.heading('A whole amplification, everything open');
    line('longest block of the host', get('longestBlock'), 'ms', 50, (values) => Math.max(...values));
    told('of it collecting garbage', 'longestCollection', 'ms');
  }
  if (parts.includes('folder')) {
    report.heading(`A folder of ${many.toLocaleString('en')} traces`);
    line('chosen, opened down to its traces', get('tracesView'), 'ms', 2000);
    line('memory of the extension host', get('hostMemory'), 'MB', 150);
    told("of it the process's own, not shared program files", 'hostPrivate', 'MB');
    told('before the folder was chosen', 'hostBefore', 'MB');
    told('in a window without the extension', 'hostBare', 'MB');
  }
  if (parts.includes('packages')) {
    report.heading('VSIX');
    for (const [target, megabytes] of packages()) line(target, [megabytes], 'MB', 60);
  }
  if (parts.includes('story')) {
    report.heading('A first session');
    const seconds = await firstSession(extension).catch((error: unknown) => {
      console.error(`story: ${error instanceof Error ? error.message : error}`);
      return [];
    });
    line('installed, demo amplified, first diff shown', seconds, 's', 300);
  }
} finally {
  fs.rmSync(workspace.folder, { recursive: true, force: true });
  fs.rmSync(result, { force: true });
}
console.log(report.missed.length > 0 ? `\nMissed: ${report.missed.join('; ')}` : '\nAll bars are met.');
process.exitCode = report.missed.length > 0 ? 1 : 0;
