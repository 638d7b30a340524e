/** The product as it is shipped: dist/, built anew where a source is newer, and runs of its command line. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { alone } from '../vscode/lock.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const CLI = path.join(root, 'dist', 'cli.mjs');
export const WORKER = new URL('../../dist/worker.mjs', import.meta.url);
export const fixture = (name: string) => path.join(root, 'test', 'fixtures', name);

/** Builds dist/ unless it is newer than every source. Test files that need it at the same time wait for the first. */
export const build = (): Promise<void> =>
  alone('build', () => {
    if (isStale()) execFileSync(process.execPath, ['build.mjs'], { cwd: root });
  });

const OUTPUTS = ['cli.mjs', 'server.mjs', 'worker.mjs', 'probe.mjs', 'extension.cjs', 'panel.js'];
const SOURCES = ['server', 'src', 'webview'];

function isStale(): boolean {
  const outputs = OUTPUTS.map((name) =>
    fs.statSync(path.join(root, 'dist', name), { throwIfNoEntry: false }),
  );
  if (outputs.some((stat) => !stat)) return true;
  const built = Math.min(...outputs.map((stat) => stat!.mtimeMs));
  const sources = SOURCES.flatMap((name) =>
    fs.readdirSync(path.join(root, name), { recursive: true, withFileTypes: true }),
  );
  return sources.some(
    (entry) => entry.isFile() && fs.statSync(path.join(entry.parentPath, entry.name)).mtimeMs > built,
  );
}

/** A folder that is deleted after the tests of the file. */
export function scratch(): string {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-')));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface StartOptions {
  cwd?: string;
  program?: string;
  /** Set beside the environment of the tests. */
  env?: Record<string, string>;
  /** A signal to send once the output so far contains a text. */
  kill?: { signal: NodeJS.Signals; when: string; onSent?: () => void };
}

/** Runs the command line to its end. */
export function cca(line: readonly string[], options: StartOptions = {}): Promise<Outcome> {
  const { cwd = os.tmpdir(), program = CLI, env, kill } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...line], { cwd, env: { ...process.env, ...env } });
    const outcome = { stdout: '', stderr: '' };
    let killed = false;
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        outcome[stream] += text;
        if (kill && !killed && outcome[stream].includes(kill.when)) {
          killed = child.kill(kill.signal);
          kill.onSent?.();
        }
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...outcome }));
  });
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the command says
type Event = Record<string, any>;

/** Runs a command that must succeed, with --json: its events, the result last. */
export async function events(line: readonly string[], options: StartOptions = {}): Promise<Event[]> {
  const { code, stdout, stderr } = await cca([...line, '--json'], options);
  if (code !== 0 || stderr !== '') throw new Error(`cca ${line.join(' ')}: exit code ${code}\n${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text));
}

/** Runs a command that must succeed: its result. */
export async function result(line: readonly string[], options: StartOptions = {}): Promise<Event> {
  const last = (await events(line, options)).at(-1);
  if (last?.event !== 'result') throw new Error(`cca ${line.join(' ')}: the last event is ${last?.event}`);
  return last;
}
