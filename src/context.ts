import { commands } from 'vscode';
import type { ContextKey } from './contributions.ts';

const known = new Map<ContextKey, boolean>();

/** Sets a key of `when` clauses; unchanged ones cost nothing. */
export function setContext(key: ContextKey, value: boolean): void {
  if (known.get(key) === value) return;
  known.set(key, value);
  void commands.executeCommand('setContext', key, value);
}
