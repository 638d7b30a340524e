/** The suite inside a real VS Code, on the packaged extension; each of its tests is reported as one of these. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { ROOT } from '../vscode/folders.ts';
import { runTests } from '../vscode/run-tests.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import type { SuiteTest } from './suite/index.ts';

const suites = path.join(import.meta.dirname, 'suite');
const outdir = path.join(ROOT, 'dist', 'host-suite');
const sources = fs.readdirSync(suites).filter((file) => file === 'index.ts' || file.endsWith('.suite.ts'));
await build({
  entryPoints: sources.map((file) => path.join(suites, file)),
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode', 'mocha'],
  logLevel: 'warning',
});

/** A copy of the demo's workspace, in which runs and documents may be made. */
const workspace = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-demo-')));
fs.cpSync(path.join(ROOT, 'media', 'demo'), workspace, { recursive: true });
const report = path.join(workspace, '..', `${path.basename(workspace)}.json`);
let failure: unknown = null;
try {
  await runTests({
    extension: packagedExtension(),
    extensionTestsPath: path.join(outdir, 'index.cjs'),
    extensionTestsEnv: { CCA_TEST_REPORT: report },
    workspace,
  });
} catch (error) {
  failure = error;
}
const results: SuiteTest[] = fs.existsSync(report) ? JSON.parse(fs.readFileSync(report, 'utf8')) : [];
fs.rmSync(workspace, { recursive: true, force: true });
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
