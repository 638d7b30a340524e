import { commands } from 'vscode';
import type { ContextKey } from './contributions.ts';

const known = new Map<ContextKey, boolean>();

/** Sets a key of `when` clauses; unchanged ones cost nothing. */
export function setContext(key: ContextKey, value: boolean): void {
  if (known.get(key) === value) return;
  known.set(key, value);
  void commands.executeCommand('setContext', key, value);
}

/**
 * Runs with keys unset, and sets them again. The editor's walkthroughs complete a step when its key becomes true, and never
 * one whose key was true before they were first shown.
 */
export async function withUnset(keys: readonly ContextKey[], run: () => Thenable<void>): Promise<void> {
  const set = keys.filter((key) => known.get(key));
  for (const key of set) setContext(key, false);
  await run();
  for (const key of set) setContext(key, true);
}
