import type { Purpose } from '../../server/protocol/circuit.ts';
import { figure, fixed, lenses } from '../circuit/values.ts';
import { quoted, valueName } from '../circuit/words.ts';
import { h, scrollable, section, setText, show } from '../dom.ts';
import type { Host } from '../host.ts';
import { type Circuit, isActive } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { button, link } from '../toolkit.ts';

/** A component must be looked at this long before its purpose is asked for, milliseconds. */
const SETTLED = 180;

/** What the inspected component is for: its values, the pairs that it serves most, the weight rows that it owns. */
export function inspectorView(store: Store, host: Host): HTMLElement {
  const name = h('span', { class: 'strong' });
  const select = button('Select', () => {
    const { focus, selection } = store.state;
    if (focus === null) return;
    const member = !selection.present.has(focus);
    store.dispatch({ type: 'select', selection: selection.present.with([[focus, 1]], member) });
  });
  const values = h('dl', { class: 'values' });
  const served = h('div', { class: 'served' });
  const compute = button('Compute attribution', () => {
    store.dispatch({ type: 'attributing' });
    host.post({ type: 'attribute' });
  });
  compute.setAttribute('aria-label', 'Compute attribution for the pairs that it serves');
  const unknown = h(
    'div',
    {},
    servedHeading(),
    h('p', { class: 'muted' }, 'Not known before the attribution of the run’s pairs is computed.'),
    compute,
  );
  const rows = h('div', { class: 'rows' });
  const empty = h('p', { class: 'muted' }, 'Move to a component in the grid to see what it is for.');
  const title = h('p', { class: 'row' }, name, select);
  let timer = 0;

  store.watch(
    ({ focus, circuit }) => [focus, circuit],
    (focus, circuit) => {
      const here = focus !== null && circuit !== null;
      show(empty, !here);
      show(title, here);
      values.replaceChildren(...(here ? valueList(circuit, focus) : []));
      if (!here) return;
      setText(name, circuit.space.label(focus));
    },
  );
  store.watch(
    // What was known is dropped where the attribution or the weights are new.
    ({ focus, trusted, purpose }) => [focus, trusted, purpose],
    (focus, trusted, purpose) => {
      clearTimeout(timer);
      if (focus === null || !trusted || purpose?.component === focus) return;
      timer = window.setTimeout(() => host.post({ type: 'purpose', component: focus }), SETTLED);
    },
  );
  store.watch(
    ({ focus, selection }) => [focus, selection.present],
    (focus, selection) => setText(select, focus !== null && selection.has(focus) ? 'Deselect' : 'Select'),
  );
  store.watch(
    ({ purpose, focus, attributing, job, circuit }) => [purpose, focus, attributing, job, circuit],
    (purpose, focus, attributing, job, circuit) => {
      const current = purpose !== null && purpose.component === focus ? purpose : null;
      served.replaceChildren(...(current?.served ? servedList(current.served, current.label, host) : []));
      show(unknown, current !== null && current.served === null);
      compute.disabled = attributing !== null || isActive(job) || circuit?.view.pairs === 0;
      rows.replaceChildren(...(current ? rowsTable(current) : []));
    },
  );
  return section('inspector', 'Component', empty, title, values, served, unknown, rows);
}

const servedHeading = () => h('h3', {}, 'Pairs that it serves most');

function valueList({ layers, view }: Circuit, position: number): HTMLElement[] {
  return lenses.flatMap((lens) => {
    const layer = layers[lens];
    if (!layer) return [];
    const value = layer.values[position]!;
    const side = !layer.signed || value === 0 ? '' : value < 0 ? ' (helps)' : ' (hurts)';
    return [h('dt', {}, valueName(lens, view.method)), h('dd', {}, `${figure(value)}${side}`)];
  });
}

function servedList(served: NonNullable<Purpose['served']>, label: string, host: Host): HTMLElement[] {
  const heading = servedHeading();
  if (served.length === 0) {
    return [heading, h('p', { class: 'muted' }, 'None: it pushes toward the desired token in no pair.')];
  }
  const most = Math.max(...served.map(({ gradient }) => Math.abs(gradient)), Number.MIN_VALUE);
  const items = served.map(({ pair, problem, gradient, desired, undesired, trace, token: at }) => {
    const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
    bar.style.width = `${(48 * Math.abs(gradient)) / most}px`;
    const open = link(
      problem,
      () => host.post({ type: 'openPair', pair, trace, token: at }),
      `Open ${problem}: ${quoted(undesired)} to ${quoted(desired)}`,
    );
    const tokens = h(
      'span',
      { class: 'tokens' },
      h('s', {}, quoted(undesired)),
      ' → ',
      h('ins', {}, quoted(desired)),
    );
    return h(
      'li',
      {},
      open,
      tokens,
      h('span', { class: 'spring' }),
      bar,
      h('span', { class: 'number' }, fixed(gradient)),
    );
  });
  return [
    heading,
    h('ol', { class: 'pair-list', 'aria-label': `Pairs that ${label} serves most` }, ...items),
  ];
}

function rowsTable({ rows }: Purpose): HTMLElement[] {
  if (rows.length === 0) return [];
  const span = (first: number, last: number) => (first === last ? String(first) : `${first} to ${last}`);
  const head = ['Weights', 'Rows', 'Norm', 'Change'].map((text) => h('th', { scope: 'col' }, text));
  const body = rows.map(({ tensor, first, last, norm, change }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row', class: 'tensor' }, ...breakable(tensor)),
      h('td', {}, span(first, last)),
      h('td', {}, figure(norm)),
      h('td', {}, change === null ? '–' : `${figure(100 * change)} %`),
    ),
  );
  return [
    h('h3', {}, 'Its weight rows'),
    scrollable(
      'Its weight rows',
      h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...body)),
    ),
  ];
}

/** A tensor's name that may break after its dots. */
const breakable = (name: string): (Node | string)[] =>
  name.split(/(?<=\.)/).flatMap((part) => [part, document.createElement('wbr')]);
