import type { ComponentKind } from '../../server/protocol/circuit.ts';
import { kinds, type Space } from './space.ts';

/**
 * Cells of one kind of component, in rows and columns. A cell holds `perCell` components in flat order; all rows begin a
 * new cell.
 */
export interface Block {
  kind: ComponentKind;
  /** Pixels, of the first cell's corner. */
  x: number;
  y: number;
  cellWidth: number;
  cellHeight: number;
  rows: number;
  columns: number;
  /** Its first cell's place among the rows and columns of all blocks. */
  row: number;
  column: number;
  perCell: number;
  /** By row: flat position of the first component, and how many there are. */
  starts: readonly number[];
  lengths: readonly number[];
}

/** Where the components of a model, or of one layer, are drawn. */
export interface Geometry {
  /** Layer that it shows; null for all. */
  layer: number | null;
  width: number;
  height: number;
  rows: number;
  columns: number;
  blocks: readonly Block[];
  /** A range follows the flat order from cell to cell (else it is a rectangle). */
  wraps: boolean;
}

/** A cell by its place among all rows and columns. */
export interface Cell {
  row: number;
  column: number;
}

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Room above a block for its name, and left of it for the layers' numbers. */
export const HEADING = 20;
const GUTTER = 34;
const BLOCK_GAP = 16;
/** Narrower panels show the neurons below the heads. */
const STACK_BELOW = 560;

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));

/** All layers, the last one on top: heads one to a cell, neurons in as many bins as there is room for. */
export function overview(space: Space, width: number): Geometry {
  const { layers, heads, kvHeads, neurons } = space.shape;
  const stacked = width < STACK_BELOW;
  const cellHeight = clamp(Math.floor(440 / layers), 11, 24);
  const inner = Math.max(120, width - GUTTER);
  const headCells = heads + 2 * kvHeads;
  const headRoom = (stacked ? inner : inner * 0.42) - 2 * BLOCK_GAP;
  const headWidth = clamp(Math.floor((2 * headRoom) / headCells) / 2, 3, 24);
  const starts = (kind: ComponentKind) =>
    Array.from({ length: layers }, (_, row) => space.offset(kind, layers - 1 - row));

  const blocks: Block[] = [];
  let x = GUTTER;
  let y = HEADING;
  let column = 0;
  const add = (kind: ComponentKind, columns: number, cellWidth: number, perCell: number) => {
    const place = { x, y, cellWidth, cellHeight, rows: layers, columns, row: 0, column, perCell };
    blocks.push({ kind, ...place, starts: starts(kind), lengths: Array(layers).fill(space.width(kind)) });
    x += columns * cellWidth + BLOCK_GAP;
    column += columns;
  };
  for (const kind of ['q', 'k', 'v'] as const) add(kind, space.width(kind), headWidth, 1);
  if (stacked) {
    x = GUTTER;
    y += layers * cellHeight + HEADING + 8;
  }
  const room = Math.max(60, width - x);
  const bins = Math.max(1, Math.min(neurons, Math.floor(room / (neurons > 4096 ? 4 : 8))));
  const perCell = Math.max(1, Math.ceil(neurons / bins));
  const columns = Math.ceil(neurons / perCell);
  add('mlp', columns, Math.min(24, room / Math.max(1, columns)), perCell);
  return {
    layer: null,
    width: Math.max(width, ...blocks.map((block) => block.x + block.columns * block.cellWidth)),
    height: y + layers * cellHeight + 4,
    rows: layers,
    columns: column,
    blocks,
    wraps: false,
  };
}

/** One layer, a component to a cell, in lines that wrap. */
export function layerMap(space: Space, layer: number, width: number): Geometry {
  const blocks: Block[] = [];
  let y = HEADING;
  let row = 0;
  let widest = 0;
  for (const kind of kinds) {
    const count = space.width(kind);
    if (count === 0) continue;
    const cell = kind === 'mlp' ? 14 : clamp(Math.floor((width - GUTTER) / count), 14, 22);
    const columns = clamp(Math.floor((width - GUTTER) / cell), 1, count);
    const rows = Math.ceil(count / columns);
    const starts = Array.from({ length: rows }, (_, r) => space.offset(kind, layer) + r * columns);
    const lengths = starts.map((_, r) => Math.min(columns, count - r * columns));
    const place = { x: GUTTER, y, cellWidth: cell, cellHeight: cell, rows, columns, row, column: 0 };
    blocks.push({ kind, ...place, perCell: 1, starts, lengths });
    y += rows * cell + HEADING + 6;
    row += rows;
    widest = Math.max(widest, columns);
  }
  return { layer, width, height: y - HEADING, rows: row, columns: widest, blocks, wraps: true };
}

/** Cells in a row of a block: the last row of a wrapped one may be short. */
const cellsIn = (block: Block, row: number) => Math.ceil(block.lengths[row - block.row]! / block.perCell);

export function blockAt({ blocks }: Geometry, { row, column }: Cell): Block | null {
  const inside = (block: Block) =>
    row >= block.row &&
    row < block.row + block.rows &&
    column >= block.column &&
    column < block.column + cellsIn(block, row);
  return blocks.find(inside) ?? null;
}

/** Components of a cell: flat position of the first, and how many. */
export function rangeOf(block: Block, { row, column }: Cell): [number, number] {
  const at = (column - block.column) * block.perCell;
  const line = row - block.row;
  return [block.starts[line]! + at, Math.min(block.perCell, block.lengths[line]! - at)];
}

export function rectOf(block: Block, { row, column }: Cell): Rect {
  const { x, y, cellWidth: width, cellHeight: height } = block;
  return { x: x + (column - block.column) * width, y: y + (row - block.row) * height, width, height };
}

/** The cell under a point; null between blocks. */
export function hit(geometry: Geometry, x: number, y: number): Cell | null {
  for (const block of geometry.blocks) {
    const row = Math.floor((y - block.y) / block.cellHeight);
    const column = Math.floor((x - block.x) / block.cellWidth);
    if (row < 0 || row >= block.rows || column < 0) continue;
    const cell = { row: row + block.row, column: column + block.column };
    if (column < cellsIn(block, cell.row)) return cell;
  }
  return null;
}

/** The cell that holds a component; null where another layer is shown. */
export function cellOf(geometry: Geometry, position: number): Cell | null {
  for (const block of geometry.blocks) {
    for (let r = 0; r < block.rows; r++) {
      const at = position - block.starts[r]!;
      if (at >= 0 && at < block.lengths[r]!) {
        return { row: block.row + r, column: block.column + Math.floor(at / block.perCell) };
      }
    }
  }
  return null;
}

/** The nearest cell to a place: rows and columns beyond the last are drawn in. */
export function nearest(geometry: Geometry, { row, column }: Cell): Cell {
  const r = clamp(row, 0, geometry.rows - 1);
  const inRow = geometry.blocks.filter((block) => r >= block.row && r < block.row + block.rows);
  const last = inRow.at(-1)!;
  return { row: r, column: clamp(column, 0, last.column + cellsIn(last, r) - 1) };
}

/** Components between two cells: everything on the way in the flat order, or the rectangle that they span. */
export function between(geometry: Geometry, from: Cell, to: Cell): [number, number][] {
  const block = blockAt(geometry, from);
  if (geometry.wraps && block && block === blockAt(geometry, to)) {
    const [a, aLength] = rangeOf(block, from);
    const [b, bLength] = rangeOf(block, to);
    const first = Math.min(a, b);
    return [[first, Math.max(a + aLength, b + bLength) - first]];
  }
  const [top, bottom] = [Math.min(from.row, to.row), Math.max(from.row, to.row)];
  const [left, right] = [Math.min(from.column, to.column), Math.max(from.column, to.column)];
  const ranges: [number, number][] = [];
  for (const part of geometry.blocks) {
    const begin = Math.max(left, part.column);
    for (let row = Math.max(top, part.row); row <= Math.min(bottom, part.row + part.rows - 1); row++) {
      const end = Math.min(right, part.column + cellsIn(part, row) - 1);
      if (begin > end) continue;
      const [first] = rangeOf(part, { row, column: begin });
      const [last, length] = rangeOf(part, { row, column: end });
      ranges.push([first, last + length - first]);
    }
  }
  return ranges;
}
