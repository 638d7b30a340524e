/** A window with two folders, and a second one on the same: every run has one writer, and both see its job. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Workbench } from '../vscode/workbench.ts';
import { type DemoWorkspace, demoWorkspace } from '../vscode/workspace.ts';
import { type Session, shot, startSession } from './session.ts';

const GENERATE = 'Circuit Amplifier: Generate Traces';
const AMPLIFY = 'Circuit Amplifier: Run Whole Amplification';

let alpha: DemoWorkspace;
let beta: DemoWorkspace;
let file: string;
let session: Session;
/** On both folders. */
let both: Workbench;

beforeAll(async () => {
  [alpha, beta] = [demoWorkspace(), demoWorkspace()];
  file = `${alpha.folder}.code-workspace`;
  const folders = Object.entries({ alpha, beta }).map(([name, { folder }]) => ({ name, path: folder }));
  fs.writeFileSync(file, JSON.stringify({ folders }));
  session = await startSession(file, { 'circuitAmplifier.jobs.confirm': false });
  both = session.workbench;
}, 600_000);

afterAll(async () => {
  await session?.close();
  for (const { folder } of [alpha, beta]) fs.rmSync(folder, { recursive: true, force: true });
  fs.rmSync(file, { force: true });
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await shot(both, `failed: ${task.name}`.replaceAll(/\W+/g, '-'));
});

const lines = (name: string) => fs.readFileSync(name, 'utf8').trimEnd().split('\n');

test('a window with two folders asks which one is meant; the run is made there, and named by it', async () => {
  await both.command(GENERATE);
  await both.page.locator('.quick-input-title').filter({ hasText: 'Which experiment?' }).waitFor();
  await shot(both, 'folders-asked');
  await both.pick(/small\.experiment\.json\s*beta/);
  await both.command('View: Show Circuit Amplifier');
  await both
    .row(/small.*beta/)
    .first()
    .waitFor();
  const traces = path.join(beta.run, 'traces.jsonl');
  await expect
    .poll(() => fs.existsSync(traces) && lines(traces).length, { timeout: 120_000 })
    .toBeGreaterThan(40);
  expect(fs.existsSync(alpha.run)).toBe(false);
  await shot(both, 'folders-runs');
});

test('a job of one window is followed in another on the same folders, which is refused its run, and may cancel it', async () => {
  const twin = await session.open(file);
  await twin.command(AMPLIFY);
  await twin.pick(/small\.experiment\.json\s*alpha/);
  await both
    .row(/small.*alpha/)
    .first()
    .waitFor();
  await both.command(AMPLIFY);
  await both.pick(/small\.experiment\.json\s*alpha/);
  await both.notification(/works on this run/).waitFor();
  await shot(both, 'refused');
  await both.command('Circuit Amplifier: Cancel Job');
  await twin
    .notification(/stopped; what was finished is kept/)
    .first()
    .waitFor();
  await shot(twin, 'cancelled-elsewhere');
});
