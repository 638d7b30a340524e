/**
 * The whole story in a real VS Code, as one session: from the walkthrough to an amplified demo model, its traces, pivots, circuit
 * and diffs. Screenshots of every surface go to out/screenshots.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Browser, Frame } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../cli/built.ts';
import { launchBrowser } from '../vscode/chromium.ts';
import { type CodeServer, startCodeServer } from '../vscode/code-server.ts';
import { OUT } from '../vscode/folders.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import { Workbench } from '../vscode/workbench.ts';

let empty: string;
let server: CodeServer;
let browser: Browser;
let workbench: Workbench;

beforeAll(async () => {
  await build();
  empty = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-story-')));
  server = await startCodeServer({
    extensions: [await packagedExtension()],
    settings: {
      'window.autoDetectColorScheme': false,
      'circuitAmplifier.jobs.confirm': false,
    },
  });
  browser = await launchBrowser();
  workbench = new Workbench(await browser.newPage({ viewport: { width: 1440, height: 900 } }));
  await workbench.page.goto(server.url(empty));
  await workbench.ready();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  if (empty) fs.rmSync(empty, { recursive: true, force: true });
});

const folder = path.join(OUT, 'screenshots');

/** What is seen now: lists and boxes would close if the theme were chosen. */
async function shot(name: string): Promise<void> {
  fs.mkdirSync(folder, { recursive: true });
  await workbench.page.screenshot({ path: path.join(folder, `${name}.png`) });
}

type Theme = 'light' | 'dark' | 'high-contrast';

async function theme(): Promise<Theme> {
  const classes = (await workbench.page.locator('.monaco-workbench').first().getAttribute('class')) ?? '';
  if (/(^| )hc-/.test(classes)) return 'high-contrast';
  return /(^| )vs-dark( |$)/.test(classes) ? 'dark' : 'light';
}

const THEMES: Record<Theme, string> = {
  light: 'Light Modern',
  'high-contrast': 'Dark High Contrast',
  dark: 'Dark Modern',
};

/** What is seen, in each theme; the dark one stays. */
async function shoot(name: string): Promise<void> {
  const { page } = workbench;
  for (const [wanted, label] of Object.entries(THEMES)) {
    await page.keyboard.press('Control+K');
    await page.keyboard.press('Control+T');
    await page.locator('.quick-input-widget input.input:visible').waitFor();
    await page.keyboard.type(label);
    await page
      .locator('.quick-input-widget .monaco-list-row:visible')
      .filter({ hasText: label })
      .first()
      .waitFor();
    await expect.poll(theme, { timeout: 30_000 }).toBe(wanted);
    await page.keyboard.press('Enter');
    await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    await expect.poll(theme, { timeout: 30_000 }).toBe(wanted);
    await shot(`${name}-${wanted}`);
  }
}

const demo = () => {
  const found = fs
    .readdirSync(server.userData, { recursive: true, encoding: 'utf8' })
    .find((file) => file.endsWith(path.join('circuit-amplifier-demo', 'experiment.json')));
  return found ? path.dirname(path.join(server.userData, found)) : null;
};

const legend = () => workbench.statusItem('legend');

/** The panel's page. */
const panel = (): Promise<Frame> => workbench.webview('vscode-button');

test('the walkthrough opens the demo workspace', async () => {
  const { page } = workbench;
  await workbench.command('Circuit Amplifier: Open Walkthrough');
  await page
    .locator('.gettingStartedContainer')
    .getByText('From nothing to an amplified model')
    .first()
    .waitFor();
  await shoot('walkthrough');
  await workbench.command('Circuit Amplifier: Open Demo Workspace');
  await workbench.pick('In a folder of the editor');
  await expect.poll(() => demo(), { timeout: 60_000 }).not.toBeNull();
  await page.waitForURL(/circuit-amplifier-demo/);
  await workbench.ready();
  // The walkthrough goes on in the new window.
  await page.locator('.gettingStartedContainer').getByText('Run the whole amplification').first().waitFor();
});

test('one command amplifies the model; a reload of the window finds the job again', async () => {
  const { page } = workbench;
  await workbench.command('Circuit Amplifier: Run Whole Amplification');
  await page
    .getByText(/Whole amplification|demo/)
    .first()
    .waitFor();
  const running = page.locator('.notification-list-item').filter({ hasText: /Generate|Traces|left/i });
  await running.first().waitFor();
  await page.reload();
  await workbench.ready();
  await running.first().waitFor();
  await workbench.command('View: Show Circuit Amplifier');
  await workbench.row(/demo/).first().waitFor();
  await shoot('running');
  await expect
    .poll(() => workbench.notification(/64\.3|94\.|\+\d+\.\d/).count(), { timeout: 400_000, interval: 500 })
    .toBeGreaterThan(0);
  await shoot('finished');
});

test('a flip opens with its overlay, its pivots and the inline diff', async () => {
  const { page } = workbench;
  await workbench.command('Notifications: Clear All Notifications');
  await workbench.command('Circuit Amplifier: Show Flips');
  await page
    .locator('.quick-input-title')
    .filter({ hasText: /Flips: 316 wrong to right, 10 right to wrong/i })
    .waitFor();
  await shot('flips');
  await page.keyboard.press('Enter');
  await page.locator('.tab').filter({ hasText: '.trace' }).first().waitFor();
  await expect.poll(() => page.locator('.view-overlays, .view-lines').first().textContent()).not.toBeNull();
  await page
    .locator('.editor-instance')
    .getByText(/✗ → .* ✓|✗ →/)
    .first()
    .waitFor();
  await shoot('diff');
  await workbench.command('Circuit Amplifier: Go to Next Flip');
  await page.locator('.tab').filter({ hasText: '.trace' }).first().waitFor();
});

test('a trace of the run: pivot, attribution at the cursor, annotation, undo', async () => {
  const { page } = workbench;
  await workbench.command('View: Close All Editors');
  await workbench.command('Circuit Amplifier: Write Trace Documents');
  await page.locator('.quick-input-widget:visible .monaco-list-row').first().waitFor();
  await page.keyboard.press('Enter');
  const documents = path.join(demo()!, 'runs', 'demo', 'documents');
  await expect
    .poll(() => (fs.existsSync(documents) ? fs.readdirSync(documents).length : 0), { timeout: 120_000 })
    .toBeGreaterThan(100);
  const name = fs
    .readdirSync(documents)
    .find((file) => fs.readFileSync(path.join(documents, file), 'utf8').includes('\npivot: '))!;
  await workbench.quickOpen(name);
  await page.locator('.codelens-decoration').filter({ hasText: 'show branches' }).first().waitFor();
  await workbench.command('Circuit Amplifier: Go to Next Pivot');
  await expect
    .poll(() => legend().getAttribute('aria-label'), { timeout: 60_000 })
    .toMatch(/attribution|toward/i);
  await shoot('trace');
  const accept = page.locator('.codelens-decoration').getByText('accept', { exact: true });
  await accept.waitFor();
  await workbench.command('Circuit Amplifier: Accept Pivot');
  await accept.waitFor({ state: 'hidden' });
  await page.locator('.editor-instance .view-lines').first().click();
  await page.keyboard.press('Control+Z');
  await accept.waitFor();
});

test('the circuit panel: the circuit, a selection of one’s own, training, before and after', async () => {
  const { page } = workbench;
  await workbench.command('View: Close All Editors');
  await workbench.command('Circuit Amplifier: Open Circuit');
  const frame = await panel();
  await frame
    .getByText(/16 of 1,600 components/)
    .first()
    .waitFor();
  await shoot('circuit');
  const topK = frame.locator('vscode-text-field').filter({ hasText: /top/i }).locator('input').first();
  await topK.fill('12');
  await topK.press('Enter');
  await frame
    .getByText(/12 of 1,600 components/)
    .first()
    .waitFor();
  const steps = frame
    .locator('vscode-text-field')
    .filter({ hasText: /^Steps/ })
    .locator('input')
    .first();
  await steps.fill('4');
  await steps.press('Tab');
  await frame
    .locator('vscode-button')
    .filter({ hasText: /Start training/ })
    .first()
    .click();
  await frame.locator('vscode-button').filter({ hasText: /Stop/ }).first().waitFor();
  await shoot('training');
  await expect
    .poll(() => workbench.notification(/\+\d+\.\d|done/).count(), { timeout: 300_000, interval: 500 })
    .toBeGreaterThan(0);
  await shoot('trained');
  await page.keyboard.press('Escape');
});

test('the patches view turns a patch on; the overlay is that of the patched model', async () => {
  const { page } = workbench;
  await workbench.command('View: Close All Editors');
  await page.locator('.part.sidebar .pane-header').filter({ hasText: 'Patches' }).first().click();
  const box = page
    .locator(
      '.part.sidebar .monaco-list-row .monaco-custom-toggle, .part.sidebar .monaco-list-row input[type=checkbox]',
    )
    .first();
  await box.waitFor();
  await shoot('patches');
});
