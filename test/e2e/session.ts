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
  const workbench = new Workbench(await browser.newPage({ viewport: { width: 1440, height: 900 } }));
  await workbench.page.goto(server.url(folder));
  await workbench.ready();
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
  const { page } = workbench;
  for (const [wanted, label] of Object.entries(themes)) {
    await page.keyboard.press('Control+K');
    await page.keyboard.press('Control+T');
    await page.locator('.quick-input-widget input.input:visible').waitFor();
    await page.keyboard.type(label);
    await page
      .locator('.quick-input-widget .monaco-list-row:visible')
      .filter({ hasText: label })
      .first()
      .waitFor();
    await expect.poll(() => theme(workbench), { timeout: 30_000 }).toBe(wanted);
    await page.keyboard.press('Enter');
    await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    await expect.poll(() => theme(workbench), { timeout: 30_000 }).toBe(wanted);
    await shot(workbench, `${name}-${wanted}`);
  }
}

async function theme({ page }: Workbench): Promise<Theme> {
  const classes = (await page.locator('.monaco-workbench').first().getAttribute('class')) ?? '';
  if (/(^| )hc-/.test(classes)) return 'high-contrast';
  return /(^| )vs-dark( |$)/.test(classes) ? 'dark' : 'light';
}
