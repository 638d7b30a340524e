import type { CancellationToken, Disposable, Event } from 'vscode';
import type { Notification, Request } from '../../server/protocol/message.ts';

/** How far the engine's process is. */
export type ServerState = 'stopped' | 'starting' | 'running' | 'failed';

export interface RequestOptions<Part> {
  /** Cancelling it makes the request reject with a `CancellationError`. */
  token?: CancellationToken;
  /** Partial results, in order, before the result. */
  onPart?: (part: Part) => void;
}

/**
 * The engine's process as the editor's side sees it. The first request starts it; after a crash it is started again with
 * back-off, and requests in flight reject with a one-line error.
 */
export interface Server {
  /** @throws ServerError with one line for the user; CancellationError where the token was cancelled */
  request<P, R, Part>(request: Request<P, R, Part>, params: P, options?: RequestOptions<Part>): Promise<R>;
  /** Survives restarts. */
  onNotification<P>(notification: Notification<P>, listener: (params: P) => void): Disposable;
  /** Starts the process where it is not running. */
  readonly ready: Promise<void>;
  readonly state: ServerState;
  readonly onState: Event<ServerState>;
  /** The process was started again: what it knew of this window is gone. */
  readonly onRestart: Event<void>;
}

/** Code of a request that the engine's process did not live to answer: that it ended is told once, for all of them. */
export const ENGINE_GONE = -32097;

/** A request that failed. `message` is one line: what, where, what to do. */
export class ServerError extends Error {
  /** One of `errorCodes`, or the protocol's own. */
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.name = 'ServerError';
    this.code = code;
  }
}
