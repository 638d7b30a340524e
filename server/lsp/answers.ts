/**
 * How every request is answered: checked, cancellable, and on its own. What goes wrong in one is its answer, in one line,
 * and no other's business.
 */
import {
  type CancellationToken,
  type Connection,
  ErrorCodes,
  type GenericRequestHandler,
  LSPErrorCodes,
  ProgressType,
  ResponseError,
} from 'vscode-languageserver/node';
import { Cancelled, InputError } from '../errors.ts';
import { errorCodes, type Request } from '../protocol/message.ts';
import type { Check } from './check.ts';

/** One request while it is being answered. */
export interface Ask<Part> {
  readonly signal: AbortSignal;
  /** Sends a partial result, where the editor asked for them. */
  part(value: Part): void;
}

/** The parameters of a request. */
export type ParamsOf<T> = T extends Request<infer P, infer _R, infer _Part> ? P : never;

type Handler<P, R, Part> = (params: P, ask: Ask<Part>) => R | Promise<R>;

export class Answers {
  private readonly connection: Connection;
  private readonly trusted: () => boolean;

  constructor(connection: Connection, trusted: () => boolean) {
    this.connection = connection;
    this.trusted = trusted;
  }

  /** Answers a request of our own. `needsTrust`: it loads a model, or starts or writes something. */
  on<P, R, Part>(
    request: Request<P, R, Part>,
    check: Check<P>,
    handler: Handler<P, R, Part>,
    { needsTrust = false }: { needsTrust?: boolean } = {},
  ): void {
    const answer: GenericRequestHandler<unknown, unknown> = (params: unknown, token: CancellationToken) =>
      this.guard(request.method, token, async (signal) => {
        const checked = check(params, '');
        if (needsTrust && !this.trusted()) refuseUntrusted();
        const partToken = (params as { partialResultToken?: string | number } | null)?.partialResultToken;
        const type = new ProgressType<Part>();
        return handler(checked, {
          signal,
          part: (value) => {
            if (partToken === undefined || signal.aborted) return;
            this.connection.sendProgress(type, partToken, value as never).catch(() => undefined);
          },
        });
      });
    this.connection.onRequest(request.method, answer);
  }

  /** Runs the answer to a request. @throws ResponseError, whatever went wrong */
  async guard<R>(
    name: string,
    token: CancellationToken,
    answer: (signal: AbortSignal) => R | Promise<R>,
  ): Promise<R> {
    const controller = new AbortController();
    const stop = token.onCancellationRequested(() => controller.abort(new Cancelled()));
    if (token.isCancellationRequested) controller.abort(new Cancelled());
    try {
      return await answer(controller.signal);
    } catch (error) {
      throw this.responseError(name, error, controller.signal);
    } finally {
      stop.dispose();
    }
  }

  /** Tells the editor's log of a defect. */
  readonly log = (where: string, error: unknown): void => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.stack}` : '';
    this.connection.console.error(`${where}: ${stack}${cause}`);
  };

  private responseError(name: string, error: unknown, signal: AbortSignal): ResponseError<unknown> {
    if (error instanceof ResponseError) return error;
    if (error instanceof Cancelled || signal.aborted) {
      return new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
    }
    if (error instanceof InputError) {
      return new ResponseError(errorCodes.input, error.message, { where: error.where });
    }
    this.log(name, error);
    return new ResponseError(ErrorCodes.InternalError, oneLine(error));
  }
}

export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

function refuseUntrusted(): never {
  const message = 'the workspace is not trusted: no model is loaded and nothing is run. Trust it to go on.';
  throw new ResponseError(errorCodes.untrusted, message);
}

export function refuseStale(uri: string): never {
  throw new ResponseError(errorCodes.stale, `${uri}: has been changed since. Ask again.`);
}
