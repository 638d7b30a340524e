/**
 * A first session in a real VS Code: from the walkthrough to an amplified demo model, with a reload of the window on the way.
 * Screenshots in each theme go to out/screenshots.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
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
