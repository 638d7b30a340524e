import { Bits } from '../circuit/bits.ts';
import { measure } from '../circuit/meter.ts';
import {
  atLeast,
  countAtSlider,
  parseBudget,
  Ranking,
  SLIDER,
  sliderAtCount,
  topK,
} from '../circuit/rank.ts';
import { kinds } from '../circuit/space.ts';
import { figure, type Layer } from '../circuit/values.ts';
import { kindShort, kindsWords, valueName } from '../circuit/words.ts';
import { count, h, percent, plural, section, setText, show } from '../dom.ts';
import type { Host } from '../host.ts';
import { comparedWith, type State, shownLayer } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { button, checkbox, dropdown, setOptions, slider, textField } from '../toolkit.ts';

/** Choosing a circuit: by value, from saved ones, and what it comes to. */
export function selectionView(store: Store, host: Host): HTMLElement {
  return section('selection', 'Selection', meter(store), picks(store), history(store), saved(store, host));
}

function meter(store: Store): HTMLElement {
  const fill = h('div', { class: 'meter-fill' });
  const limit = h('div', { class: 'meter-limit' });
  const bar = h(
    'div',
    { role: 'meter', 'aria-label': 'Budget', 'aria-valuemin': 0, class: 'meter' },
    fill,
    limit,
  );
  const main = h('span', { class: 'strong' });
  const detail = h('span', { class: 'muted' });
  store.watch(
    ({ selection, circuit, choices }) => [selection.present, circuit, choices.neurons],
    (selection, circuit, neurons) => {
      if (!circuit) return;
      const m = measure(circuit.space, selection, neurons);
      const budget = circuit.view.budget;
      const scale = Math.max(1, budget === null ? m.total : Math.max(budget * 1.25, m.components));
      fill.style.width = `${(100 * m.components) / scale}%`;
      show(limit, budget !== null);
      limit.style.left = `${(100 * (budget ?? 0)) / scale}%`;
      const over = budget !== null && m.components > budget;
      bar.classList.toggle('over', over);
      const share = percent(m.components / m.total, 2);
      bar.setAttribute('aria-valuemax', String(Math.ceil(scale)));
      bar.setAttribute('aria-valuenow', String(m.components));
      const ofBudget = budget === null ? '' : `, budget ${count(budget)}${over ? ' exceeded' : ''}`;
      bar.setAttribute(
        'aria-valuetext',
        `${plural(m.components, 'component')} of ${count(m.total)}${ofBudget}`,
      );
      setText(main, `${count(m.components)} of ${count(m.total)} components (${share})`);
      const weights = percent(m.parameters / Math.max(1, m.allParameters), 2);
      setText(
        detail,
        [
          ...(budget === null ? [] : [`budget ${count(budget)}${over ? ', exceeded' : ''}`]),
          kindsWords(m.byKind),
          plural(m.rows, 'weight row'),
          `${plural(m.parameters, 'parameter')} (${weights} of theirs)`,
        ].join(' · '),
      );
    },
  );
  return h('div', { class: 'meter-block' }, bar, h('p', { class: 'meter-text' }, main, ' ', detail));
}

function picks(store: Store): HTMLElement {
  // Counted once for a set of numbers, not for every answer, and before anybody asks.
  let ranked: { layer: Layer; filter: State['kinds']; ranking: Ranking } | null = null;
  let gesture = 0;
  const rank = () => {
    const { circuit, kinds: filter } = store.state;
    const layer = shownLayer(store.state);
    if (!circuit || !layer) return null;
    if (ranked?.layer !== layer || ranked.filter !== filter) {
      ranked = { layer, filter, ranking: new Ranking(circuit.space, layer, filter) };
    }
    return { ...ranked, space: circuit.space };
  };
  const linear = () => store.state.lens === 'mask' && shownLayer(store.state)?.max === 1;

  const readout = h('output', { class: 'muted' });
  const say = (words: string) => {
    setText(readout, words);
    return words;
  };
  const threshold = slider('Threshold', SLIDER, (position, done) => {
    const { circuit, kinds: filter } = store.state;
    const layer = shownLayer(store.state);
    if (!circuit || !layer) return;
    // A mask's threshold is a share of 1; scores have heavy tails, and the slider goes by how many it takes.
    const value = linear() ? position / SLIDER : strengthAt(SLIDER - position);
    const none = value === null;
    const selection = none ? Bits.empty(circuit.space.size) : atLeast(circuit.space, layer, filter, value);
    store.dispatch({ type: 'select', selection, gesture: `threshold ${gesture}` });
    threshold.set(
      position,
      none ? say('nothing') : say(`at least ${figure(value)}: ${plural(selection.count, 'component')}`),
    );
    if (done) gesture++;
  });
  /** Strength of the weakest component that a slider position takes; null where it takes none. */
  const strengthAt = (position: number): number | null => {
    const ranking = rank()?.ranking;
    const k = ranking ? countAtSlider(position, ranking.size) : 0;
    return ranking && k > 0 ? ranking.at(k).limit : null;
  };
  const take = (k: number | null, field: HTMLElement & { value: string }) => {
    const now = rank();
    field.classList.toggle('invalid', k === null);
    field.setAttribute('aria-invalid', String(k === null));
    if (!now || k === null) return;
    const selection = topK(now.space, now.layer, now.filter, now.ranking, k);
    store.dispatch({ type: 'select', selection });
    setText(readout, `the ${plural(selection.count, 'strongest component')}`);
    const at = linear() ? null : SLIDER - sliderAtCount(selection.count, now.ranking.size);
    if (at !== null) threshold.set(at, readout.textContent ?? '');
  };
  const total = () => rank()?.ranking.size ?? 0;
  const top = textField('Top k', (text) => {
    const k = /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN;
    take(k <= total() ? k : null, top);
  });
  const budget = textField('Budget', (text) => {
    const size = store.state.circuit?.space.size ?? 0;
    const k = parseBudget(text, size);
    take(k === null ? null : Math.min(k, total()), budget);
  });
  budget.setAttribute('placeholder', '1 %');
  top.setAttribute('placeholder', '16');

  const boxes = kinds.map((kind) =>
    checkbox(
      kindShort[kind],
      (checked) => store.dispatch({ type: 'kinds', kinds: { ...store.state.kinds, [kind]: checked } }),
      true,
    ),
  );
  const by = h('span', { class: 'muted' });
  const element = h(
    'div',
    { class: 'picks', role: 'group', 'aria-label': 'Select by value' },
    h(
      'div',
      { class: 'field slider-field' },
      h('span', { class: 'label', 'aria-hidden': 'true' }, 'Threshold'),
      threshold.element,
      readout,
    ),
    h('div', { class: 'fields' }, top, budget),
    h('div', { class: 'kinds', role: 'group', 'aria-label': 'Kinds that may be taken' }, by, ...boxes),
  );
  store.watch(
    (state) => [state.lens, shownLayer(state)],
    (lens, layer) => {
      requestIdleCallback(rank);
      setText(by, `By ${valueName(lens, store.state.circuit?.view.method ?? null)} of`);
      element.inert = layer === null;
      element.classList.toggle('off', layer === null);
      setText(readout, layer === null ? 'no values to go by' : '');
    },
  );
  return element;
}

function history(store: Store): HTMLElement {
  const select = (selection: Bits) => store.dispatch({ type: 'select', selection });
  const undo = button('Undo', () => store.dispatch({ type: 'undo' }), { title: 'Ctrl+Z' });
  const redo = button('Redo', () => store.dispatch({ type: 'redo' }), { title: 'Ctrl+Shift+Z' });
  const invert = button('Invert', () => select(store.state.selection.present.inverted()));
  const clear = button('Clear', () => select(Bits.empty(store.state.selection.present.size)));
  const own = button("The run's circuit", () => store.state.circuit && select(store.state.circuit.own));
  store.watch(
    ({ selection, circuit }) => [selection, circuit],
    (selection, circuit) => {
      undo.disabled = selection.past.length === 0;
      redo.disabled = selection.future.length === 0;
      clear.disabled = selection.present.count === 0;
      own.disabled = !circuit || circuit.own.count === 0 || circuit.own.equals(selection.present);
    },
  );
  return h(
    'div',
    { class: 'buttons', role: 'group', 'aria-label': 'Change the selection' },
    undo,
    redo,
    invert,
    clear,
    own,
  );
}

const NONE = 'none';
const OWN = 'own';

function saved(store: Store, host: Host): HTMLElement {
  const key = (compare: State['compare']) =>
    compare === null ? NONE : compare === 'own' ? OWN : `saved ${compare.saved}`;
  const name = () => (which.value.startsWith('saved ') ? which.value.slice(6) : null);
  const which = dropdown('Saved selection', () => refresh());
  const load = button('Load', () => {
    const found = store.state.saved.find((one) => one.name === name());
    const { circuit } = store.state;
    if (found && circuit) {
      store.dispatch({ type: 'select', selection: Bits.of(circuit.space.size, found.selected) });
    }
  });
  const remove = button('Delete', () => {
    const selected = name();
    if (selected !== null) host.post({ type: 'removeSelection', name: selected });
  });
  const save = button('Save…', () =>
    host.post({ type: 'saveSelection', selected: store.state.selection.present.positions() }),
  );
  const compare = dropdown('Compare with', (value) =>
    store.dispatch({
      type: 'compare',
      with: value === NONE ? null : value === OWN ? 'own' : { saved: value.slice(6) },
    }),
  );
  const swatch = (kind: string) => h('span', { class: `swatch ${kind}`, 'aria-hidden': 'true' });
  const [common, added, removed] = [h('span', {}), h('span', {}), h('span', {})];
  const difference = h(
    'p',
    { class: 'difference' },
    ...[swatch('ring'), common, swatch('added'), added, swatch('removed'), removed],
  );
  const refresh = () => {
    load.disabled = remove.disabled = name() === null;
  };
  store.watch(
    ({ saved: all }) => [all],
    (all) => {
      const options = all.map((one) => ({
        value: `saved ${one.name}`,
        label: `${one.name} (${count(one.selected.length)})`,
      }));
      const kept = options.some(({ value }) => value === which.value)
        ? which.value
        : (options[0]?.value ?? NONE);
      setOptions(which, options.length > 0 ? options : [{ value: NONE, label: 'None saved' }], kept);
      setOptions(
        compare,
        [{ value: NONE, label: 'Nothing' }, { value: OWN, label: "The run's own circuit" }, ...options],
        key(store.state.compare),
      );
      queueMicrotask(refresh);
    },
  );
  store.watch(
    (state) => [state.selection.present, state.compare, state.saved, state.circuit],
    () => {
      const { present } = store.state.selection;
      const other = comparedWith(store.state);
      save.disabled = present.count === 0;
      show(difference, other !== null);
      if (!other) return;
      const d = present.compare(other);
      setText(common, `${count(d.common)} in both`);
      setText(added, `${count(d.added)} only here`);
      setText(removed, `${count(d.removed)} only there`);
    },
  );
  const labelled = (text: string, control: HTMLElement) =>
    h('div', { class: 'field' }, h('span', { class: 'label', 'aria-hidden': 'true' }, text), control);
  return h(
    'div',
    { class: 'saved' },
    h('div', { class: 'row' }, labelled('Saved', which), load, remove, save),
    h('div', { class: 'row' }, labelled('Compare with', compare), difference),
  );
}
