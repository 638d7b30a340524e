import { CancellationError } from 'vscode';
import { messageOf } from '../notify.ts';
import { ENGINE_GONE, ServerError } from './server.ts';

/** Of the Language Server Protocol. */
const REQUEST_CANCELLED = -32800;
/** JSON-RPC's codes of what became of a connection: not written to, not read, closed with requests open, ended. */
const CONNECTION = { first: -32099, last: -32096 };

/**
 * What a request's caller is told. Whatever is no answer of the engine comes of its end, which a request may notice before the
 * process's end is known here.
 */
export function requestError(reason: unknown, cancelled: boolean): Error {
  const code = (reason as { code?: unknown }).code;
  if (cancelled || code === REQUEST_CANCELLED) return new CancellationError();
  // Above zero are the client's own, for a connection that it has closed.
  const answered =
    typeof code === 'number' && code < 0 && !(code >= CONNECTION.first && code <= CONNECTION.last);
  if (answered) return new ServerError(messageOf(reason), code);
  return new ServerError('the engine ended before it answered; it is being started again', ENGINE_GONE);
}
