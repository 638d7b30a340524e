import { type Lens, lenses } from '../circuit/values.ts';
import { valueName } from '../circuit/words.ts';
import { h, plural, setText, show } from '../dom.ts';
import type { Host } from '../host.ts';
import { type Circuit, isActive, type LiveMask, shownLayer } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { button, dropdown, segmented, setOptions } from '../toolkit.ts';

const methodWords = {
  dcm: 'learned mask',
  fisher: 'gradient over Fisher information',
  random: 'random circuit',
  all: 'all components',
  human: 'chosen by hand',
} as const;

function origin({ view }: Circuit): string {
  const parts = [view.method ? methodWords[view.method] : 'no circuit chosen yet'];
  if (view.lambda !== null) parts.push(`λ ${view.lambda}`);
  parts.push(plural(view.pairs, 'pair'));
  return parts.join(' · ');
}

const liveWords = ({ lambda, epoch, selected, margin, loss }: LiveMask) =>
  `Learning the mask: λ ${lambda} · epoch ${epoch} · ${selected} selected · loss ${loss.toFixed(3)} · logit difference ${margin.toFixed(2)}`;

/** What the panel shows, which numbers colour it, which layer it shows. */
export function headerView(store: Store, host: Host): HTMLElement {
  const name = h('span', { class: 'run-name' });
  const from = h('span', { class: 'muted' });
  const live = h('p', { class: 'live' });
  const lens = segmented(
    'Colour by',
    lenses.map((value) => ({ value, label: value[0]!.toUpperCase() + value.slice(1) })),
    (value) => store.dispatch({ type: 'lens', lens: value as Lens }),
  );
  const layer = dropdown('Layer', (value) =>
    store.dispatch({ type: 'zoom', layer: value === 'all' ? null : Number(value) }),
  );
  layer.classList.add('layer-choice');
  const missing = h('span', {});
  const compute = button('Compute attribution', () => {
    store.dispatch({ type: 'attributing' });
    host.post({ type: 'attribute' });
  });
  const stop = button('Stop', () => host.post({ type: 'stopAttribute' }), { name: 'Stop the attribution' });
  const empty = h('p', { class: 'empty' }, missing, compute, stop);
  const legend = h('div', { class: 'legend', 'aria-hidden': 'true' });

  store.watch(
    ({ circuit }) => [circuit],
    (circuit) => {
      setText(name, circuit?.view.name ?? '');
      setText(from, circuit ? origin(circuit) : 'Waiting for the run');
    },
  );
  store.watch(
    ({ circuit, zoom }) => [circuit?.space, zoom],
    (space, zoom) => {
      if (!space) return;
      const { layers } = space.shape;
      const one = Array.from({ length: layers }, (_, i) => layers - 1 - i);
      const options = one.map((l) => ({ value: String(l), label: `Layer ${l}` }));
      setOptions(
        layer,
        [{ value: 'all', label: 'All layers' }, ...options],
        zoom === null ? 'all' : String(zoom),
      );
    },
  );
  store.watch(
    ({ live: mask }) => [mask],
    (mask) => {
      show(live, mask !== null);
      setText(live, mask ? liveWords(mask) : '');
    },
  );
  store.watch(
    (state) => [
      state.lens,
      shownLayer(state),
      state.attributing,
      state.trusted,
      isActive(state.job),
      state.circuit,
    ],
    (now, numbers, attributing, trusted, active, circuit) => {
      lens.set(now);
      const attributable = now === 'attribution' && numbers === null;
      show(empty, numbers === null && circuit !== null);
      show(compute, attributable && !attributing);
      show(stop, attributable && attributing !== null);
      compute.disabled = !trusted || active || circuit?.view.pairs === 0;
      setText(missing, missingWords(now, attributing, trusted));
      const unit = valueName(now, circuit?.view.method ?? null);
      legend.replaceChildren(...legendOf(now, unit));
    },
  );
  return h(
    'header',
    {},
    h(
      'div',
      { class: 'title-row' },
      h('h1', {}, 'Circuit'),
      name,
      from,
      h('span', { class: 'spring' }),
      lens.element,
    ),
    h('div', { class: 'view-row' }, layer, legend),
    live,
    empty,
  );
}

function missingWords(
  lens: Lens,
  attributing: { done: number; total: number } | null,
  trusted: boolean,
): string {
  if (lens === 'mask') return 'The run has no mask yet. ';
  if (lens === 'change') return 'The run has no patch yet: nothing has changed. ';
  if (attributing) return `Attributing pair ${attributing.done} of ${attributing.total || '…'}. `;
  if (!trusted) return 'Attribution loads the model, which needs a trusted workspace. ';
  return 'How much each component pushes toward the desired tokens, as a mean over the pairs. ';
}

function legendOf(lens: Lens, unit: string): HTMLElement[] {
  const swatch = (kind: string) => h('span', { class: `swatch ${kind}` });
  const parts: (HTMLElement | string)[] =
    lens === 'attribution'
      ? [swatch('hurt'), 'hurts', swatch('ramp-both'), swatch('help'), 'helps']
      : [`low ${unit}`, swatch(`ramp-${lens}`), 'high'];
  return [
    h('span', { class: 'legend-item' }, ...parts),
    h('span', { class: 'legend-item' }, swatch('ring'), 'selected'),
    h('span', { class: 'legend-item' }, swatch('part'), 'some of a cell'),
  ];
}
