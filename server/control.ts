import { Cancelled } from './errors.ts';

/** Kinds of model work, each with a cost per token that hardly depends on what it is for. */
export type WorkKind =
  /** Forward passes over given tokens. */
  | 'forward'
  /** Tokens made, many sequences side by side. */
  | 'decode'
  /** Forward and backward passes over given tokens. */
  | 'train'
  /** The same with labels drawn and gradients squared, sequence by sequence (Fisher information). */
  | 'norms'
  /** Mask steps: the last token of a prefix, forward and backward. */
  | 'mask'
  /** Tokens made by a server. */
  | 'served';

/** Asked to stop? An AbortSignal fits; so does a flag in shared memory, which is seen between two event-loop turns. */
export interface Signal {
  readonly aborted: boolean;
  /** Hears of every piece of model work that has been done under this signal, for progress. */
  worked?(kind: WorkKind, tokens: number): void;
}

export const neverAborted: Signal = { aborted: false };

const TURN_EVERY_MS = 25;
let lastTurn = 0;

/**
 * To be awaited between units of model work: throws Cancelled when asked to stop, and lets the event loop turn now
 * and then, since a session's run blocks its thread.
 */
export async function breathe(signal: Signal): Promise<void> {
  if (signal.aborted) throw new Cancelled();
  const now = performance.now();
  if (now - lastTurn < TURN_EVERY_MS) return;
  await new Promise((resolve) => setImmediate(resolve));
  lastTurn = performance.now();
  if (signal.aborted) throw new Cancelled();
}
