/**
 * A first session in a real VS Code: from the walkthrough to an amplified demo model, its traces, circuit, diffs and patches, with
 * a reload of the window on the way. Pictures of every surface in each theme go to out/screenshots.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Workbench } from '../vscode/workbench.ts';
import { type Session, shoot, shot, startSession } from './session.ts';

let empty: string;
let session: Session;
let workbench: Workbench;

beforeAll(async () => {
  empty = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-story-')));
  session = await startSession(empty);
  workbench = session.workbench;
}, 600_000);

afterAll(async () => {
  await session?.close();
  if (empty) fs.rmSync(empty, { recursive: true, force: true });
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await shot(workbench, `failed: ${task.name}`.replaceAll(/\W+/g, '-'));
});

const command = (title: string) => workbench.command(`Circuit Amplifier: ${title}`);
/** Waits for the text of a status bar item. */
const status = (id: string, text: RegExp) => workbench.statusItem(id).filter({ hasText: text }).waitFor();
const lens = (text: string) =>
  workbench.page.locator('.codelens-decoration').getByText(text, { exact: true }).first();
/** The document in front, as its editor shows it: only what is in view. */
const shown = () => workbench.editor.locator('.view-lines').textContent();

/** Rests the mouse on the text at the cursor until its hover is there: lines move as lenses come. */
const pointAtCursor = (hover: Locator) =>
  expect
    .poll(async () => {
      const cursor = workbench.editor.locator('.cursors-layer .cursor').first();
      const { x, y, height } = (await cursor.boundingBox())!;
      for (const by of [20, 6]) await workbench.page.mouse.move(x + by, y + height / 2);
      await workbench.page.waitForTimeout(1500);
      return hover.count();
    })
    .toBeGreaterThan(0);

const demo = () => {
  const found = fs
    .readdirSync(session.server.userData, { recursive: true, encoding: 'utf8' })
    .find((file) => file.endsWith(path.join('circuit-amplifier-demo', 'experiment.json')));
  return found ? path.dirname(path.join(session.server.userData, found)) : null;
};
const run = (...parts: string[]) => path.join(demo()!, 'runs', ...parts);
const lines = (file: string) => fs.readFileSync(file, 'utf8').trimEnd().split('\n');

test('the walkthrough opens the demo workspace', async () => {
  const { page } = workbench;
  await command('Open Walkthrough');
  await page
    .locator('.gettingStartedContainer')
    .getByText('From nothing to an amplified model')
    .first()
    .waitFor();
  await shoot(workbench, 'walkthrough');
  await command('Open Demo Workspace');
  await workbench.pick('In a folder of the editor');
  await expect.poll(() => demo()).not.toBeNull();
  await page.waitForURL(/circuit-amplifier-demo/);
  await workbench.ready();
  // The walkthrough goes on in the new window.
  await page.locator('.gettingStartedContainer').getByText('Run the whole amplification').first().waitFor();
});

test('one command amplifies the model, its cost said before; a reload of the window finds the job again', async () => {
  const { page } = workbench;
  await command('Run Whole Amplification');
  await page.locator('.quick-input-title').filter({ hasText: 'Whole amplification' }).waitFor();
  await page
    .locator('.quick-input-widget')
    .getByText(/[MG]B of memory/)
    .first()
    .waitFor();
  await shot(workbench, 'cost');
  await workbench.pick(/Start/);
  const running = page.locator('.notification-list-item').filter({ hasText: /Generate|Traces|left/i });
  await running.first().waitFor();
  await page.reload();
  await workbench.ready();
  await running.first().waitFor();
  await workbench.command('View: Show Circuit Amplifier');
  await workbench.row(/demo/).first().waitFor();
  await shoot(workbench, 'running');
  await expect
    .poll(() => workbench.notification(/64\.3|94\.|\+\d+\.\d/).count(), { timeout: 900_000, interval: 500 })
    .toBeGreaterThan(0);
  await shoot(workbench, 'finished');
  await workbench.command('Notifications: Clear All Notifications');
}, 1_000_000);

test('a flip shows the amplified output inline, as a diff editor, and leads from its token to components and rows', async () => {
  const { page } = workbench;
  await command('Show Flips');
  await page.locator('.quick-input-title').filter({ hasText: 'Flips:' }).waitFor();
  await shot(workbench, 'flips');
  await page.keyboard.press('Enter');
  await status('diff', /✗ → .*✓/);
  await shoot(workbench, 'diff');
  const first = await workbench.statusItem('diff').textContent();
  await command('Go to Next Flip');
  await expect.poll(() => workbench.statusItem('diff').textContent()).not.toBe(first);
  await command('Go from Token to Its Pivots, Components and Rows');
  await page.locator('.quick-input-title').filter({ hasText: 'logit difference' }).waitFor();
  await shot(workbench, 'components');
  await workbench.pick(/helps/);
  await page.locator('.quick-input-title').filter({ hasText: 'its weight rows' }).waitFor();
  await shot(workbench, 'rows');
  await page.keyboard.press('Escape');
  await command('Open as Diff Editor');
  await page.locator('.monaco-diff-editor .char-insert, .monaco-diff-editor .line-insert').first().waitFor();
  await shoot(workbench, 'diff-editor');
});

test('a trace has its overlay; the pivot under the cursor its attribution, hover, lenses and lightbulb', async () => {
  const { page } = workbench;
  await command('Filter Traces');
  await page.locator('.quick-input-widget input.input:visible').fill('@wrong @pivots');
  await page.keyboard.press('Enter');
  await workbench
    .row(/^wrong/)
    .first()
    .click();
  await workbench.row(/-/).first().waitFor();
  const traces = () => workbench.row(/ pivot/);
  const template = page.locator('.part.sidebar .monaco-list-row[aria-level="2"]').first();
  await template.click();
  await traces().first().click();
  await lens('accept').waitFor();
  await status('legend', /surprisal/);
  await command('Go to Next Pivot');
  const hover = page
    .locator('.monaco-hover:visible')
    .filter({ hasText: /Pivot.*desired over/s })
    .first();
  await pointAtCursor(hover);
  await expect.poll(() => hover.textContent()).toMatch(/probability [\d.]+%.*rank \d+.*entropy [\d.]+ nats/);
  await shot(workbench, 'hover');
  await page.mouse.move(0, 0);
  await shoot(workbench, 'trace');
  await page.keyboard.press('Control+.');
  await page.locator('.action-widget').getByText('Set the desired token').first().waitFor();
  await shot(workbench, 'lightbulb');
  await page.keyboard.press('Escape');
});

test('annotations are edits of the document: by lens, by key, undone, saved', async () => {
  const { page } = workbench;
  await lens('accept').click();
  await expect.poll(shown).toMatch(/status=accepted/);
  await page.keyboard.press('Control+Z');
  await expect.poll(shown).not.toMatch(/status=accepted/);
  await command('Go to Next Pivot');
  await page.keyboard.press('Control+;');
  await page.keyboard.press('r');
  await expect.poll(shown).toMatch(/status=rejected/);
  await page.keyboard.press('Control+S');
  await expect
    .poll(() => {
      const documents = run('demo', 'documents');
      return fs
        .readdirSync(documents)
        .filter((name) => fs.readFileSync(path.join(documents, name), 'utf8').includes('status=rejected'))
        .length;
    })
    .toBe(1);
});

test('in the circuit panel a selection is made, looked at and trained on the annotated pivots', async () => {
  const { page } = workbench;
  // Fewer problems and items than the amplification was measured on: seconds in place of minutes.
  const experiment = path.join(demo()!, 'experiment.json');
  const fewer = { ...JSON.parse(fs.readFileSync(experiment, 'utf8')), limit: 60, controlLimit: 20 };
  fs.writeFileSync(experiment, `${JSON.stringify(fewer, null, 2)}\n`);
  await command('Open Circuit');
  const panel = await workbench.webview('[role=gridcell]');
  const meter = panel.locator('[role=meter][aria-label=Budget]');
  const top = panel.locator('vscode-text-field').filter({ hasText: 'Top k' }).locator('input');
  await top.fill('12');
  await top.press('Enter');
  await expect.poll(() => meter.getAttribute('aria-valuenow')).toBe('12');
  const cell = panel.locator('[role=gridcell]');
  await cell.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press(' ');
  await expect.poll(() => meter.getAttribute('aria-valuenow')).toBe('13');
  await shoot(workbench, 'circuit');
  await panel.getByRole('button', { name: 'Save…' }).click();
  await workbench.enter('Save 13 components', 'by hand');
  const saved = panel.locator('vscode-dropdown[aria-label="Saved selection"] vscode-option');
  await saved.filter({ hasText: 'by hand' }).waitFor({ state: 'attached' });
  const mask = JSON.parse(fs.readFileSync(run('demo', 'selections', 'by hand.json'), 'utf8'));
  const layers: Record<string, number[]>[] = mask.selected;
  expect(layers.flatMap((layer) => Object.values(layer).flat()).length).toBe(13);
  await panel.getByRole('button', { name: /^Compute attribution/ }).click();
  const served = panel.locator('#inspector .pair-list vscode-link').first();
  await served.waitFor();
  await shot(workbench, 'served');
  await served.click();
  // Beside the panel, with the cursor on the pair's pivot.
  await workbench.statusItem('legend').waitFor();
  await lens('accept').waitFor();
  await shot(workbench, 'pair');
  const steps = panel.locator('vscode-text-field').filter({ hasText: 'Steps' }).locator('input');
  await steps.fill('4');
  await steps.press('Tab');
  const every = panel.locator('vscode-text-field').filter({ hasText: 'Validate every' }).locator('input');
  await every.fill('2');
  await every.press('Tab');
  await panel.getByRole('button', { name: 'Start training' }).click();
  const ended = async () => {
    // Asked where it would take long.
    if (
      (await page
        .locator('.quick-input-widget .monaco-list-row.focused:visible')
        .filter({ hasText: 'Start' })
        .count()) > 0
    )
      await page.keyboard.press('Enter');
    return fs.existsSync(run('demo-2', 'report.json'));
  };
  await expect.poll(ended, { timeout: 600_000, interval: 500 }).toBe(true);
  // The rejected pivot is not trained on.
  expect(lines(run('demo-2', 'pairs.jsonl')).length).toBe(lines(run('demo', 'pairs.jsonl')).length - 1);
  const report = JSON.parse(fs.readFileSync(run('demo-2', 'report.json'), 'utf8'));
  expect(report.circuit.components).toBe(13);
  await shoot(workbench, 'trained');
  await workbench.command('Notifications: Clear All Notifications');
}, 700_000);

test('a patch is switched on, and its scale asked for', async () => {
  const { page } = workbench;
  const patch = workbench.row(/demo-2.*rows/).first();
  const ticked = async () => {
    if ((await workbench.row(/1\. × 1/).count()) > 0) return true;
    // A row that is drawn anew under the mouse does not notice the click.
    await patch.locator('.monaco-checkbox, .custom-view-tree-node-item-checkbox').first().click();
    return false;
  };
  await expect.poll(ticked, { interval: 3000 }).toBe(true);
  await command('Scale Patch');
  await page.locator('.quick-input-widget input.input:visible').waitFor();
  await shot(workbench, 'scale');
  await page.keyboard.press('Escape');
  await shoot(workbench, 'patches');
});

test('the experiment file is completed and checked as it is typed', async () => {
  const { page } = workbench;
  await workbench.quickOpen('experiment.json');
  await workbench.tab('experiment.json').waitFor();
  await expect.poll(shown).toMatch(/"about"/);
  await page.locator('.editor-group-container.active .monaco-editor.focused').waitFor();
  await page.keyboard.press('Control+Home');
  await page.keyboard.press('ArrowDown');
  const problems = page.locator('.squiggly-warning, .squiggly-error');
  await page.keyboard.type('"limit": "many",\n');
  await problems.first().waitFor();
  await page.keyboard.type('"see');
  await page.locator('.suggest-widget .monaco-list-row').filter({ hasText: 'seeds' }).first().waitFor();
  await shot(workbench, 'experiment');
});
