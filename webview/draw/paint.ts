import { type Cells, Mark } from '../circuit/cells.ts';
import { type Block, blockAt, type Cell, type Geometry, type Rect, rectOf } from '../circuit/geometry.ts';
import { h } from '../dom.ts';
import { type Palette, shade } from './palette.ts';

/** The part of the drawing that is in view. */
export interface Window {
  top: number;
  width: number;
  height: number;
  /** Device pixels per pixel. */
  ratio: number;
}

/** Draws the colours of the cells in view. */
export function paintFills(
  context: CanvasRenderingContext2D,
  cells: readonly Cells[],
  palette: Palette,
  view: Window,
): void {
  prepare(context, view);
  for (const part of cells) {
    eachInView(part, view, (rect, at) => fillCell(context, rect, part.intensity[at]!, palette));
  }
}

/** Draws the colours as they were drawn before, a frame around what is selected, a mark where the pivot leans. */
export function paintMarks(
  context: CanvasRenderingContext2D,
  fills: HTMLCanvasElement,
  geometry: Geometry,
  cells: readonly Cells[],
  leaning: readonly Cell[],
  palette: Palette,
  view: Window,
): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, fills.width, fills.height);
  context.drawImage(fills, 0, 0);
  frame(context, cells, palette, view);
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, -view.top * view.ratio);
  for (const cell of leaning) {
    const block = blockAt(geometry, cell);
    if (block) dot(context, rectOf(block, cell), palette);
  }
}

function prepare(context: CanvasRenderingContext2D, { top, width, height, ratio }: Window): void {
  context.setTransform(ratio, 0, 0, ratio, 0, -top * ratio);
  context.clearRect(0, top, width, height);
}

function eachInView({ block }: Cells, view: Window, visit: (rect: Rect, at: number) => void): void {
  for (const r of rowsInView(block, view)) {
    const columns = columnsOf(block, r);
    for (let c = 0; c < columns; c++) {
      visit(rectOf(block, { row: block.row + r, column: block.column + c }), r * block.columns + c);
    }
  }
}

function* rowsInView(block: Block, { top, height }: Window): Generator<number> {
  const last = Math.min(block.rows - 1, Math.floor((top + height - block.y) / block.cellHeight));
  for (let r = Math.max(0, Math.floor((top - block.y) / block.cellHeight)); r <= last; r++) yield r;
}

const columnsOf = (block: Block, row: number) => Math.ceil(block.lengths[row]! / block.perCell);

/** Room between cells: none where they are too narrow to spare it. */
const gapOf = (size: number) => (size >= 9 ? 2 : size >= 5 ? 1 : size >= 3 ? 0.5 : 0);

function inner({ x, y, width, height }: Rect): Rect {
  const gapX = gapOf(width);
  const gapY = gapOf(height);
  return { x: x + gapX / 2, y: y + gapY / 2, width: width - gapX, height: height - gapY };
}

function fillCell(context: CanvasRenderingContext2D, rect: Rect, intensity: number, palette: Palette): void {
  const { x, y, width, height } = inner(rect);
  context.fillStyle = shade(palette, intensity);
  context.fillRect(x, y, width, height);
  if (palette.edge !== 'rgb(0 0 0 / 0)' && width >= 4) {
    context.strokeStyle = palette.edge;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  }
  // What hurts is hollow: the difference does not hang on the hue alone.
  if (intensity < -0.12 && width >= 7 && height >= 7) {
    context.fillStyle = shade(palette, 0);
    const side = Math.min(width, height) / 3;
    context.fillRect(x + (width - side) / 2, y + (height - side) / 2, side, side);
  }
}

/**
 * A row of marked cells is drawn once and copied to where cells in a line have that mark: to draw each of thousands would
 * take longer than a frame lasts.
 */
function frame(
  context: CanvasRenderingContext2D,
  cells: readonly Cells[],
  palette: Palette,
  view: Window,
): void {
  const { ratio } = view;
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (const { block, marks } of cells) {
    const strips = stripsOf(block, palette, ratio);
    const left = Math.floor(block.x * ratio);
    const edge = (column: number) => Math.round((block.x + column * block.cellWidth) * ratio) - left;
    for (const r of rowsInView(block, view)) {
      const top = Math.round((block.y + r * block.cellHeight - view.top) * ratio);
      const columns = columnsOf(block, r);
      for (let c = 0, next = 0; c < columns; c = next) {
        const mark = marks[r * block.columns + c] as Mark;
        for (next = c + 1; next < columns && marks[r * block.columns + next] === mark; ) next++;
        if (mark === Mark.none) continue;
        const strip = strips.get(mark) ?? drawStrip(block, mark, palette, ratio);
        strips.set(mark, strip);
        const [x, width] = [edge(c), edge(next) - edge(c)];
        context.drawImage(strip, x, 0, width, strip.height, left + x, top, width, strip.height);
      }
    }
  }
}

interface Strips {
  palette: Palette;
  ratio: number;
  byMark: Map<Mark, HTMLCanvasElement>;
}

const drawn = new WeakMap<Block, Strips>();

/** What a block's rows are copied from, as long as it looks the same. */
function stripsOf(block: Block, palette: Palette, ratio: number): Strips['byMark'] {
  const known = drawn.get(block);
  if (known?.palette === palette && known.ratio === ratio) return known.byMark;
  const byMark: Strips['byMark'] = new Map();
  drawn.set(block, { palette, ratio, byMark });
  return byMark;
}

/** A row of a block with a mark on every cell, in device pixels. */
function drawStrip(block: Block, mark: Mark, palette: Palette, ratio: number): HTMLCanvasElement {
  const { cellWidth, cellHeight, columns } = block;
  const strip = h('canvas');
  strip.width = Math.ceil(columns * cellWidth * ratio) + 1;
  strip.height = Math.round(cellHeight * ratio);
  const context = strip.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, (block.x * ratio) % 1, 0);
  const wide = cellWidth >= 9;
  const line = wide ? 2 : 1.5;
  const bar = cellHeight >= 14 ? 3 : 2;
  if (mark === Mark.removed) context.setLineDash([3, 2]);
  for (let c = 0; c < columns; c++) {
    const { x, y, width, height } = inner({ x: c * cellWidth, y: 0, width: cellWidth, height: cellHeight });
    if (mark === Mark.part || mark === Mark.mixed) {
      // Some of the cell's neurons.
      context.fillStyle = palette.gap;
      context.fillRect(x, y + height - bar - 1, width, bar + 1);
      context.fillStyle = mark === Mark.part ? palette.ring : palette.added;
      context.fillRect(x, y + height - bar, width, bar);
      continue;
    }
    if (wide) {
      context.strokeStyle = palette.gap;
      context.lineWidth = 1;
      context.strokeRect(x + line + 0.5, y + line + 0.5, width - 2 * line - 1, height - 2 * line - 1);
    }
    context.strokeStyle =
      mark === Mark.added ? palette.added : mark === Mark.removed ? palette.removed : palette.ring;
    context.lineWidth = line;
    context.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
  }
  return strip;
}

/** A diamond in the cell's middle. */
function dot(context: CanvasRenderingContext2D, { x, y, width, height }: Rect, palette: Palette): void {
  const size = Math.max(3, Math.min(5, width / 3));
  const [cx, cy] = [x + width / 2, y + height / 2];
  context.beginPath();
  context.moveTo(cx, cy - size);
  context.lineTo(cx + size, cy);
  context.lineTo(cx, cy + size);
  context.lineTo(cx - size, cy);
  context.closePath();
  context.fillStyle = palette.pivot;
  context.fill();
  context.strokeStyle = palette.gap;
  context.lineWidth = 1;
  context.stroke();
}
