/** A window of a real VS Code with the packaged extension, as a user gets it, and pictures of it in each theme. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { build } from '../cli/built.ts';
import { launchBrowser } from '../vscode/chromium.ts';
import { type CodeServer, startCodeServer } from '../vscode/code-server.ts';
import { COMPANION, OUT } from '../vscode/folders.ts';
import { packagedExtension } from '../vscode/vsix.ts';
import { Workbench } from '../vscode/workbench.ts';

export interface Session {
  server: CodeServer;
  workbench: Workbench;
  /** Another window. */
  open(folder: string): Promise<Workbench>;
  close(): Promise<void>;
}

/** @param folder or a .code-workspace file */
export async function startSession(folder: string, settings: Record<string, unknown> = {}): Promise<Session> {
  await build();
  const server = await startCodeServer({
    extensions: [await packagedExtension(), COMPANION],
    settings: {
      'window.autoDetectColorScheme': false,
      // As on a desktop; in a browser VS Code saves by itself.
      'files.autoSave': 'off',
      ...settings,
    },
  });
  const browser = await launchBrowser();
  const open = (opened: string) => Workbench.open(browser, server.url(opened));
  return {
    server,
    workbench: await open(folder),
    open,
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

type Theme = 'light' | 'dark' | 'high-contrast';

/** Keys that the tests' own extension gives the themes. The last one stays. */
const themes: Record<Theme, string> = {
  light: 'Control+Alt+F7',
  'high-contrast': 'Control+Alt+F8',
  dark: 'Control+Alt+F9',
};

const folder = path.join(OUT, 'screenshots');

/** What is seen now. */
export async function shot({ page }: Workbench, name: string): Promise<void> {
  fs.mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

/** What is seen, in each theme. */
export async function shoot(workbench: Workbench, name: string): Promise<void> {
  const { page } = workbench;
  for (const [wanted, key] of Object.entries(themes)) {
    await page.keyboard.press(key);
    await expect.poll(() => theme(workbench)).toBe(wanted);
    // Pages in the window, and the colours of code, follow it.
    await page.waitForTimeout(500);
    await shot(workbench, `${name}-${wanted}`);
  }
}

async function theme({ page }: Workbench): Promise<Theme> {
  const classes = (await page.locator('.monaco-workbench').first().getAttribute('class')) ?? '';
  if (/(^| )hc-/.test(classes)) return 'high-contrast';
  return /(^| )vs-dark( |$)/.test(classes) ? 'dark' : 'light';
}
