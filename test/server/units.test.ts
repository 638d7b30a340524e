import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../server/engine/client.ts';
import { Cancelled } from '../../server/errors.ts';
import { asStarted, commandLine, resumed } from '../../server/jobs/command-line.ts';
import { estimate } from '../../server/jobs/estimate.ts';
import { JobEvents, newState } from '../../server/jobs/job-events.ts';
import { Tail } from '../../server/jobs/tail.ts';
import { Throttle } from '../../server/jobs/throttle.ts';
import { EngineHost } from '../../server/lsp/engine-host.ts';
import { ScoreCache } from '../../server/lsp/score-cache.ts';
import { modelRef } from '../../server/lsp/services.ts';
import type { EngineStatus, ServerOptions } from '../../server/protocol/engine.ts';
import { scratch } from '../cli/built.ts';
import { model } from './client.ts';
import { job, tinyExperiment } from './tiny.ts';

const folder = scratch();
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Score {
  start: number;
  text: readonly number[];
}

/** An engine whose scores come one token at a time, and which can be made to crash. */
function fakeEngines() {
  const scored: Score[] = [];
  const crashes: ((error: Error) => void)[] = [];
  let ended = 0;
  const start = (onCrash: (error: Error) => void): Engine => {
    const failing: ((error: Error) => void)[] = [];
    crashes.push((error) => {
      for (const fail of failing) fail(error);
      onCrash(error);
    });
    return {
      call: (async (
        name: string,
        params: Score,
        options: { signal?: AbortSignal; onEvent?: (event: unknown) => void },
      ) => {
        if (name === 'load') return { device: 'cpu', reason: '', threads: 1 };
        scored.push(params);
        const { text, start: first } = params;
        const order = [...text.keys()].slice(first).concat([...text.keys()].slice(0, first));
        const crash = new Promise<never>((_, reject) => failing.push(reject));
        for (const at of order) {
          await Promise.race([pause(1), crash]);
          if (options.signal?.aborted) throw new Cancelled();
          const token = {
            id: text[at]!,
            text: '',
            start: 0,
            end: 0,
            logprob: -at,
            rank: 1,
            entropy: 0,
            top: [],
          };
          options.onEvent?.({ event: 'tokens', from: at, tokens: [token], done: 0, total: text.length });
        }
        return { tokens: [], logprob: 0, scored: 0 };
      }) as Engine['call'],
      close: async () => {
        ended++;
      },
    };
  };
  return { scored, crashes, start, closed: () => ended };
}

function hostOf(engines: ReturnType<typeof fakeEngines>) {
  const told: { statuses: EngineStatus[]; crashes: { reason: string; restarted: boolean }[] } = {
    statuses: [],
    crashes: [],
  };
  const host = new EngineHost({
    start: engines.start,
    onStatus: (status) => told.statuses.push(status),
    onCrash: (crash) => told.crashes.push(crash),
    backOff: [5, 5, 5, 5],
  });
  return { host, told };
}

describe('scores', () => {
  const question = (ids: readonly number[]) => ({
    model: { folder: model, device: 'cpu', threads: 1 } as const,
    patches: [],
    ids,
    topK: 1,
  });
  const ids = Array.from({ length: 40 }, (_, i) => 100 + i);

  /** Asks and notes the order in which tokens came. */
  function asked(cache: ScoreCache, start: number, signal = new AbortController().signal, of = ids) {
    const order: number[] = [];
    const answer = cache.score('doc', question(of), start, signal, (from, tokens) => {
      order.push(...tokens.map((_, k) => from + k));
    });
    return { order, answer };
  }

  test('begin at what is seen; every token is told once; a second question costs nothing', async () => {
    const engines = fakeEngines();
    const cache = new ScoreCache(hostOf(engines).host);
    const first = asked(cache, 30);
    await first.answer;
    expect(first.order[0]).toBe(30);
    expect([...first.order].sort((a, b) => a - b)).toEqual([...ids.keys()]);
    const second = asked(cache, 0);
    await second.answer;
    expect(second.order).toEqual([...ids.keys()]);
    expect(engines.scored).toHaveLength(1);
    expect(cache.known('doc', 3, ids)?.logprob).toBe(-3);
    expect(
      cache.known(
        'doc',
        3,
        ids.map((id) => id + 1),
      ),
    ).toBeNull();
  });

  test('two questions at once are one job; looking elsewhere turns it round, and nothing is lost', async () => {
    const engines = fakeEngines();
    const cache = new ScoreCache(hostOf(engines).host);
    const one = asked(cache, 0);
    await pause(15);
    const two = asked(cache, 35);
    await Promise.all([one.answer, two.answer]);
    expect(engines.scored.map(({ start }) => start)).toEqual([0, 35]);
    for (const { order } of [one, two]) expect([...order].sort((a, b) => a - b)).toEqual([...ids.keys()]);
    expect(two.order.indexOf(35)).toBeLessThan(two.order.indexOf(34));
  });

  test('when nobody waits any more the job stops, and what it has made is kept', async () => {
    const engines = fakeEngines();
    const cache = new ScoreCache(hostOf(engines).host);
    const controller = new AbortController();
    const one = asked(cache, 0, controller.signal);
    await pause(20);
    controller.abort();
    await expect(one.answer).rejects.toThrow(Cancelled);
    expect(one.order.length).toBeGreaterThan(0);
    expect(one.order.length).toBeLessThan(ids.length);
    const two = asked(cache, 0);
    await two.answer;
    expect(engines.scored[1]!.start).toBeGreaterThanOrEqual(one.order.length);
  });

  test('other tokens are another question, and the old job is stopped', async () => {
    const engines = fakeEngines();
    const cache = new ScoreCache(hostOf(engines).host);
    const old = asked(cache, 0);
    old.answer.catch(() => undefined);
    await pause(10);
    const next = asked(cache, 0, undefined, ids.slice(0, 10));
    await next.answer;
    expect(next.order).toEqual([...ids.slice(0, 10).keys()]);
  });
});

describe('the engine', () => {
  const load = { folder: model, device: 'cpu', threads: 1 } as const;

  test('starts when it is needed, crashes once for many calls, and starts again', async () => {
    const engines = fakeEngines();
    const { host, told } = hostOf(engines);
    expect(engines.crashes).toHaveLength(0);
    const params = { model: load, patch: null, text: [1, 2, 3, 4, 5, 6, 7, 8], topK: 1, start: 0 };
    const calls = [1, 2, 3].map(() => host.callOn('score', load, params));
    const failed = Promise.allSettled(calls);
    await pause(5);
    engines.crashes[0]!(new Error('the engine ended (exit code 9)'));
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(told.crashes).toEqual([{ reason: 'the engine ended (exit code 9)', restarted: true }]);
    await host.callOn('score', load, params);
    expect(engines.crashes).toHaveLength(2);
    await host.close();
    expect(engines.closed()).toBe(1);
  });

  test('a call that is cancelled while its model loads ends at once; the model is there for the next', async () => {
    let loaded = () => {};
    const loading = new Promise<void>((resolve) => {
      loaded = resolve;
    });
    let loads = 0;
    const engine = {
      call: (async (name: string) => {
        if (name !== 'load') return 'scored';
        loads++;
        await loading;
        return { device: 'cpu' };
      }) as Engine['call'],
      close: async () => {},
    };
    const host = new EngineHost({ start: () => engine, onStatus: () => {}, onCrash: () => {} });
    const params = { model: load, patch: null, text: [1], topK: 1, start: 0 };
    const controller = new AbortController();
    const cancelled = host.callOn('score', load, params, { signal: controller.signal });
    const other = host.callOn('score', load, params);
    await pause(5);
    controller.abort();
    await expect(cancelled).rejects.toThrow(Cancelled);
    loaded();
    expect(await other).toBe('scored');
    expect(loads).toBe(1);
    await host.close();
  });

  test('is given up after crashes in a row, until it is asked for again', async () => {
    const engines = fakeEngines();
    const { host, told } = hostOf(engines);
    await host.call('load', load);
    for (let crash = 0; crash < 4; crash++) {
      engines.crashes[crash]!(new Error('gone'));
      await pause(30);
    }
    expect(told.crashes.map(({ restarted }) => restarted)).toEqual([true, true, true, false]);
    expect(engines.crashes).toHaveLength(4);
    expect((await host.call('load', load)).device).toBe('cpu');
    await host.close();
  });

  test('does not tell of work that is done at once', async () => {
    const { host, told } = hostOf(fakeEngines());
    await host.call('load', load);
    await pause(600);
    expect(told.statuses).toMatchObject([{ state: 'idle' }]);
    await host.close();
  });

  test('tells its state at most twice a second', async () => {
    const engines = fakeEngines();
    const { host, told } = hostOf(engines);
    for (let i = 0; i < 20; i++) await host.call('load', load);
    expect(told.statuses.length).toBeLessThanOrEqual(2);
    await pause(600);
    expect(told.statuses.at(-1)).toMatchObject({ state: 'idle', failure: null });
    await host.close();
  });
});

const machine = { device: 'auto', threads: 2, lean: false } as const;

test('what a job’s model is run on: the settings, and where they leave it open the experiment', async () => {
  const model = { folder: '/m', device: 'cpu', threads: 3, lean: true } as const;
  const open = { device: 'auto', threads: null, lean: false } as const;
  expect(asStarted(model, open)).toEqual(model);
  expect(asStarted({ ...model, lean: false }, { device: 'webgpu', threads: 1, lean: true })).toEqual({
    folder: '/m',
    device: 'webgpu',
    threads: 1,
    lean: true,
  });
  expect(commandLine(job('/e.json'), '/run', { ...machine, lean: true })).toContain('--lean');
  expect(commandLine(job('/e.json'), '/run', machine)).not.toContain('--lean');
  // As the process of the editor's own questions runs it.
  const options = { ...open, lean: true } as ServerOptions;
  expect(modelRef('/m', options)).toEqual({ folder: '/m', device: 'auto', threads: null, lean: true });
});

test('a forecast is of the model as the settings run it; one that fails leaves the time unknown; one that is cancelled ends the estimate', async () => {
  const experiment = tinyExperiment(folder);
  const stages = ['generate', 'localize', 'mask', 'amplify', 'evaluate'].map((name) => ({
    name,
    low: 1,
    high: 3,
  }));
  const forecast = { stages, disk: 5e6, device: 'webgpu', threads: 2 };
  expect(await estimate(job(experiment), machine, [], async () => forecast)).toMatchObject({
    ...{ seconds: { low: 5, high: 15 }, disk: 5e6, from: 'measurement' },
    // Threads are of the CPU.
    ...{ device: 'webgpu', threads: null },
  });
  let lean: boolean | undefined;
  await estimate(job(experiment), { ...machine, lean: true }, [], async ({ model: asked }) => {
    lean = asked.lean;
    return forecast;
  });
  expect(lean).toBe(true);
  const failing = (error: Error) => estimate(job(experiment), machine, [], () => Promise.reject(error));
  expect(await failing(new Error('the engine ended'))).toMatchObject({ seconds: null, from: null });
  await expect(failing(new Cancelled())).rejects.toThrow(Cancelled);
});

describe('what a job prints', () => {
  const read = (lines: readonly unknown[]) => {
    const fields = { id: 'x', title: 'x', spec: job('x'), run: '/x', started: 0 };
    const events = new JobEvents(newState(fields, ['generate', 'amplify']));
    const changes = lines.map((line) => events.read(typeof line === 'string' ? line : JSON.stringify(line)));
    return { events, changes };
  };
  const step = (n: number) => ({
    event: 'partial',
    kind: 'step',
    report: {
      step: n,
      loss: n,
      margin: null,
      klControl: null,
      klTraces: null,
      observation: null,
      breach: null,
      best: 0,
    },
  });

  test('how far a stage is, by its own account where it gives one, and whether its time left is a bound', () => {
    const progress = { event: 'progress', stage: 'mask', done: 5, total: 50, unit: 'epochs', remaining: 90 };
    const { events } = read([{ event: 'stage', stage: 'mask', status: 'started' }, progress]);
    expect(events.state).toMatchObject({ share: 0.1, stageRemaining: 90, atMost: false });
    expect(events.state).toMatchObject({ tokensPerSecond: null, memory: null });
    events.read(JSON.stringify({ ...progress, share: 0.4, atMost: true, tokensPerSecond: 80, memory: 5e8 }));
    expect(events.state).toMatchObject({
      share: 0.4,
      done: 5,
      atMost: true,
      tokensPerSecond: 80,
      memory: 5e8,
    });
    events.read(JSON.stringify({ event: 'stage', stage: 'amplify', status: 'started' }));
    expect(events.state).toMatchObject({ share: 0, done: 0, total: 0, stageRemaining: null, atMost: false });
    // The process and what it holds are still there; its new work has no speed yet.
    expect(events.state).toMatchObject({ tokensPerSecond: null, memory: 5e8 });
  });

  test('torn lines and lines of no use change nothing; steps of a resumed training take the place of theirs', () => {
    const { events, changes } = read([
      { event: 'stage', stage: 'amplify', status: 'started' },
      { event: 'partial', kind: 'trace', trace: {} },
      step(1),
      step(2),
      step(3),
      '{"event":"partial","kind":"step","rep',
      { event: 'attempt', attempt: 1 },
      { event: 'stage', stage: 'generate', status: 'skipped' },
      { event: 'stage', stage: 'amplify', status: 'started' },
      step(3),
      step(4),
    ]);
    expect(changes[1]).toEqual({ state: false, steps: null, mask: false });
    expect(changes[5]).toEqual({ state: false, steps: null, mask: false });
    expect(changes[9]!.steps).toBe(2);
    expect(events.steps.map((point) => point.step)).toEqual([1, 2, 3, 4]);
    expect(events.state).toMatchObject({ restarts: 1, stage: 'amplify', state: 'running' });
    expect(events.state.stages.map(({ status }) => status)).toEqual(['kept', 'running']);
  });

  test('an engine that is gone is a crash, another failure is not', () => {
    const error = (message: string, kind = 'failure') => ({ event: 'error', kind, message });
    expect(read([error('the engine ended (exit code 134)')]).events.ending).toBe('crashed');
    expect(read([error('x is not a function')]).events.ending).toBe('failed');
    expect(read([error('the engine ended oddly', 'input')]).events.ending).toBe('failed');
    expect(read([{ event: 'cancelled' }]).events.ending).toBe('cancelled');
  });

  test('is read as it is appended, lines whole', async () => {
    const file = path.join(folder, 'events');
    const lines: string[] = [];
    const tail = new Tail(file, (line) => lines.push(line));
    await tail.read();
    fs.writeFileSync(file, 'one\ntw');
    await tail.read();
    fs.appendFileSync(file, `o\n\n${'€'.repeat(600_000)}`);
    await Promise.all([tail.read(), tail.read()]);
    fs.appendFileSync(file, '\nlast\n');
    await tail.read();
    expect(lines.map((line) => (line.length > 10 ? line.length : line))).toEqual([
      'one',
      'two',
      600_000,
      'last',
    ]);
  });
});

test('a command line has what the job says; what was redone is not taken away twice', () => {
  const spec = job('/e.json', {
    until: 'evaluate',
    redo: 'mask',
    seed: 0,
    variants: ['random', 'all'],
    set: { 'amplify.steps': 40 },
  });
  const words = commandLine(spec, '/run', machine);
  expect(words.join(' ')).toBe(
    'run --experiment /e.json --out /run --json --redo mask --seed 0 --variant random --variant all --set amplify.steps=40 --threads 2',
  );
  // None is a choice of its own: without a word the experiment's would run.
  const bare = (variants: string[] | null) =>
    commandLine(job('/e.json', { variants }), '/run', machine).join(' ');
  expect(bare([])).toContain('--variant none');
  expect(bare(null)).not.toContain('--variant');
  const server = { url: 'http://node7:8000', model: 'demo' };
  const keyed = (endpoint: Parameters<typeof commandLine>[3]) =>
    commandLine(spec, '/run', machine, endpoint).includes('--endpoint-key-env');
  expect(keyed(server)).toBe(false);
  process.env.CCA_ENDPOINT_API_KEY = 'k';
  // The user's stored key is for a server whose variable is not named.
  expect([keyed(server), keyed({ ...server, apiKeyEnv: 'OWN' }), keyed(undefined)]).toEqual([
    true,
    false,
    false,
  ]);
  delete process.env.CCA_ENDPOINT_API_KEY;
  expect(resumed(words, false)).toEqual(words);
  expect(resumed(words, true).join(' ')).not.toContain('--redo');
  expect(resumed(words, true)).toHaveLength(words.length - 2);
});

test('a burst of calls is one at once and one at its end', async () => {
  let calls = 0;
  const throttle = new Throttle(30, () => calls++);
  for (let i = 0; i < 10; i++) throttle.call();
  expect(calls).toBe(1);
  await pause(50);
  expect(calls).toBe(2);
  throttle.call();
  throttle.close();
  expect(calls).toBe(3);
});
