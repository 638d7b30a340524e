import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import type { Problem, Trace } from '../../server/data/records.ts';
import { completerOf } from '../../server/generate/completer.ts';
import { Runner } from '../../server/generate/forward.ts';
import { encodePrompts, greedyTraces, sampledTraces } from '../../server/generate/traces.ts';
import { branchingPairs, contrasts } from '../../server/localize/localize.ts';
import type { Model } from '../../server/model/model.ts';
import { makeRunners } from '../../server/pipeline/context.ts';
import { generateDefaults } from '../../server/pipeline/settings.ts';
import { demoProblems, loadDemo, reach } from './demo.ts';
import { type Dialect, FakeServer } from './server.ts';

const hooks = { signal: neverAborted };
let model: Model;
let problems: Problem[];
let here: Trace[];
let server: FakeServer;

beforeAll(async () => {
  model = await loadDemo();
  problems = await demoProblems('test', 12);
  here = await greedyTraces(await Runner.create(model), problems, generateDefaults, hooks);
  server = await FakeServer.start(model);
});
afterAll(() => server.close());

/** A trace without what tells where it was made. */
const bare = ({
  log_probabilities: _,
  decoding: { endpoint: __, ids: ___, ...decoding },
  ...trace
}: Trace) => ({
  ...trace,
  decoding,
});

describe('every dialect gives the traces that the model here gives', () => {
  const forms: Record<Dialect, { ids: string; prompt: string; told: boolean }> = {
    vllm: { ids: 'returned', prompt: 'token ids', told: true },
    'old-vllm': { ids: 'returned', prompt: 'token ids', told: true },
    'llama.cpp': { ids: 'returned', prompt: 'token ids', told: true },
    'llama-cpp-python': { ids: 'returned', prompt: 'text', told: true },
    'no-logits': { ids: 'encoded', prompt: 'text', told: false },
    openai: { ids: 'encoded', prompt: 'text', told: false },
    plain: { ids: 'encoded', prompt: 'token ids', told: false },
  };

  test.each(Object.keys(forms) as Dialect[])('%s', async (dialect) => {
    server.options = { dialect };
    server.bodies.length = 0;
    const notices: string[] = [];
    const completer = await reach(model, server.url, {}, { notices });
    const { ids, prompt, told } = forms[dialect];
    expect(notices).toEqual([expect.stringContaining(`demo, prompts as ${prompt}`)]);
    const served = await greedyTraces(completer, problems, generateDefaults, hooks);
    expect(served.map(bare)).toEqual(here);
    for (const { decoding, completion_ids, log_probabilities: told_ } of served) {
      expect(decoding).toEqual({ strategy: 'greedy', endpoint: 'demo', ids });
      if (told) expect(told_).toHaveLength(completion_ids.length);
      else expect(told_).toBeUndefined();
    }
    const isText = server.bodies.slice(-12).map((body) => typeof body.prompt === 'string');
    expect(new Set(isText)).toEqual(new Set([prompt === 'text']));
  });

  test('what would change the distribution is said, not left to the server', async () => {
    server.options = {};
    await greedyTraces(await reach(model, server.url), problems.slice(0, 1), generateDefaults, hooks);
    const neutral = { presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1, repeat_penalty: 1 };
    expect(server.bodies.at(-1)).toMatchObject({
      ...neutral,
      ...{ model: 'demo', temperature: 0, top_p: 1, top_k: model.config.vocabSize, min_p: 0, stream: true },
      max_tokens: generateDefaults.maxTokens,
    });
    // Prompts are ids of ours, also where their text has a special token in it.
    expect(server.bodies.at(-1)?.prompt).toEqual(here[0]!.prompt_ids);
  });
});

test('stop strings, the token limit and the end of text end a completion as they do here', async () => {
  const runner = await Runner.create(model);
  for (const options of [
    { ...generateDefaults, maxTokens: 7 },
    { ...generateDefaults, stop: { answer: true, strings: [' coins', '='] } },
    { ...generateDefaults, stop: { answer: false, strings: [] } },
  ]) {
    const own = await greedyTraces(runner, problems, options, hooks);
    for (const dialect of ['vllm', 'plain'] as const) {
      server.options = { dialect };
      const served = await greedyTraces(await reach(model, server.url), problems, options, hooks);
      expect(served.map(bare)).toEqual(own);
    }
  }
});

test('a completion that its stop rule ends is left, so that the server need not go on', async () => {
  server.options = { pause: 5 };
  server.left = 0;
  const options = { ...generateDefaults, stop: { answer: false, strings: [' *'] } };
  await greedyTraces(await reach(model, server.url), problems, options, hooks);
  await new Promise((go) => setTimeout(go, 100));
  expect(server.left).toBeGreaterThan(problems.length / 2);
});

test('samples depend on seed and problem alone, not on how many are asked for at once', async () => {
  server.options = {};
  const sample = async (concurrency: number, seed: number) => {
    server.bodies.length = 0;
    server.mostAtOnce = 0;
    const completer = await reach(model, server.url, { concurrency });
    const traces = await sampledTraces(
      completer,
      problems,
      here,
      { ...generateDefaults, samples: 3, counterparts: 3, topK: 50, topP: 0.9, seed },
      hooks,
    );
    expect(server.mostAtOnce).toBe(concurrency);
    return traces;
  };
  const one = await sample(1, 5);
  const seeds = server.bodies.slice(1).map((body) => body.seed);
  expect(new Set(seeds).size).toBe(seeds.length);
  expect(Math.max(...seeds)).toBeLessThan(2 ** 31);
  expect(server.bodies.at(-1)).toMatchObject({ top_k: 50, top_p: 0.9 });
  expect(await sample(6, 5)).toEqual(one);
  expect(await sample(6, 6)).not.toEqual(one);
  expect(one[0]!.decoding).toMatchObject({ strategy: 'sample', top_k: 50, seed: 5, endpoint: 'demo' });
});

describe('branches completed by a server', () => {
  test.each(['vllm', 'llama-cpp-python'] as const)('%s: the same pairs as here', async (dialect) => {
    server.options = { dialect };
    const train = await demoProblems('train', 24);
    const { shared } = await makeRunners(model, encodePrompts(model, train));
    const greedy = await greedyTraces(shared, train, generateDefaults, hooks);
    const options = { ...generateDefaults, seed: 7 };
    const sampled = await sampledTraces(shared, train, greedy, options, hooks);
    const all = contrasts([...greedy, ...sampled], 2);
    const own = await branchingPairs(shared, all, generateDefaults, hooks);
    server.bodies.length = 0;
    const completer = await reach(model, server.url);
    const served = await branchingPairs(shared, all, generateDefaults, { ...hooks, completer });
    expect(served).toEqual(own);
    expect(own.pairs.length).toBeGreaterThan(10);
    expect(server.bodies.length - own.report.completions).toBeLessThan(8);
  });
});

test('a server that takes text is not asked what text cannot say: that is completed here, or refused', async () => {
  server.options = { dialect: 'llama-cpp-python' };
  // Two halves of a word that is one token.
  const word = model.tokenizer.encode(' apples');
  const letters = [...' apples'].map((letter) => model.tokenizer.encode(letter)[0]!);
  expect([word.length, letters.length]).toEqual([1, 7]);
  const request = { ids: letters, sampling: { temperature: 0, topP: 1, topK: 0 }, maxTokens: 3 };
  const options = { batch: 1, stop: () => false, signal: neverAborted };
  const refusing = await reach(model, server.url);
  await expect(refusing.complete([request], options)).rejects.toThrow(/takes prompts only as text/);
  const otherwise = completerOf(await Runner.create(model));
  const { connect } = await import('../../server/endpoint/completer.ts');
  const { endpointDefaults } = await import('../../server/endpoint/settings.ts');
  const settings = { ...endpointDefaults, url: server.url, model: 'demo' };
  const completer = await connect(model, settings, word, {
    signal: neverAborted,
    notice: () => {},
    otherwise,
  });
  const done: number[] = [];
  const mixed = await completer.complete([request, { ...request, ids: word }], {
    ...options,
    onDone: (i) => done.push(i),
  });
  const [expected] = await otherwise.complete([request], options);
  expect(mixed[0]).toEqual(expected);
  expect(mixed[1]!.served?.model).toBe('demo');
  expect(done.sort()).toEqual([0, 1]);
});

describe('ids that only stand for a text are marked', () => {
  const marks = (traces: readonly Trace[]) => new Set(traces.map((trace) => trace.decoding.ids));

  test('the server counts other tokens', async () => {
    server.options = {
      dialect: 'llama-cpp-python',
      // Token texts that are no token's of ours, cut elsewhere than ours.
      change: ({ choices: [choice] }) => {
        const tokens: string[] | undefined = choice.logprobs?.tokens;
        if (tokens) choice.logprobs.tokens = tokens.flatMap((token) => [`${token.slice(0, 1)}\u00a7`, token]);
      },
    };
    const served = await greedyTraces(await reach(model, server.url), problems, generateDefaults, hooks);
    expect(marks(served)).toEqual(new Set(['recut']));
    expect(served.map((trace) => trace.text)).toEqual(here.map((trace) => trace.text));
  });

  test('ids are missing in the middle (bytes of one character), so the text decides', async () => {
    let piece = 0;
    server.options = {
      change: ({ choices: [choice] }) => {
        if (choice.finish_reason === null && piece++ % 5 === 3) {
          delete choice.token_ids;
          choice.logprobs = null;
        }
      },
    };
    const served = await greedyTraces(await reach(model, server.url), problems, generateDefaults, hooks);
    expect(served.map((trace) => trace.completion_ids)).toEqual(here.map((trace) => trace.completion_ids));
    expect(marks(served)).toContain('encoded');
  });
});
