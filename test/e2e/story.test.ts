/**
 * A first session in a real VS Code: from the walkthrough to an amplified demo model, with a reload of the window on the
 * way; its experiment file. Pictures in each theme go to out/screenshots.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Workbench } from '../vscode/workbench.ts';
import { type Session, shoot, shot, startSession } from './session.ts';

let empty: string;
let session: Session;
let workbench: Workbench;

beforeAll(async () => {
  empty = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-story-')));
  session = await startSession(empty, { 'circuitAmplifier.jobs.confirm': false });
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

const demo = () => {
  const found = fs
    .readdirSync(session.server.userData, { recursive: true, encoding: 'utf8' })
    .find((file) => file.endsWith(path.join('circuit-amplifier-demo', 'experiment.json')));
  return found ? path.dirname(path.join(session.server.userData, found)) : null;
};

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
  await expect.poll(() => demo(), { timeout: 60_000 }).not.toBeNull();
  await page.waitForURL(/circuit-amplifier-demo/);
  await workbench.ready();
  // The walkthrough goes on in the new window.
  await page.locator('.gettingStartedContainer').getByText('Run the whole amplification').first().waitFor();
});

test('one command amplifies the model; a reload of the window finds the job again', async () => {
  const { page } = workbench;
  await command('Run Whole Amplification');
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
}, 900_000);

test('the experiment file is completed and checked as it is typed', async () => {
  const { page } = workbench;
  await workbench.quickOpen('experiment.json');
  await workbench.tab('experiment.json').waitFor();
  await page.keyboard.press('Control+Home');
  await page.keyboard.press('ArrowDown');
  const problems = page.locator('.squiggly-warning, .squiggly-error');
  await page.keyboard.type('"limit": "many",\n');
  await problems.first().waitFor();
  await page.keyboard.type('"see');
  await page.locator('.suggest-widget .monaco-list-row').filter({ hasText: 'seeds' }).first().waitFor();
  await shot(workbench, 'experiment');
});
