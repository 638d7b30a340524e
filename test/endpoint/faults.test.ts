import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import type { Problem, Trace } from '../../server/data/records.ts';
import { backOff, retryAfter } from '../../server/endpoint/faults.ts';
import type { EndpointSettings } from '../../server/endpoint/settings.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { greedyTraces } from '../../server/generate/traces.ts';
import type { Model } from '../../server/model/model.ts';
import { generateDefaults } from '../../server/pipeline/settings.ts';
import { demoProblems, loadDemo, reach } from './demo.ts';
import { type Body, FakeServer, type Fault } from './server.ts';

const hooks = { signal: neverAborted };
let model: Model;
let problems: Problem[];
let here: Trace[];
let server: FakeServer;

beforeAll(async () => {
  model = await loadDemo();
  problems = await demoProblems('test', 8);
  here = await greedyTraces(await Runner.create(model), problems, generateDefaults, hooks);
  server = await FakeServer.start(model);
});
afterEach(async () => {
  // What was given up may still arrive.
  await new Promise((go) => setTimeout(go, 50));
  server.options = {};
  server.bodies.length = 0;
  server.times.length = 0;
  server.keys.length = 0;
});
afterAll(() => server.close());

const ids = (traces: readonly Trace[]) => traces.map((trace) => trace.completion_ids);
const complete = async (settings: Partial<EndpointSettings> = {}, notices: string[] = []) =>
  greedyTraces(await reach(model, server.url, settings, { notices }), problems, generateDefaults, hooks);

/** The one line that a user sees. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).not.toContain('\n');
  return error.message;
}

describe('a fault that passes leaves the same traces', () => {
  const faults: Record<string, Fault> = {
    '429 at once': { status: 429, headers: { 'retry-after': '0' } },
    500: { status: 500, body: '{"error": {"message": "CUDA error"}}' },
    '502 of a proxy': {
      status: 502,
      body: '<html>Bad Gateway</html>',
      headers: { 'content-type': 'text/html' },
    },
    '503': { status: 503 },
    'no answer that is JSON': { status: 200, body: '{"choices": [{"text": " 2' },
    'an answer of another kind': { status: 200, body: '["text"]' },
    'an empty answer': { status: 200, body: '' },
    'cut before the first token': { after: 0, how: 'cut' },
    'cut in the middle of a stream': { after: 5, how: 'cut' },
    'a stream that ends too soon': { after: 5, how: 'end' },
    'half an event': { after: 5, how: 'garbage' },
    'an error within a stream': { after: 5, how: 'error' },
    'given up by the server': { after: 5, how: 'abort' },
  };

  test.each(Object.keys(faults))('%s', async (name) => {
    // Every request fails the first time, the trial among them.
    const seen = new Set<string>();
    const isNew = (body: Body) => seen.size < seen.add(JSON.stringify(body)).size;
    server.options = { fault: (_, body) => (isNew(body) ? faults[name] : undefined) };
    expect(ids(await complete())).toEqual(ids(here));
    expect(server.bodies.length).toBeGreaterThanOrEqual(2 * problems.length);
    // A request that is sent again is the same request: its sample would be the same.
    const asked = new Set(server.bodies.filter((body) => body.stream).map((body) => JSON.stringify(body)));
    expect(asked.size).toBe(problems.length);
  });

  test.each([
    ['before the answer', { silence: 1500 }],
    ['in the middle of a stream', { after: 5, how: 'silence' }],
  ] as const)('silence %s is ended by the timeout', async (_, fault) => {
    server.options = { fault: (n) => (n === 2 ? fault : undefined) };
    expect(ids(await complete({ timeout: 1 }))).toEqual(ids(here));
    // More where a busy machine was silent of itself.
    expect(server.bodies.length).toBeGreaterThanOrEqual(problems.length + 2);
  });

  test('a slow answer that keeps coming is not a silent one', async () => {
    server.options = { pause: 60 };
    const short = problems.slice(0, 2);
    const completer = await reach(model, server.url, { timeout: 1 });
    const served = await greedyTraces(completer, short, generateDefaults, hooks);
    expect(ids(served)).toEqual(ids(here).slice(0, 2));
    expect(server.bodies.length).toBe(3);
  });
});

describe('Retry-After', () => {
  test('is waited for, by the other requests too', async () => {
    server.options = {
      fault: (n) => (n === 1 ? { status: 429, headers: { 'retry-after': '1' } } : undefined),
    };
    const completer = await reach(model, server.url, { concurrency: 1 });
    expect(ids(await greedyTraces(completer, problems, generateDefaults, hooks))).toEqual(ids(here));
    const [, refused, next] = server.times;
    expect(next! - refused!).toBeGreaterThan(990);
  });

  test('may be seconds or a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfter('7', now)).toBe(7000);
    expect(retryAfter('0.5', now)).toBe(500);
    expect(retryAfter('Thu, 01 Jan 2026 00:01:30 GMT', now)).toBe(90_000);
    expect(retryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
    expect([retryAfter('soon', now), retryAfter(null, now)]).toEqual([null, null]);
  });

  test('of more than an hour is told, not waited for', async () => {
    server.options = {
      fault: (_, { stream }) => (stream ? { status: 429, headers: { 'retry-after': '7200' } } : undefined),
    };
    expect(await refusal(complete())).toMatch(/HTTP 429.*finished work is kept/);
  });
});

test('the wait doubles up to the longest, by half of it at random', () => {
  const pace = { first: 100, longest: 1000 };
  for (const [failures, full] of [
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1000],
    [30, 1000],
  ] as const) {
    const waits = Array.from({ length: 200 }, () => backOff(failures, pace, null));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(full / 2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(full);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(full / 4);
  }
  expect(backOff(1, pace, 5000)).toBe(5000);
});

describe('a fault that stays ends everything with one line', () => {
  test('500, after as many tries as are set', async () => {
    server.options = {
      fault: (_, { stream }) => (stream ? { status: 500, body: 'out of\nmemory' } : undefined),
    };
    const notices: string[] = [];
    const message = await refusal(complete({ retries: 3, concurrency: 2 }, notices));
    expect(message).toMatch(
      /^endpoint http.*\/v1: HTTP 500: out of memory, 4 times in a row\. .*finished work/,
    );
    expect(notices.some((notice) => notice.startsWith('warning: endpoint'))).toBe(true);
    // Two in flight of four tries each at most: the others are not begun.
    expect(server.bodies.length).toBeLessThanOrEqual(9);
  });

  test('a prompt that is too long for the server', async () => {
    server.options = { context: 200 };
    const message = await refusal(complete());
    expect(message).toMatch(/refuses a request \(HTTP 400: .*maximum context length is 200.*--max-tokens/);
    expect(server.bodies.length).toBeLessThanOrEqual(1 + 4);
  });

  test('no server: at once', async () => {
    const gone = await FakeServer.start(model);
    await gone.close();
    const begun = performance.now();
    expect(await refusal(reach(model, gone.url, { retries: 1000 }))).toMatch(/no answer \(ECONNREFUSED\)/);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test('a server that goes away meanwhile', async () => {
    const gone = await FakeServer.start(model, { pause: 5 });
    const completer = await reach(model, gone.url, { retries: 2 });
    const work = greedyTraces(completer, problems, generateDefaults, hooks);
    setTimeout(() => void gone.close(), 60);
    expect(await refusal(work)).toMatch(/ECONNREFUSED|was cut/);
  });

  test('a server that sends on', async () => {
    server.options = {
      fault: () => ({ status: 307, headers: { location: 'http://127.0.0.1:9/v1/completions' } }),
    };
    expect(await refusal(complete())).toMatch(/sends on to another address \(HTTP 307\)/);
  });
});

describe('another model, or another tokenizer', () => {
  test('a name that the server does not list', async () => {
    server.options = { name: 'llama-70b' };
    expect(await refusal(reach(model, server.url))).toMatch(
      /does not serve "demo" \(it serves "llama-70b", "other"\).*--endpoint-model/,
    );
    expect(server.bodies).toEqual([]);
  });

  test('a server without a list that does not know the name', async () => {
    server.options = { dialect: 'plain', name: 'llama-70b' };
    expect(await refusal(reach(model, server.url))).toMatch(
      /does not serve "demo" \(HTTP 404: .*does not exist/,
    );
  });

  test.each([
    ['counts another number of tokens', (answer: Body) => answer.usage && answer.usage.prompt_tokens++],
    ['has other ids in the prompt', ({ choices: [choice] }: Body) => choice.prompt_token_ids?.reverse()],
    [
      'means other tokens by its ids',
      ({ choices: [choice] }: Body) => {
        choice.token_ids = choice.token_ids?.map((id: number) => id + 1);
      },
    ],
    [
      'has ids that are none here',
      ({ choices: [choice] }: Body) => {
        choice.token_ids = choice.token_ids?.map((id: number) => id + 100_000);
      },
    ],
  ])('a tokenizer that %s', async (_, change) => {
    server.options = { change };
    expect(await refusal(reach(model, server.url))).toMatch(
      /its tokenizer is not this model's\. Serve the model/,
    );
    expect(server.bodies).toHaveLength(1);
  });
});

describe('the API key', () => {
  const KEY = 'sk-very-secret-0123';
  afterEach(() => {
    delete process.env.CCA_TEST_KEY;
  });

  test('comes from the environment and is sent with every request', async () => {
    server.options = { key: KEY };
    process.env.CCA_TEST_KEY = KEY;
    expect(ids(await complete({ apiKeyEnv: 'CCA_TEST_KEY' }))).toEqual(ids(here));
    expect(new Set(server.keys)).toEqual(new Set([`Bearer ${KEY}`]));
  });

  test('is not sent unless named', async () => {
    await complete();
    expect(new Set(server.keys)).toEqual(new Set([undefined]));
    server.options = { key: KEY };
    expect(await refusal(complete())).toMatch(/refuses access \(HTTP 401.*--endpoint-key-env/);
  });

  test('is not in a message that repeats it', async () => {
    server.options = { key: 'another' };
    process.env.CCA_TEST_KEY = KEY;
    const message = await refusal(complete({ apiKeyEnv: 'CCA_TEST_KEY' }));
    expect(message).toMatch(/Incorrect API key: Bearer \*\*\*.*environment variable CCA_TEST_KEY/);
    expect(message).not.toContain(KEY);
  });

  test.each([
    ['is not set', undefined],
    ['is not set', '  '],
    ['holds characters that a key cannot have', `${KEY}\n${KEY}`],
  ])('a variable that %s', async (what, value) => {
    if (value !== undefined) process.env.CCA_TEST_KEY = value;
    const message = await refusal(complete({ apiKeyEnv: 'CCA_TEST_KEY' }));
    expect(message).toContain(`environment variable CCA_TEST_KEY: ${what}`);
    expect(message).not.toContain(KEY);
  });

  test.each([
    'http://user:hush@host/v1',
    'https://host/v1?api_key=hush',
    'ftp://hush',
    'hush:8000',
    'http://',
  ])('an address with a secret in it, or that is none, is not repeated: %s', async (url) => {
    const message = await refusal(reach(model, url));
    expect(message).toMatch(/^endpoint url: /);
    expect(message).not.toContain('hush');
  });
});

test('many requests that wait at once are nothing to warn of', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on('warning', note);
  const seen = new Set<string>();
  const isNew = (body: Body) => seen.size < seen.add(JSON.stringify(body)).size;
  server.options = {
    fault: (_, body) => (isNew(body) ? { status: 429, headers: { 'retry-after': '0.2' } } : undefined),
  };
  const many = await demoProblems('val', 24);
  const completer = await reach(model, server.url, { concurrency: 24 });
  await greedyTraces(completer, many, { ...generateDefaults, maxTokens: 2 }, hooks);
  await new Promise((go) => setImmediate(go));
  process.off('warning', note);
  expect(server.mostAtOnce).toBeGreaterThan(11);
  expect(warnings).toEqual([]);
});

test('cancelling ends what is under way', async () => {
  server.options = { pause: 50 };
  const signal = { aborted: false };
  const completer = await reach(model, server.url, {}, { signal });
  setTimeout(() => {
    signal.aborted = true;
  }, 150);
  const begun = performance.now();
  await expect(greedyTraces(completer, problems, generateDefaults, { signal })).rejects.toThrow(Cancelled);
  expect(performance.now() - begun).toBeLessThan(5000);
  await expect(greedyTraces(completer, problems, generateDefaults, { signal })).rejects.toThrow(Cancelled);
});
