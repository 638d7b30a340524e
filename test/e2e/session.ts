/** A window of a real VS Code with the packaged extension, as a user gets it, and pictures of it in each theme. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { build } from '../cli/built.ts';
import { launchBrowser } from '../vscode/chromium.ts';
import { type CodeServer, startCodeServer } from '../vscode/code-server.ts';
import { OUT } from '../vscode/folders.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import { Workbench } from '../vscode/workbench.ts';

export interface Session {
  server: CodeServer;
  workbench: Workbench;
  close(): Promise<void>;
}

export async function startSession(folder: string, settings: Record<string, unknown> = {}): Promise<Session> {
  await build();
  const server = await startCodeServer({
    extensions: [await packagedExtension()],
    settings: {
      'window.autoDetectColorScheme': false,
      // As on a desktop; in a browser VS Code saves by itself.
      'files.autoSave': 'off',
      ...settings,
    },
  });
  const browser = await launchBrowser();
  const workbench = await Workbench.open(browser, server.url(folder));
  return {
    server,
    workbench,
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

type Theme = 'light' | 'dark' | 'high-contrast';

/** The last one stays. */
const themes: Record<Theme, string> = {
  light: 'Light Modern',
  'high-contrast': 'Dark High Contrast',
  dark: 'Dark Modern',
};

const folder = path.join(OUT, 'screenshots');

/** What is seen now: lists and boxes would close if a theme were chosen. */
export async function shot({ page }: Workbench, name: string): Promise<void> {
  fs.mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

/** What is seen, in each theme. */
export async function shoot(workbench: Workbench, name: string): Promise<void> {
  for (const wanted of Object.keys(themes) as Theme[]) {
    for (let tries = 1; !(await chooseTheme(workbench, wanted)); tries++) {
      if (tries === 5) throw new Error(`the theme ${themes[wanted]} cannot be chosen`);
    }
    await shot(workbench, `${name}-${wanted}`);
  }
}

/** @returns false where the list took other words than were typed: a busy window filters late */
async function chooseTheme(workbench: Workbench, wanted: Theme): Promise<boolean> {
  const { page } = workbench;
  const label = themes[wanted];
  const box = page.locator('.quick-input-widget');
  const chosen = box.locator('.monaco-list-row.focused:visible').filter({ hasText: label }).first();
  await page.keyboard.press('Control+K');
  await page.keyboard.press('Control+T');
  try {
    await box.locator('input.input:visible').fill(label, { timeout: 10_000 });
    await chosen.waitFor({ timeout: 10_000 });
  } catch {
    await page.keyboard.press('Escape');
    return false;
  }
  await page.keyboard.press('Enter');
  await box.waitFor({ state: 'hidden' });
  return expect
    .poll(() => theme(workbench), { timeout: 10_000 })
    .toBe(wanted)
    .then(
      () => true,
      () => false,
    );
}

async function theme({ page }: Workbench): Promise<Theme> {
  const classes = (await page.locator('.monaco-workbench').first().getAttribute('class')) ?? '';
  if (/(^| )hc-/.test(classes)) return 'high-contrast';
  return /(^| )vs-dark( |$)/.test(classes) ? 'dark' : 'light';
}
