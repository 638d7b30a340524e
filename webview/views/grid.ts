import { fillIntensity, fillMarks, makeCells } from '../circuit/cells.ts';
import {
  blockAt,
  type Cell,
  cellOf,
  type Geometry,
  HEADING,
  layerMap,
  nearest,
  overview,
  rangeOf,
  rectOf,
} from '../circuit/geometry.ts';
import { strongest } from '../circuit/values.ts';
import { cellWords, heading, valueName } from '../circuit/words.ts';
import { h, setText } from '../dom.ts';
import { paintFills, paintMarks } from '../draw/paint.ts';
import { type Palette, readPalette } from '../draw/palette.ts';
import { comparedWith, shownLayer } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { onThemeChange } from '../theme.ts';
import { attachKeys, attachPointer, type Surface } from './grid-input.ts';

/**
 * The components of all layers or of one, drawn on a canvas over which one real grid cell stands: the one with the
 * focus. That is what keyboards and screen readers see of it, so that half a million cells cost no elements.
 */
export function gridView(store: Store): HTMLElement {
  const canvas = h('canvas', { 'aria-hidden': 'true' });
  const labels = h('div', { 'aria-hidden': 'true', class: 'grid-labels' });
  const space = h(
    'div',
    { role: 'grid', 'aria-multiselectable': 'true', 'aria-describedby': 'grid-hint', class: 'grid-space' },
    canvas,
    labels,
  );
  const scroll = h('div', { class: 'grid-scroll' }, space);
  const readout = h('p', { class: 'readout' });
  const hint = h(
    'p',
    { id: 'grid-hint', class: 'hint' },
    'Click or Space selects, drag or Shift selects a range, Alt+click only looks. Enter opens a layer, Escape goes back; type a number to go to a layer.',
  );
  const element = h('div', { class: 'grid' }, scroll, readout, hint);
  const context = canvas.getContext('2d')!;
  // Colours change seldom, what is selected often: they are drawn apart.
  const fills = h('canvas');
  const fillContext = fills.getContext('2d')!;

  let width = 0;
  let geometry: Geometry | null = null;
  let cells: ReturnType<typeof makeCells> = [];
  let palette: Palette | null = null;
  let at: Cell = { row: 0, column: 0 };
  let cellElement: HTMLElement | null = null;
  let filled = false;

  const range = (cell: Cell): [number, number] | null => {
    const block = geometry && blockAt(geometry, cell);
    return block ? rangeOf(block, cell) : null;
  };

  const words = (cell: Cell): string => {
    const { state } = store;
    const here = range(cell);
    if (!here || !state.circuit) return '';
    const name = valueName(state.lens, state.circuit.view.method);
    return cellWords(state.circuit.space, here, shownLayer(state), name, state.selection.present);
  };

  const draw = () => {
    if (!geometry || width === 0) return;
    const { state } = store;
    palette ??= readPalette(
      element,
      state.lens === 'attribution' ? 'help' : state.lens === 'change' ? 'change' : 'mask',
    );
    const height = Math.min(geometry.height, scroll.clientHeight || geometry.height);
    const ratio = window.devicePixelRatio || 1;
    const [w, hgt] = [Math.round(geometry.width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== hgt) {
      canvas.width = fills.width = w;
      canvas.height = fills.height = hgt;
      filled = false;
      canvas.style.width = `${geometry.width}px`;
      canvas.style.height = `${height}px`;
    }
    const leaning = (state.pivot?.components ?? []).flatMap(({ component }) => {
      const cell = cellOf(geometry!, component);
      return cell ? [cell] : [];
    });
    const view = { top: scroll.scrollTop, width: geometry.width, height, ratio };
    if (!filled) paintFills(fillContext, cells, palette, view);
    filled = true;
    paintMarks(context, fills, geometry, cells, leaning, palette, view);
  };

  /** Puts the one real cell at `at`. A new element each time: screen readers read what newly takes the focus. */
  const placeCell = (focus: boolean) => {
    const block = geometry && blockAt(geometry, at);
    const here = range(at);
    if (!geometry || !block || !here) return;
    const rect = rectOf(block, at);
    const selected = store.state.selection.present.countIn(...here) === here[1];
    const cell = h('div', {
      role: 'gridcell',
      tabindex: 0,
      class: 'grid-cell',
      'aria-colindex': at.column + 1,
      'aria-selected': String(selected),
      'aria-label': words(at),
    });
    for (const side of ['width', 'height'] as const) cell.style[side] = `${Math.max(rect[side], 6)}px`;
    cell.style.transform = `translate(${rect.x}px, ${rect.y}px)`;
    const row = h('div', { role: 'row', class: 'grid-row', 'aria-rowindex': at.row + 1 }, cell);
    const old = cellElement?.parentElement;
    const had = cellElement !== null && document.activeElement === cellElement;
    space.append(row);
    cellElement = cell;
    if (focus || had) cell.focus({ preventScroll: true });
    old?.remove();
  };

  const reveal = () => {
    const block = geometry && blockAt(geometry, at);
    if (!block) return;
    const { y, height } = rectOf(block, at);
    if (y < scroll.scrollTop + HEADING) scroll.scrollTop = y - HEADING;
    else if (y + height > scroll.scrollTop + scroll.clientHeight) {
      scroll.scrollTop = y + height - scroll.clientHeight + 4;
    }
  };

  const goTo = (cell: Cell, focus: boolean) => {
    at = cell;
    placeCell(focus);
    reveal();
    setText(readout, words(at));
    const here = range(at);
    const layer = shownLayer(store.state);
    if (here) {
      store.dispatch({ type: 'focus', component: layer ? strongest(layer, ...here) : here[0] });
    }
  };

  const drawAll = () => {
    filled = false;
    draw();
  };

  const relabel = () => {
    if (!geometry) return;
    labels.replaceChildren();
    const { blocks, layer } = geometry;
    const say = (text: string, x: number, y: number, kind: string) => {
      const label = h('span', { class: kind }, text);
      label.style.transform = `translate(${x}px, ${y}px)`;
      labels.append(label);
      return label;
    };
    for (const block of blocks) say(heading(block), block.x, block.y - HEADING, 'grid-heading');
    for (const block of blocks.filter(({ x }) => x === blocks[0]!.x)) {
      const every = Math.ceil(15 / block.cellHeight);
      for (let r = 0; r < block.rows; r++) {
        const y = block.y + (r + 0.5) * block.cellHeight - 8;
        if (layer !== null) {
          // Index of the line's first component.
          if (r % every === 0) say(String(block.starts[r]! - block.starts[0]!), 0, y, 'grid-heading');
          continue;
        }
        const number = block.rows - 1 - r;
        if (number % every !== 0) continue;
        const label = say(`L${number}`, 0, y, 'grid-layer');
        label.title = `Open layer ${number}`;
        label.addEventListener('click', () => store.dispatch({ type: 'zoom', layer: number }));
      }
    }
  };

  const rebuild = () => {
    const { circuit, zoom, focus } = store.state;
    if (!circuit || width === 0) return;
    geometry = zoom === null ? overview(circuit.space, width) : layerMap(circuit.space, zoom, width);
    cells = makeCells(geometry);
    space.style.height = `${geometry.height}px`;
    space.style.width = `${geometry.width}px`;
    space.setAttribute('aria-rowcount', String(geometry.rows));
    space.setAttribute('aria-colcount', String(geometry.columns));
    space.setAttribute(
      'aria-label',
      zoom === null ? 'Components of all layers, the last layer on top' : `Components of layer ${zoom}`,
    );
    fillIntensity(cells, shownLayer(store.state));
    fillMarks(cells, store.state.selection.present, comparedWith(store.state));
    relabel();
    at = nearest(geometry, (focus !== null && cellOf(geometry, focus)) || at);
    placeCell(false);
    scroll.scrollTop = 0;
    reveal();
    drawAll();
  };

  store.watch(({ circuit, zoom }) => [circuit?.space, zoom], rebuild);
  store.watch(
    ({ lens }) => [lens],
    () => {
      palette = null;
    },
  );
  store.watch(
    (state) => [shownLayer(state)],
    (layer) => {
      fillIntensity(cells, layer);
      drawAll();
      cellElement?.setAttribute('aria-label', words(at));
      setText(readout, words(at));
    },
  );
  store.watch(
    (state) => [state.selection.present, state.compare, state.saved, state.circuit?.own],
    () => {
      if (!geometry) return;
      fillMarks(cells, store.state.selection.present, comparedWith(store.state));
      draw();
      const here = range(at);
      if (!here || !cellElement) return;
      const selected = store.state.selection.present.countIn(...here) === here[1];
      cellElement.setAttribute('aria-selected', String(selected));
      cellElement.setAttribute('aria-label', words(at));
      setText(readout, words(at));
    },
  );
  store.watch(({ pivot }) => [pivot], draw);
  store.watch(
    ({ focus }) => [focus],
    (focus) => {
      // Set from elsewhere: a pair's component, the cursor in a document.
      const here = range(at);
      if (focus === null || !geometry || !here || (focus >= here[0] && focus < here[0] + here[1])) return;
      const cell = cellOf(geometry, focus);
      if (!cell) return;
      at = cell;
      placeCell(false);
      reveal();
      setText(readout, words(at));
    },
  );

  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry!.contentRect.width);
    if (now === width) return;
    width = now;
    rebuild();
  }).observe(element);
  onThemeChange(() => {
    palette = null;
    drawAll();
  });
  scroll.addEventListener('scroll', drawAll);

  const surface: Surface = {
    element: space,
    geometry: () => geometry,
    at: () => at,
    range,
    goTo,
    say: (cell) => setText(readout, words(cell ?? at)),
  };
  attachPointer(store, surface);
  attachKeys(store, surface);
  return element;
}
