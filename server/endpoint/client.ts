import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Signal } from '../control.ts';
import { Cancelled, InputError } from '../errors.ts';
import { jsonValues } from './events.ts';
import {
  backOff,
  defaultPace,
  Fault,
  messageOf,
  type Pace,
  Refusal,
  retryAfter,
  Unreachable,
} from './faults.ts';
import { apiKey, baseAddress, type EndpointSettings } from './settings.ts';

/** How often the flag that asks to stop is looked at while requests are out, in milliseconds. */
const LOOK_EVERY = 100;
/** A server that asks for more patience than this is not waited for, in milliseconds. */
const LONGEST_WAIT = 3_600_000;

/** Reads an answer's JSON values; what it leaves unread is not waited for: the connection is closed. */
export type Read<T> = (values: AsyncIterable<unknown>) => Promise<T>;

/**
 * Requests to one server: at most so many at once, and each sent again when it fails in a way that may pass. Once one
 * has failed for good, or the signal has fired, all of them end.
 */
export class Client {
  /** scheme://host/.../v1 */
  readonly base: string;
  private readonly settings: EndpointSettings;
  private readonly key: string | null;
  private readonly signal: Signal;
  private readonly pace: Pace;
  private readonly warn: (text: string) => void;
  private readonly ended = new AbortController();
  private readonly queue: (() => void)[] = [];
  private out = 0;
  private watch: NodeJS.Timeout | undefined;
  /** No request is sent before this time (performance.now()): one was told to come back later. */
  private closedUntil = 0;

  /** @throws InputError for a wrong address or a key that is not there */
  constructor(
    settings: EndpointSettings,
    { signal, warn, pace = defaultPace }: { signal: Signal; warn: (text: string) => void; pace?: Pace },
  ) {
    this.base = baseAddress(settings.url);
    this.key = apiKey(settings);
    this.settings = settings;
    this.signal = signal;
    this.pace = pace;
    this.warn = warn;
    // Every request that is out listens.
    setMaxListeners(0, this.ended.signal);
  }

  /**
   * GET (no body) or POST (JSON body) of a path behind the address.
   * @param hopeless a failure after which it is not sent again; by default none until it has failed too often
   * @throws Refusal for HTTP 4xx; InputError when the server stays away or refuses the key; a hopeless Fault; Cancelled
   */
  async request<T>(
    path: string,
    body: object | null,
    read: Read<T>,
    hopeless: (fault: Fault, failures: number) => boolean = () => false,
  ): Promise<T> {
    await this.enter();
    try {
      for (let failures = 0; ; ) {
        await this.wait(this.closedUntil - performance.now());
        try {
          return await this.send(path, body, read);
        } catch (error) {
          if (this.ended.signal.aborted) throw this.ended.signal.reason;
          if (!(error instanceof Fault)) throw error;
          failures++;
          if (hopeless(error, failures)) throw error;
          if (failures > this.settings.retries) throw this.givenUp(error, failures);
          await this.pause(error, failures);
        }
      }
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Fault)) this.ended.abort(error);
      throw error;
    } finally {
      this.leave();
    }
  }

  /** Text of the server as it may be shown: one line, not too long, without the key. */
  shown(text: string): string {
    const safe = this.key === null ? text : text.replaceAll(this.key, '***');
    const line = safe.replace(/\s+/g, ' ').trim();
    return line.length > 300 ? `${line.slice(0, 297)}...` : line;
  }

  /** Ends all requests with an error that ends the work. */
  fail(error: unknown): void {
    this.ended.abort(error);
  }

  get where(): string {
    return `endpoint ${this.base}`;
  }

  private async send<T>(path: string, body: object | null, read: Read<T>): Promise<T> {
    const attempt = new AbortController();
    // Not AbortSignal.any: it keeps a trace of every signal that was ever joined to a lasting one.
    const end = () => attempt.abort(this.ended.signal.reason);
    this.ended.signal.addEventListener('abort', end, { once: true });
    const seconds = this.settings.timeout;
    const silence = setTimeout(
      () => attempt.abort(new Fault(`nothing came for ${seconds} s`)),
      seconds * 1000,
    );
    try {
      const response = await fetch(`${this.base}/${path}`, {
        method: body ? 'POST' : 'GET',
        headers: {
          accept: 'application/json, text/event-stream',
          ...(body && { 'content-type': 'application/json' }),
          ...(this.key !== null && { authorization: `Bearer ${this.key}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
        // Another host must not be handed the key, nor the prompts.
        redirect: 'manual',
        signal: attempt.signal,
      });
      silence.refresh();
      if (!response.ok) throw await this.failure(response);
      const isStream = response.headers.get('content-type')?.includes('text/event-stream') ?? false;
      return await read(jsonValues(pieces(response, silence), isStream));
    } catch (error) {
      if (attempt.signal.aborted) throw attempt.signal.reason;
      throw asFault(error) ?? error;
    } finally {
      clearTimeout(silence);
      this.ended.signal.removeEventListener('abort', end);
      // Closes the connection where the answer was not read to its end; the server then stops generating.
      attempt.abort(new Cancelled());
    }
  }

  /** What an answer that is no success means. */
  private async failure(response: Response): Promise<Error> {
    const { status, headers } = response;
    const said = this.shown(messageOf((await response.text()).slice(0, 10_000)));
    if (status === 401 || status === 403) {
      const { apiKeyEnv } = this.settings;
      const remedy =
        apiKeyEnv === null
          ? 'Name the environment variable that holds its key (--endpoint-key-env, apiKeyEnv).'
          : `Check the key in the environment variable ${apiKeyEnv}.`;
      return new InputError(this.where, `refuses access (HTTP ${status}${said && `: ${said}`})`, remedy);
    }
    if (status >= 300 && status < 400) {
      return new InputError(this.where, `sends on to another address (HTTP ${status})`, 'Give that address.');
    }
    if (status >= 500 || [408, 425, 429].includes(status)) {
      const wait = retryAfter(headers.get('retry-after'));
      return new Fault(`HTTP ${status}${said && `: ${said}`}`, { retryAfter: wait, status });
    }
    return new Refusal(status, said);
  }

  private async pause(fault: Fault, failures: number): Promise<void> {
    const wait = backOff(failures, this.pace, fault.retryAfter);
    if (wait > LONGEST_WAIT) throw this.givenUp(fault, failures);
    // Busy is the server, not this request: the others wait as well.
    if (fault.retryAfter !== null) {
      this.closedUntil = Math.max(this.closedUntil, performance.now() + fault.retryAfter);
    }
    if (failures > 1)
      this.warn(`${this.where}: ${this.shown(fault.message)}; again in ${Math.ceil(wait / 1000)} s`);
    await this.wait(wait);
  }

  private async wait(milliseconds: number): Promise<void> {
    if (milliseconds > 0) {
      await sleep(milliseconds, undefined, { signal: this.ended.signal }).catch(() => undefined);
    }
    if (this.ended.signal.aborted) throw this.ended.signal.reason;
  }

  /** The end of trying. */
  givenUp(fault: Fault, failures: number): InputError {
    const often = failures > 1 ? `, ${failures} times in a row` : '';
    const remedy = 'See to the server and run the same command again: finished work is kept.';
    return new InputError(this.where, `${this.shown(fault.message)}${often}`, remedy);
  }

  private async enter(): Promise<void> {
    if (this.out < this.settings.concurrency) this.out++;
    else await new Promise<void>((go) => this.queue.push(go));
    this.watch ??= setInterval(() => {
      if (this.signal.aborted) this.ended.abort(new Cancelled());
    }, LOOK_EVERY);
    if (this.signal.aborted) this.ended.abort(new Cancelled());
  }

  private leave(): void {
    // Handed on rather than given back: nobody who comes now may be before the one that waits.
    const next = this.queue.shift();
    next?.();
    if (next || --this.out > 0) return;
    clearInterval(this.watch);
    this.watch = undefined;
  }
}

const NO_CONNECTION = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

/** An error of the network in words: fetch itself says only that it failed. Null for any other error. */
function asFault(error: unknown): Fault | null {
  const isNetwork =
    error instanceof TypeError && (error.cause !== undefined || error.message === 'terminated');
  if (!isNetwork) return null;
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const code = cause?.code ?? (error as { code?: string }).code;
  const what = `no answer (${code ?? cause?.message ?? (error as Error).message})`;
  return code && (NO_CONNECTION.includes(code) || /CERT|TLS|SSL/.test(code))
    ? new Unreachable(what)
    : new Fault(
        code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' ? `the connection was cut (${code})` : what,
      );
}

/** A body as text, as it comes; each piece of it puts the timeout off. */
async function* pieces(response: Response, silence: NodeJS.Timeout): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    silence.refresh();
    yield decoder.decode(bytes as Uint8Array, { stream: true });
  }
}
