/** A value with the ones before and after it. */
export interface History<T> {
  readonly past: readonly T[];
  readonly present: T;
  readonly future: readonly T[];
  /** Changes of one gesture (a slider's drag) share a key and are undone together. */
  readonly gesture: string | null;
}

/** Steps that can be undone. */
const DEPTH = 200;

export const begin = <T>(present: T): History<T> => ({ past: [], present, future: [], gesture: null });

export function change<T>(history: History<T>, present: T, gesture: string | null = null): History<T> {
  if (gesture !== null && gesture === history.gesture) return { ...history, present, future: [] };
  return { past: [...history.past, history.present].slice(-DEPTH), present, future: [], gesture };
}

export function undo<T>(history: History<T>): History<T> {
  const present = history.past.at(-1);
  if (present === undefined) return history;
  return {
    past: history.past.slice(0, -1),
    present,
    future: [history.present, ...history.future],
    gesture: null,
  };
}

export function redo<T>(history: History<T>): History<T> {
  const [present, ...future] = history.future;
  if (present === undefined) return history;
  return { past: [...history.past, history.present], present, future, gesture: null };
}
