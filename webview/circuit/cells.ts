import type { Bits } from './bits.ts';
import { type Block, type Geometry, rangeOf } from './geometry.ts';
import { intensity, type Layer, strongest } from './values.ts';

/** How a cell's components stand to the selection and to the one it is compared with. */
export const Mark = { none: 0, part: 1, all: 2, added: 3, removed: 4, mixed: 5 } as const;
export type Mark = (typeof Mark)[keyof typeof Mark];

/** What is drawn in a block's cells, row by row, `columns` to a row. */
export interface Cells {
  block: Block;
  /** 0 none to 1 strongest, below 0 where it hurts: of the strongest component in the cell. */
  intensity: Float32Array;
  marks: Uint8Array;
}

export function makeCells(geometry: Geometry): Cells[] {
  return geometry.blocks.map((block) => ({
    block,
    intensity: new Float32Array(block.rows * block.columns),
    marks: new Uint8Array(block.rows * block.columns),
  }));
}

function eachCell({ block }: Cells, visit: (at: number, first: number, length: number) => void): void {
  for (let r = 0; r < block.rows; r++) {
    const columns = Math.ceil(block.lengths[r]! / block.perCell);
    for (let c = 0; c < columns; c++) {
      const [first, length] = rangeOf(block, { row: block.row + r, column: block.column + c });
      visit(r * block.columns + c, first, length);
    }
  }
}

/** Bins the values: a cell has the colour of its strongest component. */
export function fillIntensity(cells: readonly Cells[], layer: Layer | null): void {
  for (const part of cells) {
    part.intensity.fill(0);
    if (!layer) continue;
    eachCell(part, (at, first, length) => {
      part.intensity[at] = intensity(layer, layer.values[strongest(layer, first, length)]!);
    });
  }
}

/** Marks what is selected; compared with another selection, what was added to it and removed from it. */
export function fillMarks(cells: readonly Cells[], selection: Bits, other: Bits | null): void {
  for (const part of cells) {
    eachCell(part, (at, first, length) => {
      const now = selection.countIn(first, length);
      part.marks[at] = other
        ? compareMark(now, other.countIn(first, length), selection, other, first, length)
        : now === 0
          ? Mark.none
          : now === length
            ? Mark.all
            : Mark.part;
    });
  }
}

function compareMark(
  now: number,
  before: number,
  selection: Bits,
  other: Bits,
  first: number,
  length: number,
): Mark {
  if (now === 0 && before === 0) return Mark.none;
  if (before === 0) return Mark.added;
  if (now === 0) return Mark.removed;
  for (let i = first; i < first + length; i++) if (selection.has(i) !== other.has(i)) return Mark.mixed;
  return now === length ? Mark.all : Mark.part;
}
