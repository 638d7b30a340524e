/**
 * A small typed RPC over a message port: calls of named jobs, events of each call, results, errors, cancellation.
 * A worker whose native code blocks its thread reads no messages, so cancelling goes through a flag in shared memory.
 */
import type { Signal } from '../control.ts';
import { Cancelled } from '../errors.ts';
import { fromWire, toWire, type WireError } from './wire-error.ts';

/** The part of a MessagePort, Worker or parentPort that is used. */
export interface Port {
  postMessage(message: unknown): void;
  // biome-ignore lint/suspicious/noExplicitAny: as node:worker_threads declares it
  on(event: string, listener: (message: any) => void): unknown;
}

/** What a job may use beside its parameters. */
export interface JobContext<E> {
  readonly signal: Signal;
  emit(event: E): void;
}

/** Parameters, events and result are plain values (structured clone). */
// biome-ignore lint/suspicious/noExplicitAny: a table holds jobs of any parameters
export type JobTable = Record<string, (params: any, context: JobContext<any>) => Promise<unknown>>;

export type Params<T extends JobTable, K extends keyof T> = Parameters<T[K]>[0];
export type EventOf<T extends JobTable, K extends keyof T> = Parameters<Parameters<T[K]>[1]['emit']>[0];
export type ResultOf<T extends JobTable, K extends keyof T> = Awaited<ReturnType<T[K]>>;

export interface CallOptions<E> {
  onEvent?: (event: E) => void;
  /** Asks the job to stop: it then ends with Cancelled at its next unit of work. */
  signal?: AbortSignal;
}

type Request =
  | { kind: 'call'; id: number; job: string; params: unknown; flag: SharedArrayBuffer }
  | { kind: 'close' };
type Reply =
  | { kind: 'event'; id: number; event: unknown }
  | { kind: 'result'; id: number; result: unknown }
  | { kind: 'error'; id: number; error: WireError };

/**
 * Answers calls from a table of jobs; jobs run side by side, taking turns between their units of work.
 * @param onClose called once the other side has closed and the last job has ended
 */
export function serve(port: Port, table: JobTable, onClose: () => void): void {
  let open = 0;
  let closing = false;
  const reply = (message: Reply) => port.postMessage(message);
  const answer = async ({ id, job, params, flag }: Request & { kind: 'call' }) => {
    open++;
    const asked = new Int32Array(flag);
    const signal: Signal = {
      get aborted() {
        return Atomics.load(asked, 0) !== 0;
      },
    };
    try {
      const run = Object.hasOwn(table, job) ? table[job] : undefined;
      if (!run) throw new Error(`there is no job ${job}`);
      const result = await run(params, { signal, emit: (event) => reply({ kind: 'event', id, event }) });
      // In the try: a result that cannot be cloned must not leave the caller waiting.
      reply({ kind: 'result', id, result });
    } catch (error) {
      reply({ kind: 'error', id, error: toWire(error) });
    } finally {
      open--;
      if (closing && open === 0) onClose();
    }
  };
  port.on('message', (request: Request) => {
    if (request.kind === 'call') void answer(request);
    else {
      closing = true;
      if (open === 0) onClose();
    }
  });
}

interface OpenCall {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onEvent: ((event: unknown) => void) | undefined;
  cancel(): void;
}

/** The calling side. */
export class Caller<T extends JobTable> {
  private readonly port: Port;
  private readonly open = new Map<number, OpenCall>();
  private nextId = 0;
  private ended: Error | null = null;

  constructor(port: Port) {
    this.port = port;
    port.on('message', (reply: Reply) => this.receive(reply));
  }

  /**
   * Runs a job on the other side.
   * @throws what the job threw: InputError, Cancelled, or an Error with the job's stack
   */
  call<K extends keyof T & string>(
    job: K,
    params: Params<T, K>,
    { onEvent, signal }: CallOptions<EventOf<T, K>> = {},
  ): Promise<ResultOf<T, K>> {
    if (this.ended) return Promise.reject(this.ended);
    if (signal?.aborted) return Promise.reject(new Cancelled());
    const id = this.nextId++;
    const flag = new SharedArrayBuffer(4);
    const cancel = () => {
      Atomics.store(new Int32Array(flag), 0, 1);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    return new Promise<unknown>((resolve, reject) => {
      this.port.postMessage({ kind: 'call', id, job, params, flag } satisfies Request);
      this.open.set(id, { resolve, reject, onEvent: onEvent as OpenCall['onEvent'], cancel });
    }).finally(() => signal?.removeEventListener('abort', cancel)) as Promise<ResultOf<T, K>>;
  }

  /** Asks every open call to stop and the other side to end; later calls are refused. */
  close(): void {
    if (this.ended) return;
    for (const call of this.open.values()) call.cancel();
    this.ended = new Error('the engine was closed');
    this.port.postMessage({ kind: 'close' } satisfies Request);
  }

  /** Tells that the other side is gone: open and later calls fail with `error`. */
  fail(error: Error): void {
    this.ended = error;
    for (const call of this.open.values()) {
      call.cancel();
      call.reject(error);
    }
    this.open.clear();
  }

  private receive(reply: Reply): void {
    const call = this.open.get(reply.id);
    if (!call) return;
    if (reply.kind === 'event') {
      try {
        call.onEvent?.(reply.event);
      } catch (error) {
        // A listener that throws ends its own call, nobody else's.
        this.open.delete(reply.id);
        call.cancel();
        call.reject(error as Error);
      }
      return;
    }
    this.open.delete(reply.id);
    if (reply.kind === 'result') call.resolve(reply.result);
    else call.reject(fromWire(reply.error));
  }
}
