/** A workspace that is not trusted: traces can be read and annotated; no model is loaded, no job runs, none of its programs starts. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../cli/built.ts';
import { launchBrowser } from '../vscode/chromium.ts';
import { type CodeServer, startCodeServer } from '../vscode/code-server.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import { Workbench } from '../vscode/workbench.ts';
import { type DemoWorkspace, demoWorkspace, runExperiment } from '../vscode/workspace.ts';

let workspace: DemoWorkspace;
let server: CodeServer;
let browser: Browser;
let workbench: Workbench;
let spy: string;

beforeAll(async () => {
  await build();
  workspace = demoWorkspace();
  runExperiment(workspace.small);
  execFileSync(process.execPath, ['dist/cli.mjs', 'documents', '--run', workspace.run]);
  // A workspace that names a program of its own to run the engine.
  spy = path.join(workspace.folder, 'spy');
  fs.writeFileSync(spy, `#!/bin/sh\ntouch "${spy}-ran"\nexec "${process.execPath}" "$@"\n`, { mode: 0o755 });
  fs.mkdirSync(path.join(workspace.folder, '.vscode'));
  fs.writeFileSync(
    path.join(workspace.folder, '.vscode', 'settings.json'),
    JSON.stringify({ 'circuitAmplifier.engine.node': spy, 'circuitAmplifier.engine.command': [spy] }),
  );
  server = await startCodeServer({
    extensions: [await packagedExtension()],
    settings: {
      'security.workspace.trust.enabled': true,
      'security.workspace.trust.startupPrompt': 'never',
      'workbench.quickOpen.closeOnFocusLost': false,
    },
  });
  browser = await launchBrowser();
  workbench = await Workbench.open(browser, server.url(workspace.folder));
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  fs.rmSync(workspace.folder, { recursive: true, force: true });
});

const jobs = () =>
  fs
    .readdirSync(server.userData, { recursive: true, encoding: 'utf8' })
    .filter((file) => path.basename(file) === 'job.json');

test('a trace is shown with its pivot, and is not scored', async () => {
  const { page } = workbench;
  const [name] = fs.readdirSync(path.join(workspace.run, 'documents'));
  await workbench.quickOpen(name!);
  await page.locator('.codelens-decoration').filter({ hasText: 'exclude from training' }).first().waitFor();
  await page.locator('.codelens-decoration').filter({ hasText: 'show branches' }).first().waitFor();
  await workbench.command('Circuit Amplifier: Go to Next Pivot');
  const accept = page.locator('.codelens-decoration').getByText('accept', { exact: true });
  await accept.waitFor();
  await workbench.command('Circuit Amplifier: Accept Pivot');
  await accept.waitFor({ state: 'hidden' });
  expect(await workbench.statusItem('legend').getAttribute('aria-label')).not.toMatch(/%/);
});

test('what loads a model or runs a job is not offered, and nothing was started', async () => {
  const { page } = workbench;
  await page.keyboard.press('F1');
  const input = page.locator('.quick-input-widget input.input:visible');
  await input.fill('>Circuit Amplifier: ');
  const rows = page.locator('.quick-input-widget .monaco-list-row');
  await rows.filter({ hasText: 'Accept Pivot' }).first().waitFor();
  await input.fill('>Circuit Amplifier: Run Whole');
  await rows.filter({ hasText: 'Run Whole Amplification' }).first().waitFor({ state: 'hidden' });
  await page.keyboard.press('Escape');
  expect(jobs()).toEqual([]);
  expect(fs.existsSync(`${spy}-ran`)).toBe(false);
  expect(processes('worker.mjs').concat(processes('cli.mjs run'))).toEqual([]);
});

/** Processes of this installation of the extension with words in their command line. */
function processes(words: string): string[] {
  const home = path.dirname(server.userData);
  return execFileSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(home) && line.includes(words));
}
