import { setTimeout as delay } from 'node:timers/promises';
import type { Engine, JobEvent, JobName, JobParams, JobResult } from '../engine/client.ts';
import type { ModelRef } from '../engine/models.ts';
import type { CallOptions } from '../engine/rpc.ts';
import { Cancelled } from '../errors.ts';
import type { EngineStatus } from '../protocol/engine.ts';
import { oneLine } from './answers.ts';

export interface EngineHostOptions {
  /** Starts an engine; `onCrash` tells that its thread ended by itself. */
  start(onCrash: (error: Error) => void): Engine;
  onStatus(status: EngineStatus): void;
  onCrash(crash: { reason: string; restarted: boolean }): void;
  /** Milliseconds before each restart of crashes in a row; the last one goes on. */
  backOff?: readonly number[];
}

const BACK_OFF = [250, 1000, 4000, 15_000];
/** After this many crashes in a row the engine stays down until it is asked for again. */
const GIVE_UP = BACK_OFF.length;
const STATUS_MS = 500;
/** Memory is told in steps of this: it never stands still. */
const MEMORY_STEP = 8 * 2 ** 20;
/** Work shorter than this says little about speed. */
const MEASURABLE_SECONDS = 0.02;

/**
 * The interactive engine: started when it is first needed, started again when it crashes. Restarts are coalesced: however
 * many calls fail together, it is one crash, one message and one new engine.
 */
export class EngineHost {
  private readonly options: EngineHostOptions;
  private readonly backOff: readonly number[];
  private engine: Engine | null = null;
  private starting: Promise<Engine> | null = null;
  private crashes = 0;
  private begun = 0;
  private open = 0;
  private closed = false;
  /** Models that this engine has loaded, with the device. */
  private readonly loaded = new Map<string, Promise<string>>();
  private status: EngineStatus = {
    state: 'idle',
    device: null,
    model: null,
    tokensPerSecond: null,
    memory: 0,
    failure: null,
  };
  private told = '';
  private statusTimer: NodeJS.Timeout | null = null;

  constructor(options: EngineHostOptions) {
    this.options = options;
    this.backOff = options.backOff ?? BACK_OFF;
  }

  /**
   * Calls a job of the engine.
   * @throws as Engine.call; where the engine crashed, an Error that says so in one line
   */
  async call<K extends JobName>(
    job: K,
    params: JobParams<K>,
    options: CallOptions<JobEvent<K>> = {},
  ): Promise<JobResult<K>> {
    this.open++;
    this.tell();
    try {
      const engine = await this.running(options.signal);
      const result = await engine.call(job, params, options);
      this.crashes = 0;
      this.status.failure = null;
      return result;
    } finally {
      this.open--;
      this.tell();
    }
  }

  /** Calls a job on a model, which is loaded first where it is not there yet. */
  async callOn<K extends JobName>(
    job: K,
    model: ModelRef,
    params: JobParams<K>,
    options: CallOptions<JobEvent<K>> = {},
  ): Promise<JobResult<K>> {
    const key = JSON.stringify(model);
    const device = await unlessAborted(this.load(key, model), options.signal);
    Object.assign(this.status, { device, model: model.folder });
    return this.call(job, params, options);
  }

  /** Notes how fast work went. */
  measure(tokens: number, seconds: number): void {
    if (seconds < MEASURABLE_SECONDS || tokens === 0) return;
    this.status.tokensPerSecond = Math.round(tokens / seconds);
    this.tell();
  }

  /** How long so many tokens take at the speed measured last; 0 where all work has been too short to measure. */
  secondsOf(tokens: number): number {
    const { tokensPerSecond } = this.status;
    return tokensPerSecond === null ? 0 : tokens / tokensPerSecond;
  }

  /** Ends the engine; later calls start another. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.statusTimer) clearTimeout(this.statusTimer);
    await this.engine?.close();
  }

  /** Not to be cancelled: whoever asks next needs it all the same. */
  private load(key: string, model: ModelRef): Promise<string> {
    const known = this.loaded.get(key);
    if (known) return known;
    const loading = this.call('load', model).then(({ device }) => device);
    this.loaded.set(key, loading);
    loading.catch(() => this.loaded.delete(key));
    return loading;
  }

  private async running(signal: AbortSignal | undefined): Promise<Engine> {
    const engine = await (this.starting ?? Promise.resolve(this.engine ?? this.begin()));
    if (signal?.aborted) throw new Cancelled();
    return engine;
  }

  /** Counts the engines that there have been: what one has compiled the next one has not. */
  get turn(): number {
    return this.begun;
  }

  private begin(): Engine {
    this.begun++;
    const engine = this.options.start((error) => this.crashed(engine, error));
    this.engine = engine;
    return engine;
  }

  private crashed(engine: Engine, error: Error): void {
    if (this.engine !== engine || this.closed) return;
    this.engine = null;
    this.loaded.clear();
    this.crashes++;
    const reason = oneLine(error);
    Object.assign(this.status, { device: null, model: null, failure: reason });
    const restarted = this.crashes < GIVE_UP;
    if (restarted) {
      const wait = this.backOff[Math.min(this.crashes, this.backOff.length) - 1]!;
      this.starting = delay(wait, undefined, { ref: false }).then(() => {
        this.starting = null;
        return this.begin();
      });
    } else this.crashes = 0;
    this.options.onCrash({ reason, restarted });
    this.tell();
  }

  /** At most every half second, only what is new, and no work that is done sooner: the window would draw it in vain. */
  private tell(): void {
    if (this.statusTimer || this.closed) return;
    this.statusTimer = setTimeout(() => {
      this.statusTimer = null;
      this.sendStatus();
      if (this.open > 0) this.tell();
    }, STATUS_MS);
    this.statusTimer.unref();
  }

  private sendStatus(): void {
    const { failure } = this.status;
    const state = this.open > 0 ? 'busy' : failure === null ? 'idle' : 'failed';
    const memory = Math.round(process.memoryUsage.rss() / MEMORY_STEP) * MEMORY_STEP;
    const status: EngineStatus = { ...this.status, state, memory };
    const text = JSON.stringify(status);
    if (text === this.told) return;
    this.told = text;
    this.options.onStatus(status);
  }
}

/** Waits no longer than until `signal` fires; the work goes on. @throws Cancelled then */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Cancelled());
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
