import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, startEngine } from '../../server/engine/client.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { defaultSettings } from '../../server/pipeline/settings.ts';
import { build, scratch, WORKER } from '../cli/built.ts';
import { tinyTask } from '../cli/tiny-task.ts';

const root = scratch();
const task = tinyTask(root);

beforeAll(build);

const engines: Engine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

function start(worker = WORKER): Engine {
  const engine = startEngine({ worker });
  engines.push(engine);
  return engine;
}

const ref = (folder: string) => ({ folder, device: 'cpu' as const, threads: 1 });
const scoring = (folder = task.model) => ({
  model: ref(folder),
  patch: null,
  text: 'The answer is 12.',
  topK: 1,
});
/** Decoding that would take minutes. */
const endless = (out: string) => ({
  model: ref(task.model),
  out: path.join(root, out),
  seed: 0,
  fresh: false,
  problems: { file: task.problems, split: null, limit: null },
  prompts: { template: null, fewShot: null, chat: null },
  settings: { ...defaultSettings.generate, samples: 1000, counterparts: 1000, maxTokens: 200 },
});

describe('an engine', () => {
  test('answers several calls at once as it does one after another', async () => {
    const engine = start();
    const alone = await engine.call('score', scoring());
    const together = await Promise.all([1, 2, 3].map(() => engine.call('score', scoring())));
    for (const one of together) expect(one).toEqual(alone);
    await expect(engine.call('score', scoring(path.join(root, 'nowhere')))).rejects.toBeInstanceOf(
      InputError,
    );
    expect(await engine.call('score', scoring())).toEqual(alone);
  });

  test('reads a model again when its files have changed', async () => {
    const engine = start();
    const folder = path.join(root, 'model');
    fs.cpSync(task.model, folder, { recursive: true });
    const before = await engine.call('score', scoring(folder));
    const file = path.join(folder, 'model.safetensors');
    const bytes = fs.readFileSync(file);
    // The last tensor's last value, and the time that a writer would leave.
    bytes.writeFloatLE(bytes.readFloatLE(bytes.length - 4) + 3, bytes.length - 4);
    fs.writeFileSync(file, bytes);
    fs.utimesSync(file, new Date(), new Date(Date.now() + 10_000));
    expect((await engine.call('score', scoring(folder))).logprob).not.toBe(before.logprob);
  });

  test('leaves its host responsive, stops one call when asked, and goes on with others', async () => {
    const engine = start();
    const controller = new AbortController();
    let turns = 0;
    const timer = setInterval(() => {
      if (++turns === 20) controller.abort();
    }, 5);
    const long = engine.call('generate', endless('stopped'), { signal: controller.signal });
    const scored = engine.call('score', scoring());
    await expect(long).rejects.toBeInstanceOf(Cancelled);
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(20);
    expect((await scored).scored).toBe(6);
  });

  test('that is closed cancels what is open and frees its run folders', async () => {
    const engine = start();
    const params = endless('closed');
    const outcome = new Promise<unknown>((resolve) => {
      const call = engine.call('generate', params, {
        onEvent: (event) => {
          if (event.event === 'trace') void engine.close();
        },
      });
      call.catch(resolve);
    });
    expect(await outcome).toBeInstanceOf(Cancelled);
    await engine.close();
    expect(fs.existsSync(path.join(params.out, 'manifest.json'))).toBe(true);
    expect(fs.existsSync(path.join(params.out, 'run.lock'))).toBe(false);
    await expect(engine.call('score', scoring())).rejects.toThrow('the engine');
  });
});

describe('an engine that breaks fails every call', () => {
  const broken = (reaction: string) =>
    new URL(
      `data:text/javascript,import{parentPort}from'node:worker_threads';parentPort.on('message',()=>{${reaction}})`,
    );

  test.each([
    ['by an exception', "throw new Error('out of luck')", 'the engine stopped: out of luck'],
    ['by ending', 'process.exit(3)', 'the engine ended (exit code 3)'],
  ])('%s', async (_, reaction, message) => {
    const engine = start(broken(reaction));
    const calls = [engine.call('score', scoring()), engine.call('devices', { threads: 1 })];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome.status === 'rejected' && outcome.reason.message).toBe(message);
    }
    await expect(engine.call('score', scoring())).rejects.toThrow('the engine');
  });

  test('without a word, as a thread out of memory ends, and the run folder is free again', async () => {
    const params = endless('gone');
    const lock = path.join(params.out, 'run.lock');
    // The engine itself, which ends with none of its exit hooks run, once the folder is held and a trace has been told of.
    const doomed = `import fs from 'node:fs';
      import { parentPort } from 'node:worker_threads';
      const post = parentPort.postMessage.bind(parentPort);
      parentPort.postMessage = (message) => {
        post(message);
        if (message.kind !== 'event' || message.event.event !== 'trace' || !fs.existsSync(${JSON.stringify(lock)})) return;
        process.removeAllListeners('exit');
        process.exit(3);
      };
      await import(${JSON.stringify(WORKER.href)});`;
    const engine = start(new URL(`data:text/javascript,${encodeURIComponent(doomed)}`));
    await expect(engine.call('generate', params)).rejects.toThrow('the engine ended (exit code 3)');
    expect(fs.existsSync(path.join(params.out, 'manifest.json'))).toBe(true);
    expect(fs.existsSync(lock)).toBe(false);
  });
});
