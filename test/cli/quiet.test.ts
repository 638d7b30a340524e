import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, CLI, fixture, scratch } from './built.ts';

const root = scratch();

beforeAll(build);

/** Every file below a folder. */
function files(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .flatMap((e) => (e.isFile() ? [e.name] : []));
}

// The runtime's telemetry, where it is on, leaves its logs in the temporary folder and its state in the home folder.
test.each([
  ['score', ['score', '--model', fixture('llama-tied'), '--text', 'The answer is 12.']],
  ['devices', ['devices']],
])('%s leaves nothing behind in the home and temporary folders', (name, args) => {
  const home = path.join(root, name, 'home');
  const temporary = path.join(root, name, 'tmp');
  for (const folder of [home, temporary]) fs.mkdirSync(folder, { recursive: true });
  const { ORT_DISABLE_TELEMETRY: _, ...inherited } = process.env;
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    env: { ...inherited, HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: path.join(home, '.cache') },
    encoding: 'utf8',
  });
  expect(stderr).not.toMatch(/Error/);
  expect(status).toBe(0);
  expect([...files(home), ...files(temporary)]).toEqual([]);
});
