import type { Bits } from './bits.ts';
import { type Block, type Geometry, rangeOf } from './geometry.ts';
import { intensity, type Layer } from './values.ts';

/** How a cell's components stand to the selection and to the one it is compared with. */
export const Mark = { none: 0, part: 1, all: 2, added: 3, removed: 4, mixed: 5 } as const;
export type Mark = (typeof Mark)[keyof typeof Mark];

/** What is drawn in a block's cells, row by row, `columns` to a row. */
export interface Cells {
  block: Block;
  /** 0 none to 1 strongest, below 0 where it hurts. */
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

/**
 * Colours of the cells. A cell of several components has the root of their mean square, relative to the cell where it is
 * largest: the largest value alone would be high in almost every cell of a hundred neurons.
 */
export function fillIntensity(cells: readonly Cells[], layer: Layer | null): void {
  for (const part of cells) {
    if (!layer) part.intensity.fill(0);
    else if (part.block.perCell > 1) fillBins(part, layer);
    else {
      eachCell(part, (at, first) => {
        part.intensity[at] = intensity(layer, layer.values[first]!);
      });
    }
  }
}

function fillBins(part: Cells, { values, signed, power }: Layer): void {
  let most = 0;
  eachCell(part, (at, first, length) => {
    let squares = 0;
    let balance = 0;
    for (let i = first; i < first + length; i++) {
      const value = values[i]!;
      squares += value * value;
      balance += value * Math.abs(value);
    }
    const size = Math.sqrt(squares / length);
    most = Math.max(most, size);
    part.intensity[at] = signed && balance > 0 ? -size : size;
  });
  for (let i = 0; i < part.intensity.length; i++) {
    const size = part.intensity[i]!;
    part.intensity[i] = most > 0 ? Math.sign(size) * (Math.abs(size) / most) ** power : 0;
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
