/** A real server's own words: llama-cpp-python serving the demo model as a float32 GGUF (record.ts, make_gguf.py). */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { greedyTraces } from '../../server/generate/traces.ts';
import { generateDefaults } from '../../server/pipeline/settings.ts';
import { demoProblems, loadDemo, reach } from './demo.ts';

interface Exchange {
  url: string;
  body: unknown;
  status: number;
  type: string;
  text: string;
}

const COUNT = 120;
const recording = gunzipSync(fs.readFileSync(new URL('llama-cpp-python.jsonl.gz', import.meta.url)));
const [head, ...exchanges] = recording
  .toString()
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line)) as [{ about: string }, ...Exchange[]];
const keyOf = (url: string, body: unknown) => `${url} ${JSON.stringify(body)}`;
const answers = new Map(exchanges.map((exchange) => [keyOf(exchange.url, exchange.body), exchange]));

/** Says what was recorded, and nothing to what was not asked then. */
const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const answer = answers.get(keyOf(request.url!, body && JSON.parse(body)));
  response.writeHead(answer?.status ?? 418, { 'content-type': answer?.type ?? 'text/plain' });
  response.end(answer?.text ?? 'this was not recorded');
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test('the greedy traces of a real server are those of the model here', async () => {
  expect(head.about).toMatch(/^llama-cpp-python \d/);
  const model = await loadDemo();
  const problems = await demoProblems('test', COUNT);
  const notices: string[] = [];
  const completer = await reach(model, url, {}, { notices });
  // It fails on prompts as ids, twice in each of four forms, so it is asked with text; token texts tell the ids.
  expect(exchanges.filter(({ status }) => status === 500)).toHaveLength(8);
  expect(notices).toEqual([expect.stringContaining('prompts as text, its token ids checked')]);
  const signal = neverAborted;
  const served = await greedyTraces(completer, problems, generateDefaults, { signal });
  const own = await greedyTraces(await Runner.create(model), problems, generateDefaults, { signal });
  const same = served.filter((trace, i) => `${trace.completion_ids}` === `${own[i]!.completion_ids}`);
  expect(same.length).toBe(COUNT);
  expect(new Set(served.map(({ decoding }) => decoding.ids))).toEqual(new Set(['returned']));
  expect(served.map(({ answer, correct }) => [answer, correct])).toEqual(
    own.map(({ answer, correct }) => [answer, correct]),
  );
  for (const { log_probabilities: told, completion_ids: ids } of served) {
    expect(told).toHaveLength(ids.length);
    // Greedy: every token is the most probable one, so its probability is above that of one among all.
    for (const value of (told as (number | null)[]).slice(0, -1)) {
      expect(value).toBeGreaterThan(-Math.log(model.config.vocabSize));
    }
  }
});
