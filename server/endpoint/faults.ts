/** A request failed in a way that may pass: it is sent again. */
export class Fault extends Error {
  override name = 'Fault';
  /** Milliseconds that the server asks to wait; null where it says nothing. */
  readonly retryAfter: number | null;
  /** HTTP status; null where there was no answer, or one that broke off. */
  readonly status: number | null;

  constructor(message: string, { retryAfter = null, status = null }: Partial<Omit<Fault, keyof Error>> = {}) {
    super(message);
    this.retryAfter = retryAfter;
    this.status = status;
  }
}

/** No connection came about. */
export class Unreachable extends Fault {}

/** The server understood the request and will not do it (HTTP 4xx): sending it again does not help. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(`HTTP ${status}${message && `: ${message}`}`);
    this.status = status;
  }
}

/** How long to wait before a request is sent again, in milliseconds. */
export interface Pace {
  first: number;
  longest: number;
}

export const defaultPace: Pace = { first: 500, longest: 60_000 };

/**
 * Exponential back-off with jitter: between half of the full wait and all of it, doubled with each failure, so that
 * requests that failed together do not come back together. Never less than what the server asked for.
 * @param failures how often the request has failed, from 1
 */
export function backOff(failures: number, { first, longest }: Pace, retryAfter: number | null): number {
  const full = Math.min(longest, first * 2 ** (failures - 1));
  return Math.max(full * (0.5 + 0.5 * Math.random()), retryAfter ?? 0);
}

/** Milliseconds of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3); null for anything else. */
export function retryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null) return null;
  if (/^\s*\d+(\.\d+)?\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** What a server says is wrong, out of the shapes that servers say it in. */
export function messageOf(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return body;
  }
  const { error, message, detail } = (value ?? {}) as Record<string, unknown>;
  const said = (error as { message?: unknown } | undefined)?.message ?? error ?? message ?? detail ?? value;
  return typeof said === 'string' ? said : JSON.stringify(said);
}
