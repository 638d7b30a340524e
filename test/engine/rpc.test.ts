import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Caller, type JobContext, serve } from '../../server/engine/rpc.ts';
import { Cancelled, InputError } from '../../server/errors.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

const table = {
  double: async ({ x }: { x: number }, { emit }: JobContext<{ half: number }>) => {
    emit({ half: x / 2 });
    return 2 * x;
  },
  typed: async (values: Float32Array) => values.map((v) => v + 1),
  badInput: async () => {
    throw new InputError('pairs.jsonl:3', 'is not JSON', 'Correct the line.');
  },
  defect: async () => {
    throw new RangeError('shapes differ', { cause: new TypeError('inner') });
  },
  throwsText: async () => {
    throw 'just text';
  },
  unclonable: async () => () => 1,
  untilStopped: async (_: null, { signal, emit }: JobContext<number>) => {
    for (let i = 0; ; i++) {
      emit(i);
      await turn();
      if (signal.aborted) throw new Cancelled();
    }
  },
};

const ports: { close(): void }[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

function connect(onClose: () => void = () => {}) {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  serve(port2, table, onClose);
  return new Caller<typeof table>(port1);
}

describe('calls', () => {
  test('bring results and events, in order, to their own caller', async () => {
    const caller = connect();
    const halves: number[] = [];
    const calls = [1, 2, 3].map((x) =>
      caller.call('double', { x }, { onEvent: ({ half }) => halves.push(half) }),
    );
    expect(await Promise.all(calls)).toEqual([2, 4, 6]);
    expect(halves).toEqual([0.5, 1, 1.5]);
    expect(await caller.call('typed', new Float32Array([1, 2]))).toEqual(new Float32Array([2, 3]));
  });

  test('bring back errors with their class, fields, stack and cause', async () => {
    const caller = connect();
    const bad = await caller.call('badInput', undefined as never).catch((error) => error);
    expect(bad).toBeInstanceOf(InputError);
    expect([bad.where, bad.message]).toEqual([
      'pairs.jsonl:3',
      'pairs.jsonl:3: is not JSON. Correct the line.',
    ]);
    const defect = await caller.call('defect', undefined as never).catch((error) => error);
    expect([defect.name, defect.message, defect.cause.name]).toEqual([
      'RangeError',
      'shapes differ',
      'TypeError',
    ]);
    expect(defect.stack).toContain('rpc.test.ts');
    const text = await caller.call('throwsText', undefined as never).catch((error) => error);
    expect(text.message).toBe('just text');
  });

  test('never wait forever: an unknown job, a result or parameters that cannot be sent', async () => {
    const caller = connect();
    await expect(caller.call('missing' as 'double', { x: 1 })).rejects.toThrow('there is no job missing');
    await expect(caller.call('toString' as 'double', { x: 1 })).rejects.toThrow('there is no job toString');
    await expect(caller.call('unclonable', undefined as never)).rejects.toThrow('could not be cloned');
    await expect(caller.call('double', { x: (() => 1) as never })).rejects.toThrow('could not be cloned');
  });

  test('a listener that throws ends its own call only', async () => {
    const caller = connect();
    const broken = caller.call('untilStopped', null, {
      onEvent: () => {
        throw new Error('no room');
      },
    });
    const other = caller.call('double', { x: 4 });
    await expect(broken).rejects.toThrow('no room');
    expect(await other).toBe(8);
  });
});

describe('stopping', () => {
  test('a signal stops its own call', async () => {
    const caller = connect();
    const controller = new AbortController();
    let seen = 0;
    const stopped = caller.call('untilStopped', null, {
      signal: controller.signal,
      onEvent: (i) => {
        seen = i;
        if (i === 3) controller.abort();
      },
    });
    await expect(stopped).rejects.toBeInstanceOf(Cancelled);
    expect(seen).toBeGreaterThanOrEqual(3);
    await expect(caller.call('double', { x: 1 }, { signal: controller.signal })).rejects.toBeInstanceOf(
      Cancelled,
    );
    expect(await caller.call('double', { x: 1 })).toBe(2);
  });

  test('the flag is seen by a job that never lets its thread read messages', async () => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2);
    const controller = new AbortController();
    serve(
      port2,
      {
        blocks: async (_: null, { signal }: JobContext<never>) => {
          // The abort happens on the calling side while no message can arrive.
          controller.abort();
          return signal.aborted;
        },
      },
      () => {},
    );
    const caller = new Caller<{ blocks: (_: null, context: JobContext<never>) => Promise<boolean> }>(port1);
    expect(await caller.call('blocks', null, { signal: controller.signal })).toBe(true);
  });

  test('close cancels what is open, then tells the other side to end', async () => {
    let closed = false;
    const caller = connect(() => {
      closed = true;
    });
    const open = caller.call('untilStopped', null);
    const outcome = open.catch((error) => error);
    await turn();
    caller.close();
    expect(await outcome).toBeInstanceOf(Cancelled);
    await expect(caller.call('double', { x: 1 })).rejects.toThrow('the engine was closed');
    await turn();
    expect(closed).toBe(true);
  });

  test('a side that is gone fails open and later calls', async () => {
    const caller = connect();
    const open = caller.call('untilStopped', null);
    caller.fail(new Error('the engine stopped'));
    await expect(open).rejects.toThrow('the engine stopped');
    await expect(caller.call('double', { x: 1 })).rejects.toThrow('the engine stopped');
  });
});
