/** A first session, as a user has it who knows where to click. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launchBrowser } from '../../vscode/chromium.ts';
import { startCodeServer } from '../../vscode/code-server.ts';
import { Workbench } from '../../vscode/workbench.ts';

/** A setting that tests change and figures must not. */
export const AS_INSTALLED = { 'circuitAmplifier.jobs.background': true };
/** Patience with the amplification, milliseconds. */
const LONG = 900_000;

/**
 * From the installation of the package to the first diff of the amplified demo: the walkthrough, the demo workspace, the whole
 * amplification with its question what it may cost, a flip with its diff.
 * @returns seconds
 */
export async function firstSession(extension: string): Promise<number[]> {
  const empty = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-story-'));
  const browser = await launchBrowser();
  const begin = performance.now();
  const server = await startCodeServer({ extensions: [extension], settings: AS_INSTALLED });
  try {
    const workbench = new Workbench(await browser.newPage({ viewport: { width: 1440, height: 900 } }));
    const { page } = workbench;
    const command = (title: string) => workbench.command(`Circuit Amplifier: ${title}`);
    const walkthrough = page.locator('.gettingStartedContainer');
    await page.goto(server.url(empty));
    await workbench.ready();
    await command('Open Walkthrough');
    await walkthrough.getByText('From nothing to an amplified model').first().waitFor();
    await command('Open Demo Workspace');
    await workbench.pick('In a folder of the editor');
    await page.waitForURL(/circuit-amplifier-demo/);
    await workbench.ready();
    await walkthrough.getByText('Run the whole amplification').first().waitFor();
    await command('Run Whole Amplification');
    await workbench.pick(/Start/);
    await workbench
      .notification(/[+−]\d+\.\d points/)
      .first()
      .waitFor({ timeout: LONG });
    await command('Show Inline Diff');
    await workbench.statusItem('diff').waitFor();
    return [(performance.now() - begin) / 1000];
  } finally {
    await browser.close();
    await server.close();
    fs.rmSync(empty, { recursive: true, force: true });
  }
}
