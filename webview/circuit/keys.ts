import { type Cell, type Geometry, nearest } from './geometry.ts';

/** What a key does in the grid of cells. */
export type KeyAction =
  | { do: 'move'; to: Cell; extend: boolean }
  | { do: 'toggle' | 'open' | 'back' | 'all' }
  /** Go to the layer of this number. */
  | { do: 'layer'; layer: number };

export interface Key {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

const PAGE = 5;
const END = Number.MAX_SAFE_INTEGER;

/** @param typed digits typed shortly before, the newest last */
export function keyAction(geometry: Geometry, at: Cell, event: Key, typed: string): KeyAction | null {
  if (event.altKey) return null;
  const { row, column } = at;
  const control = event.ctrlKey || event.metaKey;
  const move = (r: number, c: number): KeyAction => ({
    do: 'move',
    to: nearest(geometry, { row: r, column: c }),
    extend: event.shiftKey,
  });
  switch (event.key) {
    case 'ArrowLeft':
      return move(row, column - 1);
    case 'ArrowRight':
      return move(row, column + 1);
    case 'ArrowUp':
      return move(row - 1, column);
    case 'ArrowDown':
      return move(row + 1, column);
    case 'PageUp':
      return move(row - PAGE, column);
    case 'PageDown':
      return move(row + PAGE, column);
    case 'Home':
      return move(control ? 0 : row, 0);
    case 'End':
      return move(control ? END : row, END);
    case ' ':
      return { do: 'toggle' };
    case 'Enter':
      return { do: 'open' };
    case 'Escape':
      return { do: 'back' };
  }
  if (control) return event.key === 'a' ? { do: 'all' } : null;
  return /^\d$/.test(event.key) ? { do: 'layer', layer: Number(typed + event.key) } : null;
}
