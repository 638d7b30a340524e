import { Cancelled } from './errors.ts';

/** Asked to stop? An AbortSignal fits; so does a flag in shared memory, which is seen between two event-loop turns. */
export interface Signal {
  readonly aborted: boolean;
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
