import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { launchOf, start } from '../../src/server/launch.ts';
import { Restarts } from '../../src/server/restarts.ts';

const settings = {
  node: '',
  command: [],
  editorNode: '/editor/helper',
  script: '/x/server.mjs',
  apiKey: undefined,
};

describe('launch', () => {
  test('the editor’s own Node acts as Node', () => {
    const { command, args, env } = launchOf(settings);
    expect([command, ...args]).toEqual(['/editor/helper', '/x/server.mjs', '--stdio']);
    expect(env).toEqual({ ORT_DISABLE_TELEMETRY: '1', ELECTRON_RUN_AS_NODE: '1' });
  });

  test('another Node needs no such switch', () => {
    const { command, args, env } = launchOf({ ...settings, node: '/opt/node' });
    expect([command, ...args]).toEqual(['/opt/node', '/x/server.mjs', '--stdio']);
    expect(env).not.toHaveProperty('ELECTRON_RUN_AS_NODE');
  });

  test('a command is taken as it is, before all else', () => {
    const { command, args } = launchOf({
      ...settings,
      node: '/opt/node',
      command: ['ssh', 'box', 'node a b'],
    });
    expect([command, ...args]).toEqual(['ssh', 'box', 'node a b']);
  });

  test('the key of an endpoint is in the environment and nowhere else', () => {
    const { command, args, env } = launchOf({ ...settings, apiKey: 'k-1' });
    expect(env.CCA_ENDPOINT_API_KEY).toBe('k-1');
    expect([command, ...args].join(' ')).not.toContain('k-1');
  });

  test('a program that is not there is one line with what to do', async () => {
    const missing = launchOf({ ...settings, node: '/not/there/node' });
    await expect(start(missing)).rejects.toThrow(
      '/not/there/node: there is no such program; check the settings engine.node and engine.command',
    );
  });

  test('starts the program with its environment', async () => {
    const script =
      'process.stdout.write(String(process.env.CCA_ENDPOINT_API_KEY) + process.env.NODE_OPTIONS)';
    process.env.NODE_OPTIONS = '--no-warnings';
    const child = await start({
      command: process.execPath,
      args: ['-e', script],
      env: { CCA_ENDPOINT_API_KEY: 'k' },
    });
    delete process.env.NODE_OPTIONS;
    let out = '';
    child.stdout!.on('data', (chunk) => {
      out += chunk;
    });
    await once(child, 'close');
    expect(out).toBe('kundefined');
  });
});

describe('restarts', () => {
  test('wait longer each time, then give up', () => {
    const restarts = new Restarts();
    expect([0, 1000, 2000, 3000].map((now) => restarts.next(now))).toEqual([500, 2000, 8000, null]);
  });

  test('crashes that are far apart are unrelated', () => {
    const restarts = new Restarts();
    expect([0, 200_000, 400_000, 600_000].map((now) => restarts.next(now))).toEqual([500, 500, 500, 500]);
  });

  test('a start by hand begins anew', () => {
    const restarts = new Restarts();
    for (const now of [0, 1, 2, 3]) restarts.next(now);
    restarts.forget();
    expect(restarts.next(4)).toBe(500);
  });
});
