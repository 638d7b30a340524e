import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import { workspace } from './harness.ts';

const root = workspace();
const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

beforeAll(async () => {
  const entryPoints = { slow: 'test/cli/worker.ts', cca: 'server/cli/main.ts' };
  await build({
    entryPoints,
    outdir: root,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['onnxruntime-node'],
    banner: { js: banner },
  });
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a bundle in the workspace; `watch` sees each piece of stdout and may send signals. */
function start(
  script: string,
  line: string[],
  watch: (kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  return new Promise<Outcome>((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(root, script), ...line], { cwd: root });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
      watch((signal) => child.kill(signal));
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function generate(samples: number, out: string, ...more: string[]): string[] {
  const inputs = ['--model', 'model', '--problems', 'problems.jsonl'];
  return ['generate', ...inputs, '--samples', String(samples), '--out', out, '--json', ...more];
}

/** Sends the signals one after another, each when more output has come. */
function signals(...list: NodeJS.Signals[]): (kill: (signal: NodeJS.Signals) => void) => void {
  return (kill) => {
    const signal = list.shift();
    if (signal) kill(signal);
  };
}

// Windows has no signals to send.
const posix = test.skipIf(process.platform === 'win32');

posix(
  'Ctrl-C keeps finished work and says how to go on; the same command ends as if nothing had been',
  async () => {
    const stopped = await start('slow.mjs', generate(40, 'my run', '--fresh'), signals('SIGINT'));
    expect(stopped.code).toBe(130);
    const lines = stopped.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('finished work is kept');
    expect(lines[1]).toContain(
      "Resume with: cca generate --model model --problems problems.jsonl --samples 40 --out 'my run'",
    );
    expect(lines[1]).not.toContain('--fresh');
    expect(JSON.parse(stopped.stdout.trimEnd().split('\n').at(-1)!).event).toBe('cancelled');
    const kept = fs
      .readFileSync(path.join(root, 'my run', 'traces.jsonl'), 'utf8')
      .trimEnd()
      .split('\n').length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(40);
    expect(fs.existsSync(path.join(root, 'my run', 'run.lock'))).toBe(false);

    const resumed = await start('slow.mjs', generate(40, 'my run'));
    expect([resumed.code, resumed.stderr]).toEqual([0, '']);
    await start('slow.mjs', generate(40, 'straight'));
    expect(fs.readFileSync(path.join(root, 'my run', 'traces.jsonl'))).toEqual(
      fs.readFileSync(path.join(root, 'straight', 'traces.jsonl')),
    );
  },
);

posix('a second Ctrl-C stops a command that does not listen, and frees the run folder', async () => {
  const stopped = await start(
    'slow.mjs',
    generate(1000, 'deaf', '--stop', 'deaf'),
    signals('SIGINT', 'SIGINT'),
  );
  expect(stopped.code).toBe(130);
  expect(stopped.stdout.split('\n').length).toBeLessThan(500);
  expect(fs.existsSync(path.join(root, 'deaf', 'run.lock'))).toBe(false);
});

posix('SIGTERM, as batch systems send it, cancels in the same way', async () => {
  const stopped = await start('slow.mjs', generate(1000, 'term'), signals('SIGTERM'));
  expect(stopped.code).toBe(143);
  expect(stopped.stderr).toContain('Resume with: cca generate');
});

test('a folder in use is refused with exit code 2', async () => {
  let second: Promise<Outcome> | undefined;
  const first = await start('slow.mjs', generate(60, 'shared'), () => {
    second ??= start('slow.mjs', generate(60, 'shared'));
  });
  expect(first.code).toBe(0);
  const { code, stderr } = await second!;
  expect(code).toBe(2);
  expect(stderr).toMatch(/^cca generate: .*run\.lock: the run is being written by process \d+ .*\n$/);
});

test('the shipped program lists, shows, compares and deletes runs', async () => {
  for (const [name, gain] of [
    ['a', 0.25],
    ['b', 0.5],
  ] as const) {
    await start('slow.mjs', generate(2, `runs/${name}`));
    fs.writeFileSync(
      path.join(root, 'runs', name, 'report.json'),
      JSON.stringify({ target: { gain }, seed: 7 }),
    );
  }
  const list = await start('cca.mjs', ['runs', 'list', 'runs']);
  expect([list.code, list.stderr]).toEqual([0, '']);
  expect(list.stdout).toMatch(/^run +status +created \(UTC\) +time +stages\n/);
  expect(list.stdout).toMatch(/^a +finished +\d{4}-\d\d-\d\d \d\d:\d\d +\d+\.\d s +1 of 1$/m);

  const show = await start('cca.mjs', ['runs', 'show', 'runs/a']);
  expect(show.stdout).toMatch(/^generate +finished +2 +\d+\.\d s +\{"samples":2\}$/m);
  expect(show.stdout).toMatch(/^traces\.jsonl +16 B$/m);
  const data = JSON.parse((await start('cca.mjs', ['runs', 'show', 'runs/a', '--json'])).stdout);
  expect([data.event, data.run.status, data.run.report.target.gain]).toEqual(['result', 'finished', 0.25]);

  const compare = await start('cca.mjs', ['runs', 'compare', 'runs/a', 'runs/b']);
  expect(compare.stdout).toMatch(/^a has no answers yet \(finished: generate\)\nb has no answers yet/m);
  expect(compare.stdout).toMatch(/^the settings are the same$/m);

  fs.rmSync(path.join(root, 'runs', 'a', 'report.json'));
  const removed = await start('cca.mjs', ['runs', 'delete', 'runs/a']);
  expect(removed.stdout).toBe(`deleted ${path.join(fs.realpathSync(root), 'runs', 'a')}\n`);
  const kept = await start('cca.mjs', ['runs', 'delete', 'runs/b']);
  expect(kept.stdout).toContain('not made by the run and kept: report.json');
  const gone = await start('cca.mjs', ['runs', 'show', 'runs/b']);
  expect([gone.code, gone.stdout]).toEqual([2, '']);
  expect(gone.stderr).toMatch(/^cca runs show: .*is not a run folder.*\n$/);
});
