import type { Bits } from '../circuit/bits.ts';
import { between, type Cell, type Geometry, hit, nearest } from '../circuit/geometry.ts';
import { keyAction } from '../circuit/keys.ts';
import type { Store } from '../state/store.ts';

/** The drawn cells as pointer and keyboard see them. */
export interface Surface {
  element: HTMLElement;
  geometry(): Geometry | null;
  /** The cell with the focus. */
  at(): Cell;
  /** Components of a cell: flat position of the first, and how many. */
  range(cell: Cell): [number, number] | null;
  goTo(cell: Cell, focus: boolean): void;
  /** Describes a cell beside the grid; null: the one with the focus. */
  say(cell: Cell | null): void;
}

/** A range under way: where it began, what was selected then, and whether it selects or deselects. */
interface Stretch {
  from: Cell;
  base: Bits;
  member: boolean;
  /** Its changes are undone together. */
  gesture: string;
}

/** Digits typed within this time are one number, milliseconds. */
const TYPING = 900;

let gestures = 0;

function begin(store: Store, from: Cell, member: boolean): Stretch {
  gestures++;
  return { from, base: store.state.selection.present, member, gesture: `range ${gestures}` };
}

function reach(store: Store, surface: Surface, { from, base, member, gesture }: Stretch, to: Cell): void {
  const geometry = surface.geometry();
  if (!geometry) return;
  store.dispatch({ type: 'select', selection: base.with(between(geometry, from, to), member), gesture });
}

/** A click toggles, a drag takes a range, Shift one from the last click on; Alt only looks. */
export function attachPointer(store: Store, surface: Surface): void {
  const { element } = surface;
  let drag: Stretch | null = null;
  let anchor: Cell | null = null;

  const cellUnder = (event: MouseEvent): Cell | null => {
    const box = element.getBoundingClientRect();
    const geometry = surface.geometry();
    return geometry && hit(geometry, event.clientX - box.left, event.clientY - box.top);
  };

  element.addEventListener('pointerdown', (event) => {
    const cell = event.button === 0 ? cellUnder(event) : null;
    const range = cell && surface.range(cell);
    if (!cell || !range) return;
    event.preventDefault();
    const from = event.shiftKey ? (anchor ?? surface.at()) : cell;
    surface.goTo(cell, true);
    if (event.altKey) return;
    const member = event.shiftKey || store.state.selection.present.countIn(...range) < range[1];
    drag = begin(store, from, member);
    anchor = from;
    element.setPointerCapture(event.pointerId);
    reach(store, surface, drag, cell);
  });
  element.addEventListener('pointermove', (event) => {
    const cell = cellUnder(event);
    if (cell) surface.say(cell);
    if (drag && cell) reach(store, surface, drag, cell);
  });
  const end = () => {
    drag = null;
  };
  element.addEventListener('pointerup', end);
  element.addEventListener('pointercancel', end);
  element.addEventListener('pointerleave', () => surface.say(null));
  element.addEventListener('dblclick', (event) => {
    const cell = cellUnder(event);
    const range = cell && surface.range(cell);
    const { circuit, zoom } = store.state;
    if (!range || !circuit || zoom !== null) return;
    store.dispatch({ type: 'zoom', layer: circuit.space.at(range[0]).layer });
  });
}

/** Arrows move, Shift+arrows take a range, Space toggles, digits go to a layer; keys.ts has them all. */
export function attachKeys(store: Store, surface: Surface): void {
  let typed = { text: '', time: 0 };
  let stretch: Stretch | null = null;

  surface.element.addEventListener('keydown', (event) => {
    const { circuit, selection, zoom } = store.state;
    const geometry = surface.geometry();
    const at = surface.at();
    const range = surface.range(at);
    if (!geometry || !circuit || !range) return;
    const digits = event.timeStamp - typed.time < TYPING ? typed.text : '';
    const action = keyAction(geometry, at, event, digits);
    if (!action || (action.do === 'back' && zoom === null)) return;
    event.preventDefault();
    event.stopPropagation();
    if (action.do !== 'move' || !action.extend) stretch = null;
    const base = selection.present;
    switch (action.do) {
      case 'move':
        if (action.extend) {
          stretch ??= begin(store, at, true);
          reach(store, surface, stretch, action.to);
        }
        surface.goTo(action.to, true);
        break;
      case 'toggle':
        store.dispatch({ type: 'select', selection: base.with([range], base.countIn(...range) < range[1]) });
        break;
      case 'all': {
        const shown = geometry.blocks.flatMap(({ starts, lengths }) =>
          starts.map((first, r) => [first, lengths[r]!] as const),
        );
        store.dispatch({ type: 'select', selection: base.with(shown, true) });
        break;
      }
      case 'open':
        if (zoom === null) store.dispatch({ type: 'zoom', layer: circuit.space.at(range[0]).layer });
        break;
      case 'back':
        store.dispatch({ type: 'zoom', layer: null });
        break;
      case 'layer': {
        const { layers } = circuit.space.shape;
        const layer = action.layer < layers ? action.layer : Number(event.key);
        typed = { text: String(layer), time: event.timeStamp };
        if (layer >= layers) break;
        if (zoom !== null) store.dispatch({ type: 'zoom', layer });
        else surface.goTo(nearest(geometry, { row: layers - 1 - layer, column: at.column }), true);
        break;
      }
    }
  });
}
