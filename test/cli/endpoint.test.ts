import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadDemo } from '../endpoint/demo.ts';
import { FakeServer } from '../endpoint/server.ts';
import { build, cca, result, scratch } from './built.ts';

const KEY = 'sk-test-4f1c9a7e';
const demo = path.resolve(import.meta.dirname, '../../media/demo');
const root = scratch();
const at = (...names: string[]) => path.join(root, ...names);
const problems = path.join(demo, 'data/train.jsonl');
const model = ['--model', path.join(demo, 'model'), '--threads', '1'];
const generate = ['generate', ...model, '--problems', problems, '--limit', '70', '--samples', '1'];
const lines = (...names: string[]) =>
  fs
    .readFileSync(at(...names), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

let server: FakeServer;
let endpoint: string[];

beforeAll(async () => {
  await build();
  process.env.CCA_TEST_KEY = KEY;
  server = await FakeServer.start(await loadDemo(), { key: KEY });
  endpoint = ['--endpoint', server.url, '--endpoint-model', 'demo', '--endpoint-key-env', 'CCA_TEST_KEY'];
});
afterEach(() => {
  server.options = { key: KEY };
  server.bodies.length = 0;
});
afterAll(() => server.close());

/** Every byte that a run has left. */
const left = (folder: string) =>
  fs
    .readdirSync(at(folder))
    .map((name) => fs.readFileSync(at(folder, name), 'latin1'))
    .join('');

test('traces come from the server; the key is in no file and no output', async () => {
  const { code, stdout, stderr } = await cca([...generate, ...endpoint, '--out', at('served'), '--json']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`"text":"endpoint ${server.url}/v1: demo, prompts as token ids"`);
  await result([...generate, '--out', at('here')]);
  const greedy = (folder: string) =>
    lines(folder, 'traces.jsonl').flatMap((trace) =>
      trace.decoding.strategy === 'greedy' ? [[trace.id, trace.completion_ids, trace.correct]] : [],
    );
  expect(greedy('served')).toEqual(greedy('here'));
  expect(lines('served', 'traces.jsonl')[0].decoding).toMatchObject({ endpoint: 'demo', ids: 'returned' });
  const { stages } = JSON.parse(fs.readFileSync(at('served', 'manifest.json'), 'utf8'));
  expect(stages.generate.endpoint).toEqual({ model: 'demo' });
  expect(left('served') + stdout + stderr).not.toContain(KEY);
  const notes = lines('served', 'journal.jsonl').flatMap((event) => (event.note ? [event.note] : []));
  expect(notes).toEqual([{ endpoint: { url: `${server.url}/v1`, model: 'demo' } }]);
});

test('killed and begun again, it asks only for what is missing and leaves the same bytes', async () => {
  const line = [...generate, ...endpoint, '--endpoint-concurrency', '2', '--json', '--out', at('killed')];
  const killed = await cca(line, { kill: { signal: 'SIGKILL', when: '"done":32' } });
  expect(killed.code).not.toBe(0);
  const before = server.bodies.length;
  // Elsewhere by now: the address is no part of what a run is.
  const moved = await FakeServer.start(await loadDemo(), { key: KEY });
  await result(
    line
      .slice(0, -3)
      .map((word) => (word === server.url ? moved.url : word))
      .concat('--out', at('killed')),
  );
  expect(before).toBeGreaterThan(32);
  expect(moved.bodies.length).toBeLessThan(2 * 70 + 1 - 32);
  await moved.close();
  expect(
    fs.readFileSync(at('killed', 'traces.jsonl')).equals(fs.readFileSync(at('served', 'traces.jsonl'))),
  ).toBe(true);
});

test('an experiment file names it, for traces and branches', async () => {
  const experiment = {
    model: path.join(demo, 'model'),
    problems: { train: problems, val: problems, test: problems },
    text: [path.join(demo, 'data/text.jsonl')],
    limit: 24,
    threads: 1,
    settings: { generate: { samples: 2 } },
    endpoint: { url: server.url, model: 'demo', concurrency: 8, apiKeyEnv: 'CCA_TEST_KEY' },
  };
  fs.writeFileSync(at('experiment.json'), JSON.stringify(experiment));
  const line = ['run', '--experiment', at('experiment.json'), '--out', at('run'), '--until', 'localize'];
  await result(line);
  const traces = lines('run', 'traces.jsonl').length;
  const pairs = lines('run', 'pairs.jsonl').length;
  expect(pairs).toBeGreaterThan(5);
  // The trial of each stage, every trace, and at least one branch for every pair.
  expect(server.bodies.length).toBeGreaterThanOrEqual(2 + traces + pairs);
  expect(left('run')).not.toContain(KEY);
});

test('what cannot work is one line', async () => {
  const refused = async (options: string[]) => {
    const { code, stderr } = await cca([...generate, ...options, '--out', at('refused')]);
    expect(code).toBe(2);
    expect(stderr).not.toContain(KEY);
    return stderr.trimEnd().split('\n').at(-1);
  };
  expect(await refused(['--endpoint', server.url])).toContain('--endpoint-model NAME');
  expect(await refused(['--endpoint-concurrency', '8'])).toContain('Add --endpoint URL');
  expect(await refused(['--endpoint', server.url, '--endpoint-model', 'llama'])).toMatch(/refuses access/);
  const keyed = ['--endpoint-key-env', 'CCA_TEST_KEY', '--endpoint', server.url];
  expect(await refused([...keyed, '--endpoint-model', 'llama'])).toMatch(
    /does not serve "llama" \(it serves "demo", "other"\)/,
  );
  const { code } = await cca(['runs', 'show', at('refused')]);
  expect(code).toBe(0);
  expect(left('refused')).not.toContain(KEY);
});
