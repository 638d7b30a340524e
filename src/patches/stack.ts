import type { PatchRef } from '../../server/protocol/message.ts';

/** Patches in the order in which they are applied. Every function gives a new stack. */
export type Stack = readonly PatchRef[];

/** Puts a patch on top, or sets the scale of one that is there. */
export const put = (stack: Stack, file: string, scale = 1): Stack =>
  stack.some((patch) => patch.file === file)
    ? stack.map((patch) => (patch.file === file ? { file, scale } : patch))
    : [...stack, { file, scale }];

export const take = (stack: Stack, file: string): Stack => stack.filter((patch) => patch.file !== file);

/** Moves a patch by one place: -1 is applied earlier, 1 later. */
export function move(stack: Stack, file: string, by: -1 | 1): Stack {
  const from = stack.findIndex((patch) => patch.file === file);
  const to = from + by;
  if (from < 0 || to < 0 || to >= stack.length) return stack;
  const moved = [...stack];
  [moved[from], moved[to]] = [moved[to]!, moved[from]!];
  return moved;
}

/** A scale as a user types it: `0.5`, `1.5`, `150 %`; null for anything else. */
export function parseScale(text: string): number | null {
  const match = text.trim().match(/^(-?\d+(?:[.,]\d+)?)\s*(%?)$/);
  if (!match) return null;
  const value = Number(match[1]!.replace(',', '.')) / (match[2] === '%' ? 100 : 1);
  return Math.abs(value) <= 100 ? value : null;
}

/** What the workspace remembers, made safe: it may have been written by another version. */
export function readStack(stored: unknown): Stack {
  if (!Array.isArray(stored)) return [];
  return stored.filter(
    (item): item is PatchRef => typeof item?.file === 'string' && Number.isFinite(item?.scale),
  );
}
