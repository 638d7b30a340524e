import { figure, fixed } from '../circuit/values.ts';
import { quoted } from '../circuit/words.ts';
import { h, section, setText, show } from '../dom.ts';
import type { Store } from '../state/store.ts';
import { button, link } from '../toolkit.ts';
import { tokenStrip } from './strip.ts';

/** Components that are listed; all that came are marked in the grid. */
const LISTED = 8;

/** The pivot under the cursor in a trace, the tokens that push there, and the components that it leans on. */
export function pivotView(store: Store): HTMLElement {
  const title = h('p', {});
  const strip = tokenStrip();
  const list = h('ol', { class: 'pair-list', 'aria-label': 'Components that the pivot leans on' });
  const add = button('Add them to the selection', () => {
    const { pivot, selection } = store.state;
    if (!pivot) return;
    const ranges = pivot.components
      .filter(({ component }) => component < selection.present.size)
      .map(({ component }) => [component, 1] as const);
    store.dispatch({ type: 'select', selection: selection.present.with(ranges, true) });
  });
  const element = section(
    'pivot',
    'Pivot under the cursor',
    title,
    h('h3', {}, 'Earlier tokens by their push'),
    strip.element,
    h('h3', {}, 'Components that it leans on'),
    list,
    add,
  );
  store.watch(
    ({ pivot, circuit }) => [pivot, circuit],
    (pivot, circuit) => {
      show(element, pivot !== null && circuit !== null);
      if (!pivot || !circuit) return;
      const { problem, desired, undesired, margin } = pivot;
      setText(
        title,
        `${problem}: ${quoted(undesired)} → ${quoted(desired)} · logit difference ${figure(margin)}`,
      );
      strip.set(pivot);
      const known = pivot.components.filter(({ component }) => component < circuit.space.size);
      const items = known.slice(0, LISTED).map(({ component, gradient }) =>
        h(
          'li',
          {},
          h('span', { class: 'swatch pivot', 'aria-hidden': 'true' }),
          link(circuit.space.label(component), () => {
            store.dispatch({ type: 'received', message: { type: 'focus', component } });
          }),
          h('span', { class: 'spring' }),
          h('span', { class: 'number' }, `${fixed(gradient)} ${gradient < 0 ? 'helps' : 'hurts'}`),
        ),
      );
      list.replaceChildren(...items);
    },
  );
  return element;
}
