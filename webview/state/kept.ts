import type { TrainingChoices } from '../../server/protocol/panel.ts';
import { Bits } from '../circuit/bits.ts';
import { begin } from '../circuit/history.ts';
import { type Lens, lenses } from '../circuit/values.ts';
import type { State } from './state.ts';

/** What outlives a reload of the window. */
export interface Kept {
  run: string;
  lens: Lens;
  zoom: number | null;
  focus: number | null;
  selection: string;
  size: number;
  choices: TrainingChoices;
}

export function freeze({ circuit, lens, zoom, focus, selection, choices }: State): Kept | null {
  if (!circuit) return null;
  const { size } = circuit.space;
  return { run: circuit.view.run, lens, zoom, focus, selection: selection.present.encode(), size, choices };
}

/** A kept state, or null for anything else: it may be another version's. */
export function readKept(value: unknown): Kept | null {
  const kept = value as Partial<Kept> | null | undefined;
  const whole =
    typeof kept?.run === 'string' &&
    typeof kept.selection === 'string' &&
    typeof kept.size === 'number' &&
    lenses.includes(kept.lens as Lens) &&
    typeof kept.choices?.steps === 'number' &&
    Array.isArray(kept.choices.variants);
  return whole ? (kept as Kept) : null;
}

/** Brings back what was kept, where it belongs to the run that is shown. */
export function thaw(state: State, kept: Kept): State {
  const { circuit } = state;
  if (!circuit || kept.run !== circuit.view.run || kept.size !== circuit.space.size) return state;
  const { layers } = circuit.space.shape;
  const selection = Bits.decode(kept.size, kept.selection);
  return {
    ...state,
    lens: kept.lens,
    zoom: kept.zoom !== null && kept.zoom < layers ? kept.zoom : null,
    focus: kept.focus !== null && kept.focus < kept.size ? kept.focus : null,
    selection: selection.equals(circuit.own) ? state.selection : { ...begin(selection), past: [circuit.own] },
    choices: { ...state.choices, ...kept.choices },
  };
}
