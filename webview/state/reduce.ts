import type { ToPanel, TrainingChoices } from '../../server/protocol/panel.ts';
import { Bits } from '../circuit/bits.ts';
import { begin, change, redo, undo } from '../circuit/history.ts';
import type { KindFilter } from '../circuit/rank.ts';
import { Space } from '../circuit/space.ts';
import { decodeFloats, type Lens, makeLayer } from '../circuit/values.ts';
import { type Kept, thaw } from './kept.ts';
import { type Circuit, isActive, type State } from './state.ts';

/** Everything that changes what the panel shows. */
export type Action =
  | { type: 'received'; message: ToPanel }
  /** What the panel showed before it was reloaded; used when the same run is shown again. */
  | { type: 'restored'; kept: Kept }
  | { type: 'lens'; lens: Lens }
  | { type: 'zoom'; layer: number | null }
  | { type: 'focus'; component: number }
  /** Changes with the same gesture are undone together. */
  | { type: 'select'; selection: Bits; gesture?: string }
  | { type: 'undo' }
  | { type: 'redo' }
  | { type: 'compare'; with: State['compare'] }
  | { type: 'kinds'; kinds: KindFilter }
  | { type: 'choices'; choices: TrainingChoices }
  | { type: 'cursor'; step: number | null }
  | { type: 'notice'; notice: State['notice'] }
  | { type: 'attributing' };

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'received':
      return receive(state, action.message);
    case 'restored':
      return thaw(state, action.kept);
    case 'lens':
      return { ...state, lens: action.lens };
    case 'zoom':
      return { ...state, zoom: action.layer };
    case 'focus':
      return action.component === state.focus ? state : { ...state, focus: action.component };
    case 'select':
      return action.selection.equals(state.selection.present)
        ? state
        : { ...state, selection: change(state.selection, action.selection, action.gesture) };
    case 'undo':
      return { ...state, selection: undo(state.selection) };
    case 'redo':
      return { ...state, selection: redo(state.selection) };
    case 'compare':
      return { ...state, compare: action.with };
    case 'kinds':
      return { ...state, kinds: action.kinds };
    case 'choices':
      return { ...state, choices: action.choices };
    case 'cursor':
      return { ...state, cursor: action.step };
    case 'notice':
      return { ...state, notice: action.notice };
    case 'attributing':
      return { ...state, attributing: { done: 0, total: 0 } };
  }
}

function receive(state: State, message: ToPanel): State {
  switch (message.type) {
    case 'circuit':
      return showCircuit(state, message);
    case 'attribution': {
      if (!state.circuit) return state;
      const { space, view } = state.circuit;
      const attribution = makeLayer(
        'attribution',
        decodeFloats(message.attribution, space.size),
        view.method,
      );
      const circuit = {
        ...state.circuit,
        view: { ...view, attribution: message.attribution },
        layers: { ...state.circuit.layers, attribution },
      };
      return { ...state, circuit, attributing: null, purpose: null };
    }
    case 'attributing':
      return { ...state, attributing: { done: message.done, total: message.total } };
    case 'attributionStopped':
      return { ...state, attributing: null };
    case 'mask': {
      if (!state.circuit) return state;
      const { values, type: _, ...live } = message;
      const mask = makeLayer('mask', decodeFloats(values, state.circuit.space.size), 'dcm');
      const circuit = { ...state.circuit, layers: { ...state.circuit.layers, mask } };
      return { ...state, circuit, live, lens: state.live ? state.lens : 'mask' };
    }
    case 'job': {
      const learning = isActive(message.job) && message.job.stage === 'mask';
      return { ...state, job: message.job, live: learning ? state.live : null };
    }
    case 'steps':
      return { ...state, steps: [...state.steps.slice(0, message.from), ...message.steps] };
    case 'report':
      return { ...state, report: message.report };
    case 'purpose':
      return { ...state, purpose: message.purpose };
    case 'selections':
      return { ...state, saved: message.selections };
    case 'pivot':
      return { ...state, pivot: message.pivot };
    case 'focus':
      return showComponent(state, message.component);
    case 'notice':
      return {
        ...state,
        notice: { level: message.level, text: message.text },
        attributing: message.level === 'error' ? null : state.attributing,
      };
    case 'trusted':
      return { ...state, trusted: message.trusted };
  }
}

/** The same run again (its mask or patch is new) keeps what the user selected; another one starts afresh. */
function showCircuit(state: State, message: Extract<ToPanel, { type: 'circuit' }>): State {
  const { view } = message;
  const space = new Space(view.shape);
  const layer = (lens: Lens, values: string | null) =>
    values === null ? null : makeLayer(lens, decodeFloats(values, space.size), view.method);
  const layers = {
    mask: layer('mask', view.values),
    attribution: layer('attribution', view.attribution),
    change: layer('change', view.change),
  };
  const circuit: Circuit = { view, space, layers, own: Bits.of(space.size, view.selected) };
  const { selections: saved, limits, trusted } = message;
  const again = state.circuit?.view.run === view.run && state.circuit.space.size === space.size;
  if (again) {
    const untouched = state.selection.present.equals(state.circuit!.own);
    const selection = untouched ? begin(circuit.own) : state.selection;
    const before = state.circuit!.view;
    const stale = before.attribution !== view.attribution || before.change !== view.change;
    const purpose = stale ? null : state.purpose;
    return { ...state, circuit, saved, limits, trusted, selection, purpose, live: null };
  }
  const lens = layers.mask ? 'mask' : layers.attribution ? 'attribution' : 'mask';
  return {
    ...state,
    ...{ circuit, saved, limits, trusted, lens },
    choices: message.choices,
    selection: begin(circuit.own),
    ...{ zoom: null, focus: null, compare: null, live: null, steps: [], cursor: null, report: null },
    ...{ purpose: null, attributing: null },
  };
}

/** Makes a component the inspected one, in its layer where another one is shown. */
function showComponent(state: State, component: number): State {
  if (!state.circuit || component >= state.circuit.space.size) return state;
  const { layer } = state.circuit.space.at(component);
  return { ...state, focus: component, zoom: state.zoom === null ? null : layer };
}
