import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as jobs from '../../server/protocol/jobs.ts';
import { build, scratch } from '../cli/built.ts';
import { loadDemo } from '../endpoint/demo.ts';
import { FakeServer } from '../endpoint/server.ts';
import { Editor } from './client.ts';
import { job, tinyExperiment } from './tiny.ts';

const KEY = 'sk-test-93b1';
const folder = scratch();
let server: FakeServer;
let editor: Editor;

beforeAll(async () => {
  await build();
  server = await FakeServer.start(await loadDemo(), { key: KEY });
  editor = await new Editor(undefined, { CCA_ENDPOINT_API_KEY: KEY }).start(
    { storage: path.join(folder, 'storage') },
    [folder],
  );
});
afterAll(async () => {
  await editor.stop();
  server.close();
});

test('a job from the editor sends the stored key to the experiment’s server, and writes it nowhere', async () => {
  const endpoint = { url: server.url, model: 'demo', concurrency: 4 };
  const experiment = tinyExperiment(folder, { endpoint, limit: 4 });
  const { id } = await editor.ask(jobs.start, job(experiment, { until: 'generate' }));
  const ended = await editor.when(jobs.changed, (one) => one.id === id && one.state !== 'running');
  expect(ended).toMatchObject({ state: 'finished', error: null });
  expect(new Set(server.keys)).toEqual(new Set([`Bearer ${KEY}`]));
  const files = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(5);
  for (const { parentPath, name } of files) {
    expect(fs.readFileSync(path.join(parentPath, name), 'latin1')).not.toContain(KEY);
  }
});
