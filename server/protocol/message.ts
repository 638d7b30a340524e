/**
 * What the editor and the engine's process say to each other beyond the Language Server Protocol. Types and names only:
 * the one place that both sides and the webview share. Values are JSON; numbers in bulk travel as base64 (`Float32s`).
 */

/** A request's name with the types of its parameters, result and partial results. */
export interface Request<P, R, Part = never> {
  readonly method: string;
  /** Never there: carries the types. */
  readonly types?: { params: P; result: R; part: Part };
}

/** A notification's name with the type of its parameters. */
export interface Notification<P> {
  readonly method: string;
  readonly types?: { params: P };
}

export const request = <P, R, Part = never>(method: string): Request<P, R, Part> => ({ method });
export const notification = <P>(method: string): Notification<P> => ({ method });

/** Place in a document, zero-based, `character` in UTF-16 units, as in the Language Server Protocol. */
export interface Position {
  line: number;
  character: number;
}

export interface Range {
  start: Position;
  end: Position;
}

/** Float32 numbers, little-endian, as base64. */
export type Float32s = string;

/** Requests with partial results carry this; the parts come as `$/progress` of the token. */
export interface Streamed {
  partialResultToken?: string | number;
}

/** A patch file and how much of it is applied: 0 none, 1 as trained. Several are stacked in order. */
export interface PatchRef {
  file: string;
  scale: number;
}

/** Codes of failures that the editor treats apart; every message is one line: what, where, what to do. */
export const errorCodes = {
  /** Bad input that the user can mend. */
  input: -32001,
  /** The workspace is not trusted: nothing is loaded or run. */
  untrusted: -32002,
  /** The document's version is not the one that was asked about. */
  stale: -32801,
} as const;
