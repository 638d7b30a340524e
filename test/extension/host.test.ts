/** The suite inside a real VS Code, on the packaged extension; each of its tests is reported as one of these. */
import fs from 'node:fs';
import path from 'node:path';
import { build as bundle } from 'esbuild';
import { expect, test } from 'vitest';
import { printTraceDocument } from '../../server/data/trace-print.ts';
import { build } from '../cli/built.ts';
import { demo, pairAt, traceOf } from '../language/sample.ts';
import { ROOT } from '../vscode/folders.ts';
import { runTests } from '../vscode/run-tests.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import { demoWorkspace, runExperiment } from '../vscode/workspace.ts';
import type { SuiteTest } from './suite/index.ts';

/** A trace whose text has emoji, CJK, a tab and two-byte line ends: every place in it is easily counted wrong. */
function scripts(): string {
  const prompt = 'Tom 👨‍👩‍👧 has\t36 箱子.\nAnn takes 9.\nSolution:';
  const trace = traceOf(demo, prompt, ' 36 + 9 = 45 箱子 😀.\nThe answer is 45.', { id: 'scripts' });
  const [plus, minus] = [' +', ' -'].map((text) => demo.encode(text, { addSpecialTokens: false })[0]!);
  const pair = pairAt(trace, trace.completion_ids.indexOf(plus!), minus!);
  return printTraceDocument(trace, [pair], demo, { model: 'model' }).replaceAll('\n', '\r\n');
}

const suites = path.join(import.meta.dirname, 'suite');
const outdir = path.join(ROOT, 'dist', 'host-suite');
const sources = fs.readdirSync(suites).filter((file) => file === 'index.ts' || file.endsWith('.suite.ts'));
fs.rmSync(outdir, { recursive: true, force: true });
await bundle({
  entryPoints: sources.map((file) => path.join(suites, file)),
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  mainFields: ['module', 'main'],
  external: ['vscode', 'mocha'],
  logLevel: 'warning',
});

await build();
const extension = await packagedExtension();
const { folder, small } = demoWorkspace();
const report = `${folder}.json`;
let failure: unknown = null;
fs.writeFileSync(path.join(folder, 'scripts.trace'), scripts());
try {
  runExperiment(small);
  await runTests({
    extension,
    extensionTestsPath: path.join(outdir, 'index.cjs'),
    extensionTestsEnv: { CCA_TEST_REPORT: report, CCA_TEST_ONLY: process.env.CCA_TEST_ONLY ?? '' },
    workspace: folder,
  });
} catch (error) {
  failure = error;
}
const results: SuiteTest[] = fs.existsSync(report) ? JSON.parse(fs.readFileSync(report, 'utf8')) : [];
fs.rmSync(folder, { recursive: true, force: true });
fs.rmSync(report, { force: true });

test('the suite ran to its end', () => {
  // Failures of single tests are told below.
  if (failure && !results.some(({ state }) => state === 'failed')) throw failure;
  expect(results.length).toBeGreaterThan(sources.length - 1);
});

for (const { title, state, error } of results) {
  test.skipIf(state === 'pending')(title, () => {
    if (error) throw new Error(error);
  });
}
