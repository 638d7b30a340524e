import { type Cells, Mark } from '../circuit/cells.ts';
import { blockAt, type Cell, type Geometry, type Rect, rectOf } from '../circuit/geometry.ts';
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
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, -view.top * view.ratio);
  frame(context, cells, palette, view);
  for (const cell of leaning) {
    const block = blockAt(geometry, cell);
    if (block) dot(context, rectOf(block, cell), palette);
  }
}

function prepare(context: CanvasRenderingContext2D, { top, width, height, ratio }: Window): void {
  context.setTransform(ratio, 0, 0, ratio, 0, -top * ratio);
  context.clearRect(0, top, width, height);
}

function eachInView(
  { block }: Cells,
  { top, height }: Window,
  visit: (rect: Rect, at: number) => void,
): void {
  const firstRow = Math.max(0, Math.floor((top - block.y) / block.cellHeight));
  const lastRow = Math.min(block.rows - 1, Math.floor((top + height - block.y) / block.cellHeight));
  for (let r = firstRow; r <= lastRow; r++) {
    const columns = Math.ceil(block.lengths[r]! / block.perCell);
    for (let c = 0; c < columns; c++) {
      visit(rectOf(block, { row: block.row + r, column: block.column + c }), r * block.columns + c);
    }
  }
}

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

/** Frames of all cells of a sort are one path: a stroke for each would take longer than a frame lasts. */
function frame(
  context: CanvasRenderingContext2D,
  cells: readonly Cells[],
  palette: Palette,
  view: Window,
): void {
  for (const part of cells) {
    const { cellWidth, cellHeight } = part.block;
    const wide = cellWidth >= 9;
    const line = wide ? 2 : 1.5;
    const bar = cellHeight >= 14 ? 3 : 2;
    const frames = { ring: new Path2D(), added: new Path2D(), removed: new Path2D() };
    const [gaps, bars, mixed, under] = [new Path2D(), new Path2D(), new Path2D(), new Path2D()];
    eachInView(part, view, (rect, at) => {
      const mark = part.marks[at] as Mark;
      if (mark === Mark.none) return;
      const { x, y, width, height } = inner(rect);
      if (mark === Mark.part || mark === Mark.mixed) {
        // Some of the cell's neurons.
        under.rect(x, y + height - bar - 1, width, bar + 1);
        (mark === Mark.part ? bars : mixed).rect(x, y + height - bar, width, bar);
        return;
      }
      const path = mark === Mark.added ? frames.added : mark === Mark.removed ? frames.removed : frames.ring;
      path.rect(x + line / 2, y + line / 2, width - line, height - line);
      gaps.rect(x + line + 0.5, y + line + 0.5, width - 2 * line - 1, height - 2 * line - 1);
    });
    const fill = (path: Path2D, colour: string) => {
      context.fillStyle = colour;
      context.fill(path);
    };
    const stroke = (path: Path2D, colour: string, width: number) => {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke(path);
    };
    fill(under, palette.gap);
    fill(bars, palette.ring);
    fill(mixed, palette.added);
    if (wide) stroke(gaps, palette.gap, 1);
    stroke(frames.ring, palette.ring, line);
    stroke(frames.added, palette.added, line);
    context.setLineDash([3, 2]);
    stroke(frames.removed, palette.removed, line);
    context.setLineDash([]);
  }
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
