import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { CancellationError, type Disposable, EventEmitter } from 'vscode';
import type { InitializeParams, LanguageClient, LanguageClientOptions } from 'vscode-languageclient/node';
import type { Notification, Request } from '../../server/protocol/message.ts';
import { languageId, panelCommands, traceCommands } from '../contributions.ts';
import { log, messageOf } from '../notify.ts';
import { type Launch, start } from './launch.ts';
import { requestError } from './request-error.ts';
import { Restarts } from './restarts.ts';
import { ENGINE_GONE, type RequestOptions, type Server, ServerError, type ServerState } from './server.ts';

/** JSON-RPC's first code of a server's own. */
const LAUNCH_FAILED = -32000;
/** How long (milliseconds) the process has to end by itself. */
const FAREWELL_MS = 3000;

export interface ClientParts {
  launch(): Promise<Launch>;
  /** `initializationOptions` of the server. */
  options(): unknown;
  /** The process ended unexpectedly; told once each. `again` is false when it is not started again. */
  crashed(reason: string, again: boolean): void;
}

/** One life of the process. */
interface Life {
  client: LanguageClient;
  child: ChildProcess;
  lib: typeof import('vscode-languageclient/node');
}

/** The engine's process: started by the first request, started again after a crash, ended with the window. */
export class EngineClient implements Server, Disposable {
  readonly #parts: ClientParts;
  readonly #restarts = new Restarts();
  readonly #stateChanged = new EventEmitter<ServerState>();
  readonly #restarted = new EventEmitter<void>();
  readonly #listeners = new Map<string, Set<(params: never) => void>>();
  #state: ServerState = 'stopped';
  #life: Promise<Life> | null = null;
  #restarting: Promise<void> | null = null;
  #failure: ServerError | null = null;
  #disposed = false;
  #streams = 0;

  readonly onState = this.#stateChanged.event;
  readonly onRestart = this.#restarted.event;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  get state(): ServerState {
    return this.#state;
  }

  get ready(): Promise<void> {
    return this.#running().then(() => {});
  }

  async request<P, R, Part>(
    { method }: Request<P, R, Part>,
    params: P,
    { token, onPart }: RequestOptions<Part> = {},
  ): Promise<R> {
    const { client, lib } = await this.#running();
    if (token?.isCancellationRequested) throw new CancellationError();
    const stream = onPart && `stream-${++this.#streams}`;
    const streaming = stream && client.onProgress(new lib.ProgressType<Part>(), stream, onPart);
    try {
      const sent = stream ? { ...params, partialResultToken: stream } : params;
      // An absent token must not become a parameter.
      return await (token ? client.sendRequest<R>(method, sent, token) : client.sendRequest<R>(method, sent));
    } catch (reason) {
      throw requestError(reason, token?.isCancellationRequested ?? false);
    } finally {
      if (streaming) streaming.dispose();
    }
  }

  onNotification<P>({ method }: Notification<P>, listener: (params: P) => void): Disposable {
    const known = this.#listeners.get(method);
    const listeners = known ?? new Set();
    listeners.add(listener);
    if (!known) {
      this.#listeners.set(method, listeners);
      void this.#life?.then(({ client }) => this.#listen(client, method)).catch(() => {});
    }
    return { dispose: () => listeners.delete(listener) };
  }

  /** Ends the process and starts it; several calls while one is under way are one. */
  restart(): Promise<void> {
    this.#restarts.forget();
    this.#restarting ??= this.#again(0).finally(() => {
      this.#restarting = null;
    });
    return this.#restarting;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#end();
    this.#setState('stopped');
  }

  async #running(): Promise<Life> {
    if (this.#disposed) throw new ServerError('the window is closing', ENGINE_GONE);
    if (this.#restarting) await this.#restarting;
    if (this.#failure) throw this.#failure;
    this.#life ??= this.#begin();
    return this.#life;
  }

  async #begin(): Promise<Life> {
    this.#setState('starting');
    try {
      const life = await this.#connect();
      this.#setState('running');
      return life;
    } catch (reason) {
      this.#life = null;
      this.#failure = new ServerError(`the engine could not be started: ${messageOf(reason)}`, LAUNCH_FAILED);
      this.#setState('failed');
      throw this.#failure;
    }
  }

  async #connect(): Promise<Life> {
    // Loaded with the first start: activation stays cheap.
    const lib = await import('vscode-languageclient/node');
    const child = await start(await this.#parts.launch());
    const last = lastLine(child);
    /** No process id is sent: on another machine it would be nobody's. The engine ends with its standard input. */
    class Client extends lib.LanguageClient {
      protected override fillInitializeParams(params: InitializeParams): void {
        super.fillInitializeParams(params);
        params.processId = null;
      }
    }
    const client = new Client(
      'circuitAmplifier',
      'Circuit Amplifier',
      () => Promise.resolve(child),
      this.#clientOptions(lib),
    );
    for (const method of this.#listeners.keys()) this.#listen(client, method);
    child.once('exit', (code, signal) => {
      const how = signal ? `signal ${signal}` : `exit code ${code}`;
      const line = last();
      void this.#ended(child, line === '' ? how : `${how}: ${line}`);
    });
    // Not before its pipes are closed: a client that says farewell to a dead process lets open requests wait for ever.
    child.once('close', () => void client.dispose().catch(() => {}));
    child.on('error', (reason) => log().error(reason));
    try {
      await client.start();
    } catch (reason) {
      child.kill();
      throw new Error(last() || messageOf(reason));
    }
    return { client, child, lib };
  }

  #clientOptions(lib: Life['lib']): LanguageClientOptions {
    const closed = { action: lib.CloseAction.DoNotRestart, handled: true };
    return {
      documentSelector: [
        { language: languageId, scheme: 'file' },
        { language: languageId, scheme: 'untitled' },
      ],
      outputChannel: log(),
      initializationOptions: () => this.#parts.options(),
      initializationFailedHandler: () => false,
      // A message that cannot be written is followed by the process's end, and that is dealt with here.
      errorHandler: {
        error: () => ({ action: lib.ErrorAction.Continue, handled: true }),
        closed: () => closed,
      },
      markdown: {
        isTrusted: { enabledCommands: [...Object.keys(traceCommands), ...Object.keys(panelCommands)] },
        supportThemeIcons: true,
      },
    };
  }

  #listen(client: LanguageClient, method: string): void {
    client.onNotification(method, (params: unknown) => {
      for (const listener of this.#listeners.get(method) ?? []) listener(params as never);
    });
  }

  async #ended(child: ChildProcess, how: string): Promise<void> {
    const life = await this.#life?.catch(() => null);
    // A process that was told to end, or never came up: others deal with it.
    if (this.#disposed || life?.child !== child) return;
    this.#life = null;
    log().error(`The engine's process ended: ${how}`);
    const delay = this.#restarts.next(Date.now());
    this.#parts.crashed(how, delay !== null);
    if (delay === null) {
      this.#failure = new ServerError(
        `the engine ended too often (${how}); restart it by hand`,
        LAUNCH_FAILED,
      );
      this.#setState('failed');
      return;
    }
    this.#setState('starting');
    this.#restarting ??= this.#again(delay).finally(() => {
      this.#restarting = null;
    });
    await this.#restarting.catch(() => {});
  }

  async #again(delay: number): Promise<void> {
    await this.#end();
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    if (this.#disposed) return;
    this.#failure = null;
    this.#life = this.#begin();
    await this.#life;
    this.#restarted.fire();
  }

  async #end(): Promise<void> {
    const ending = this.#life;
    this.#life = null;
    const life = await ending?.catch(() => null);
    if (!life) return;
    const ended = life.child.exitCode ?? life.child.signalCode ?? once(life.child, 'exit');
    await life.client.dispose(FAREWELL_MS).catch(() => {});
    const timer = setTimeout(() => life.child.kill('SIGKILL'), FAREWELL_MS);
    await ended;
    clearTimeout(timer);
  }

  #setState(state: ServerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#stateChanged.fire(state);
  }
}

/** Last line that the process wrote to its error stream: why it could not start, where it could not. */
function lastLine(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = (tail + chunk).slice(-2000);
  });
  return () => tail.trim().split('\n').at(-1)?.trim() ?? '';
}
