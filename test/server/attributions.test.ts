import { afterEach, describe, expect, test } from 'vitest';
import { Cancelled } from '../../server/errors.ts';
import { Attributions } from '../../server/lsp/attributions.ts';
import { model } from './client.ts';

const of = { uri: 'file:///one.trace', version: 1 };
const ids = Array.from({ length: 30 }, (_, i) => 100 + i);
const pivots = [
  { token: 12, desired: 1, undesired: 112, status: 'auto' },
  { token: 20, desired: 2, undesired: 120, status: 'rejected' },
  { token: 25, desired: 3, undesired: 125, status: 'accepted' },
];
const none = new AbortController().signal;

interface Asked {
  prefix: readonly number[];
  desired: number;
  components: boolean;
}

/** Of one document with three pivots. @param seconds that its scores took */
function attributions(seconds: number) {
  const asked: Asked[] = [];
  const logged: unknown[] = [];
  /** Lets the engine answer its oldest question. */
  const waiting: { answer: () => void; fail: (error: Error) => void }[] = [];
  let change = () => {};
  const parts = {
    answers: { log: (_: string, error: unknown) => logged.push(error) },
    options: { device: 'cpu', threads: 1 },
    documents: {
      whileCurrent: (_: unknown, __: unknown, work: (signal: AbortSignal) => Promise<unknown>) => {
        const changed = new AbortController();
        change = () => changed.abort(new Cancelled());
        return work(changed.signal);
      },
      withModel: () => ({ trace: { tokens: { ids }, placedPivots: pivots }, model }),
    },
    engine: {
      turn: 1,
      secondsOf: () => seconds,
      callOn: (_: string, __: unknown, params: Asked, { signal }: { signal?: AbortSignal }) => {
        asked.push(params);
        return new Promise((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new Cancelled()));
          const { length } = params.prefix;
          const tokens = new Float32Array(length).fill(params.desired);
          waiting.push({ answer: () => resolve({ margin: length, tokens, gates: null }), fail: reject });
        });
      },
    },
  };
  const made = new Attributions(parts as unknown as ConstructorParameters<typeof Attributions>[0]);
  const next = async () => {
    await expect.poll(() => waiting.length).toBeGreaterThan(0);
    return waiting.shift()!;
  };
  const question = ({ token, desired, undesired }: (typeof pivots)[number]) => ({
    model: { folder: model, device: 'cpu', threads: 1 } as const,
    patches: [],
    prefix: ids.slice(0, token),
    desired,
    undesired,
    components: false,
  });
  return { made, asked, next, question, logged, change: () => change() };
}

describe('attributions of a trace whose scores have been told', () => {
  let logged: unknown[] = [];
  afterEach(() => expect(logged).toEqual([]));

  test('are made ahead, one after the other, but for rejected pivots; asked for, they cost nothing', async () => {
    const one = attributions(0.1);
    logged = one.logged;
    one.made.ahead(of, []);
    for (const token of [12, 25]) {
      const { answer } = await one.next();
      expect(one.asked.at(-1)).toMatchObject({ prefix: ids.slice(0, token), components: false });
      answer();
    }
    // What is left is compiling.
    (await one.next()).answer();
    expect(one.asked.map(({ prefix }) => prefix.length)).toEqual([12, 25, 1]);
    const { margin, tokens } = await one.made.of(one.question(pivots[2]!), none);
    expect([margin, [...new Set(tokens)]]).toEqual([25, [3]]);
    one.made.ahead(of, []);
    await one.made.of(one.question(pivots[0]!), none);
    expect(one.asked).toHaveLength(3);
  });

  test('asked for while it is made, it is made once; who waits can give up', async () => {
    const one = attributions(0.1);
    logged = one.logged;
    one.made.ahead(of, []);
    const { answer } = await one.next();
    const stop = new AbortController();
    const given = one.made.of(one.question(pivots[0]!), stop.signal);
    const asked = one.made.of(one.question(pivots[0]!), none);
    stop.abort();
    await expect(given).rejects.toThrow(Cancelled);
    answer();
    expect((await asked).margin).toBe(12);
    expect(one.asked.filter(({ desired }) => desired === 1)).toHaveLength(1);
  });

  test('what fails ahead, or is stopped by a change, is made when it is asked for', async () => {
    for (const stop of ['fail', 'change'] as const) {
      const one = attributions(0.1);
      logged = one.logged;
      one.made.ahead(of, []);
      const { fail } = await one.next();
      const asked = one.made.of(one.question(pivots[0]!), none);
      if (stop === 'fail') fail(new Error('out of memory'));
      else one.change();
      await expect.poll(() => one.asked.filter(({ desired }) => desired === 1).length).toBe(2);
      for (;;) {
        (await one.next()).answer();
        if (await Promise.race([asked.then(() => true), new Promise((done) => setTimeout(done, 20))])) break;
      }
      expect((await asked).margin).toBe(12);
    }
  });

  test('of a model that takes long are not made ahead', async () => {
    const one = attributions(2);
    logged = one.logged;
    one.made.ahead(of, []);
    (await one.next()).answer();
    expect(one.asked.map(({ prefix }) => prefix.length)).toEqual([1]);
  });
});
