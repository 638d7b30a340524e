/** The built server as a process, and an editor's side of the protocol that asks it. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  CancellationTokenSource,
  createMessageConnection,
  type InitializeResult,
  type MessageConnection,
  ProgressType,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver/node';
import type { ServerOptions } from '../../server/protocol/engine.ts';
import type { Notification, Request } from '../../server/protocol/message.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const demo = path.join(root, 'media', 'demo');
export const model = path.join(demo, 'model');

export interface AskOptions<Part> {
  onPart?: (part: Part) => void;
  /** Asks to cancel when it fires. */
  cancel?: AbortSignal;
}

export class Editor {
  readonly process: ChildProcess;
  readonly connection: MessageConnection;
  readonly stderr: string[] = [];
  readonly logged: string[] = [];
  initialized!: InitializeResult;
  /** Times that lenses were to be asked for again. */
  refreshed = 0;
  private readonly heard: { method: string; params: unknown }[] = [];
  private readonly waiting = new Set<() => void>();
  private tokens = 0;

  /** @param env added to this process's own */
  constructor(program = path.join(root, 'dist', 'server.mjs'), env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => this.stderr.push(text));
    this.connection = createMessageConnection(
      new StreamMessageReader(this.process.stdout!),
      new StreamMessageWriter(this.process.stdin!),
    );
    this.connection.onNotification((method, params) => {
      if (method === 'window/logMessage') this.logged.push((params as { message: string }).message);
      this.heard.push({ method, params });
      for (const wake of this.waiting) wake();
    });
    this.connection.onRequest((method) => {
      if (method === 'workspace/codeLens/refresh') this.refreshed++;
      return null;
    });
    // A killed server leaves a broken pipe behind.
    this.connection.onError(() => undefined);
    this.process.stdin!.on('error', () => undefined);
    this.connection.listen();
  }

  async start(
    options: Partial<ServerOptions> & { storage: string },
    folders: readonly string[],
    processId: number | null = process.pid,
  ): Promise<this> {
    this.initialized = await this.connection.sendRequest('initialize', {
      processId,
      rootUri: null,
      capabilities: { workspace: { workspaceFolders: true, codeLens: { refreshSupport: true } } },
      workspaceFolders: folders.map((folder) => ({ uri: uri(folder), name: path.basename(folder) })),
      initializationOptions: { ...defaults, ...options },
    });
    await this.connection.sendNotification('initialized', {});
    return this;
  }

  ask<P, R, Part>(request: Request<P, R, Part>, params: P, options: AskOptions<Part> = {}): Promise<R> {
    return this.send(request.method, params, options);
  }

  async send<R, Part = unknown>(
    method: string,
    params: unknown,
    { onPart, cancel }: AskOptions<Part> = {},
  ): Promise<R> {
    const source = new CancellationTokenSource();
    cancel?.addEventListener('abort', () => source.cancel());
    const partialResultToken = `part-${this.tokens++}`;
    const listening = onPart
      ? this.connection.onProgress(new ProgressType<Part>(), partialResultToken, (part) =>
          onPart(part as Part),
        )
      : null;
    try {
      const sent = onPart ? { ...(params as object), partialResultToken } : params;
      return await this.connection.sendRequest<R>(method, sent, source.token);
    } finally {
      listening?.dispose();
    }
  }

  /** Notifications of a kind that have come. */
  all<P>(notification: Notification<P>): P[] {
    return this.heard.filter(({ method }) => method === notification.method).map(({ params }) => params as P);
  }

  /** The first notification, come or to come, that fits. */
  async when<P>(notification: Notification<P>, fits: (params: P) => boolean, seconds = 150): Promise<P> {
    const deadline = Date.now() + 1000 * seconds;
    for (;;) {
      const found = this.all(notification).find(fits);
      if (found) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${notification.method} that fits; log: ${this.logged.join('\n')}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.waiting.add(wake);
      });
    }
  }

  open(file: string, text: string, languageId = 'cca-trace', version = 1): string {
    const textDocument = { uri: uri(file), languageId, version, text };
    void this.connection.sendNotification('textDocument/didOpen', { textDocument });
    return textDocument.uri;
  }

  change(document: string, version: number, text: string): void {
    void this.connection.sendNotification('textDocument/didChange', {
      textDocument: { uri: document, version },
      contentChanges: [{ text }],
    });
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    await this.connection.sendRequest('shutdown');
    await this.connection.sendNotification('exit');
    await ended;
    this.connection.dispose();
  }

  /** Ends the server as a crash would. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await ended;
    this.connection.dispose();
  }
}

const defaults: ServerOptions = {
  trusted: true,
  storage: '',
  device: 'cpu',
  threads: 2,
  lean: false,
  background: false,
  topK: 4,
  maxTokens: 96,
  model: null,
  models: [],
};

export const uri = (file: string) => pathToFileURL(file).href;

/** The numbers of a base64 value. */
export function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** How a request failed. */
export async function failure(answer: Promise<unknown>): Promise<{ code: number; message: string }> {
  try {
    await answer;
  } catch (error) {
    const { code, message } = error as { code: number; message: string };
    return { code, message };
  }
  throw new Error('the request was answered');
}
