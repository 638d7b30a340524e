/** Everything by keys alone, as someone works who uses no mouse: no step of this file clicks. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../cli/built.ts';
import type { Workbench } from '../vscode/workbench.ts';
import { type DemoWorkspace, demoWorkspace, runExperiment } from '../vscode/workspace.ts';
import { type Session, shot, startSession } from './session.ts';

let workspace: DemoWorkspace;
let session: Session;
let workbench: Workbench;

beforeAll(async () => {
  await build();
  workspace = demoWorkspace();
  runExperiment(workspace.small);
  execFileSync(process.execPath, ['dist/cli.mjs', 'documents', '--run', workspace.run]);
  session = await startSession(workspace.folder, { 'circuitAmplifier.jobs.confirm': false });
  workbench = session.workbench;
}, 900_000);

afterAll(async () => {
  await session?.close();
  if (workspace) fs.rmSync(workspace.folder, { recursive: true, force: true });
});

const command = (title: string) => workbench.command(`Circuit Amplifier: ${title}`);
const press = async (...keys: string[]) => {
  for (const key of keys) await workbench.page.keyboard.press(key);
};
/** A chord of ours: Ctrl+; and a key. */
const chord = (key: string) => press('Control+;', key);
const lines = (file: string) => fs.readFileSync(file, 'utf8').trimEnd().split('\n');
const list = () => workbench.page.locator('.quick-input-widget .monaco-list-row.focused:visible');
const asked = (title: string) =>
  workbench.page.locator('.quick-input-title:visible').filter({ hasText: title }).waitFor();
/** Takes the first of what a command asks for, if it asks: with one run there may be nothing to ask. */
async function takeFirst(): Promise<boolean> {
  const { page } = workbench;
  // The palette that the command came from has no title.
  const title = page.locator('.quick-input-title:visible').filter({ hasText: /\S/ });
  if ((await title.count()) === 0 || (await list().count()) === 0) return false;
  // To the list, wherever the focus is: an Enter that comes too late would be text in the document.
  const input = page.locator('.quick-input-widget input.input:visible').first();
  await input.press('Enter', { timeout: 2000 }).catch(() => undefined);
  return true;
}

/** Words of the header of the document in front. */
const header = () => workbench.editor.locator('.view-lines').textContent();

/** A document with a pivot, by name. */
function withPivot(): string {
  const folder = path.join(workspace.run, 'documents');
  const found = fs
    .readdirSync(folder)
    .find((name) => /^pivot: .*status=auto/m.test(fs.readFileSync(path.join(folder, name), 'utf8')));
  if (!found) throw new Error('the small run has no pivot');
  return found;
}

test('a trace is annotated', async () => {
  await workbench.quickOpen(withPivot());
  await workbench
    .tab(/\.trace/)
    .first()
    .waitFor();
  await workbench.page.locator('.codelens-decoration').getByText('accept', { exact: true }).first().waitFor();
  await chord('n');
  await chord('a');
  await expect.poll(header).toMatch(/status=accepted/);
  await press('Control+Z');
  await expect.poll(header).not.toMatch(/status=accepted/);
  await chord('n');
  await press('Control+.');
  await workbench.page.locator('.action-widget').getByText('Reject the pivot').first().waitFor();
  await press('Escape');
  await chord('r');
  await expect.poll(header).toMatch(/status=rejected/);
  await press('Control+S');
});

test('the model is amplified from the annotated traces', async () => {
  await command('Amplify from Annotated Traces');
  const runs = path.join(workspace.folder, 'runs');
  const made = () =>
    fs
      .readdirSync(runs)
      .find((name) => name !== 'small' && fs.existsSync(path.join(runs, name, 'report.json')));
  const end = Date.now() + 600_000;
  while (!made()) {
    if (Date.now() > end) throw new Error('no run was made');
    await takeFirst();
    await workbench.page.waitForTimeout(500);
  }
  const pairs = (run: string) => lines(path.join(runs, run, 'pairs.jsonl')).length;
  expect(pairs(made()!)).toBe(pairs('small') - 1);
});

test('flips are stepped through, set side by side, and followed to a component', async () => {
  const { page } = workbench;
  await command('Show Flips');
  await asked('Flips');
  if (/which run/.test((await page.locator('.quick-input-title:visible').textContent()) ?? '')) {
    await workbench.pick(/^small/);
    await asked('Flips:');
  }
  await workbench.pick(/./);
  await workbench.statusItem('diff').filter({ hasText: '→' }).waitFor();
  await chord('t');
  await asked('logit difference');
  // Training pivots come first, where the trace has some.
  await workbench.pick(/(helps|hinders) · gradient/);
  await asked('its weight rows');
  await press('Escape');
  await chord('e');
  await page.locator('.monaco-diff-editor').first().waitFor();
  await press('Control+F4');
});

test('components are picked in the circuit panel', async () => {
  const { page } = workbench;
  await command('Open Circuit');
  const end = Date.now() + 60_000;
  const find = async () =>
    (
      await Promise.all(
        page.frames().map((frame) =>
          frame
            .locator('[role=gridcell]')
            .count()
            .catch(() => 0),
        ),
      )
    ).some((count) => count > 0);
  while (!(await find())) {
    if (Date.now() > end) throw new Error('the panel did not open');
    await takeFirst();
    await page.waitForTimeout(300);
  }
  await command('Open Circuit').catch(() => undefined);
  let panel = await workbench.webview('[role=gridcell]');
  const focused = (role: string) =>
    panel
      .evaluate(`document.hasFocus() && document.activeElement?.getAttribute('role') === '${role}'`)
      .catch(async () => {
        // The panel of another run has a page of its own.
        panel = await workbench.webview('[role=gridcell]');
        return false;
      });
  while (!(await focused('gridcell'))) {
    if (Date.now() > end + 120_000) throw new Error('the grid cannot be reached by Tab');
    if (!(await takeFirst())) await press('Tab');
    await page.waitForTimeout(50);
  }
  const meter = panel.locator('[role=meter][aria-label=Budget]');
  const before = Number(await meter.getAttribute('aria-valuenow'));
  await press('ArrowRight', ' ');
  await expect.poll(async () => Number(await meter.getAttribute('aria-valuenow'))).not.toBe(before);
  await shot(workbench, 'keyboard-circuit');
});

test('a patch is taken out of a checkpoint', async () => {
  const at = (...names: string[]) => path.join(workspace.folder, ...names);
  const cli = (...args: string[]) => execFileSync(process.execPath, ['dist/cli.mjs', ...args]);
  const patch = path.join(workspace.run, 'patch.safetensors');
  cli('apply', '--model', at('model'), '--patch', patch, '--out', at('patched'));
  const weights = (folder: string) => fs.readFileSync(at(folder, 'model.safetensors'));
  expect(weights('patched').equals(weights('model'))).toBe(false);
  await command('Revert Patch in a Checkpoint');
  await asked('Which patches');
  await workbench.tick(/^small\b(?!-)/);
  await workbench.give('Checkpoint that', at('patched'));
  await workbench.give('New folder', at('reverted'));
  await expect.poll(() => fs.existsSync(at('reverted', 'model.safetensors'))).toBe(true);
  await workbench
    .notification(/is the checkpoint without/)
    .first()
    .waitFor();
  expect(weights('reverted').equals(weights('model'))).toBe(true);
});

test('a patch is applied and scaled', async () => {
  await command('Apply Patch');
  await asked('Apply a patch');
  await workbench.pick(/./);
  await workbench.command('View: Show Circuit Amplifier');
  await workbench.row(/× 1/).first().waitFor();
  await command('Scale Patch');
  await asked('Scale a patch');
  await workbench.pick(/active/);
  await workbench.enter('Scale of', '0.5');
  await shot(workbench, 'keyboard-patches');
  await workbench.row('× 0.5').first().waitFor();
});

test('an experiment file is written for a model and its data', async () => {
  await command('New Experiment File');
  await asked('(1 of 4)');
  await workbench.pick(/^model/);
  await asked('(2 of 4)');
  await workbench.pick(/^One file/);
  await workbench.give('Problems (JSONL', path.join(workspace.folder, 'data', 'train.jsonl'));
  await asked('(3 of 4)');
  await workbench.pick(/^Choose control files/);
  await workbench.give('Control items', path.join(workspace.folder, 'data', 'controls.jsonl'));
  await workbench.enter('(4 of 4)', 'mine');
  await workbench.tab('mine.experiment.json').waitFor();
  const written = JSON.parse(fs.readFileSync(path.join(workspace.folder, 'mine.experiment.json'), 'utf8'));
  expect(written).toMatchObject({
    model: 'model',
    problems: 'data/train.jsonl',
    controls: ['data/controls.jsonl'],
  });
});

test('what the engine does is shown: its state, devices and log', async () => {
  const { page } = workbench;
  await command('Show Engine State');
  await asked('Engine:');
  await workbench.pick(/Devices/);
  await asked('Devices');
  await page
    .locator('.quick-input-widget .monaco-list-row')
    .filter({ hasText: /cpu/ })
    .first()
    .waitFor({ timeout: 120_000 });
  await press('Escape');
  await command('Show Log');
  await page.locator('.part.panel .view-lines').first().waitFor();
  await workbench.command('View: Toggle Panel Visibility');
});

test('a key of an endpoint is kept and removed, and is in none of the files that are written', async () => {
  const key = 'sk-of-nobody-4711';
  const told = (text: string) =>
    workbench.page.locator('.statusbar-item').filter({ hasText: text }).first().waitFor();
  await command('Set API Key of Endpoint');
  await workbench.enter('API key of the endpoint', key);
  await told('The API key is stored');
  const files = fs
    .readdirSync(session.server.userData, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  expect(files.filter((file) => fs.readFileSync(file).includes(key))).toEqual([]);
  await command('Remove API Key of Endpoint');
  await told('The API key is removed');
});

test('a run is deleted once the question is answered', async () => {
  const dialog = workbench.page.locator('.monaco-dialog-box');
  for (const [answer, there] of [
    ['Escape', true],
    ['Enter', false],
  ] as const) {
    await command('Delete Run');
    await asked('Delete a run');
    await workbench.pick(/^small\b(?!-)/);
    await dialog.getByText('Delete the run small?').waitFor();
    await press(answer);
    await dialog.waitFor({ state: 'hidden' });
    await expect.poll(() => fs.existsSync(path.join(workspace.run, 'manifest.json'))).toBe(there);
  }
});
