import type { RunReport, SuiteFigures } from '../../server/protocol/runs.ts';
import { count, h, percent, points, scrollable, section, show } from '../dom.ts';
import type { Host } from '../host.ts';
import type { Store } from '../state/store.ts';
import { link } from '../toolkit.ts';

/** What the amplification did to every suite: before and after, with 95 % intervals and McNemar's p. */
export function reportView(store: Store, host: Host): HTMLElement {
  const content = h('div', {});
  const links = h(
    'p',
    { class: 'row' },
    link('Open the report', () => host.post({ type: 'openReport' })),
    link('Go through the answers that changed', () => host.post({ type: 'openFlips' })),
  );
  const empty = h('p', { class: 'muted' }, 'Appears here when the run has been evaluated.');
  store.watch(
    ({ report }) => [report],
    (report) => {
      show(empty, report === null);
      show(links, report !== null);
      content.replaceChildren(...(report ? [suites(report), ...controls(report)] : []));
    },
  );
  return section('report', 'Before and after', empty, content, links);
}

const pWords = (p: number) => (p < 0.001 ? '< 0.001' : p.toFixed(p < 0.1 ? 3 : 2));

function bars({ base, amplified }: SuiteFigures): HTMLElement {
  const one = ({ accuracy, interval: [low, high] }: SuiteFigures['base'], kind: string) => {
    const fill = h('span', { class: `bar ${kind}` });
    fill.style.width = percent(accuracy, 2).replace(' ', '');
    const whisker = h('span', { class: 'whisker' });
    whisker.style.left = percent(low, 2).replace(' ', '');
    whisker.style.width = percent(Math.max(0, high - low), 2).replace(' ', '');
    return h('span', { class: 'track' }, fill, whisker);
  };
  return h('div', { class: 'bars', 'aria-hidden': 'true' }, one(base, 'before'), one(amplified, 'after'));
}

function suites(report: RunReport): HTMLElement {
  const head = ['Suite', '', 'Before → after', 'Gain, 95 % interval', 'p'].map((text, i) =>
    h('th', { scope: 'col' }, i === 1 ? h('span', { class: 'sr-only' }, 'Bars') : text),
  );
  const rows = report.suites.map((suite) => {
    const [low, high] = suite.gainInterval;
    const worse = high < 0 ? 'worse' : low > 0 ? 'better' : 'same';
    return h(
      'tr',
      { class: suite.kind },
      h('th', { scope: 'row' }, suite.name, h('span', { class: 'muted' }, ` ${count(suite.base.n)}`)),
      h('td', { class: 'bars-cell' }, bars(suite)),
      h('td', { class: 'number' }, `${percent(suite.base.accuracy)} → ${percent(suite.amplified.accuracy)}`),
      h(
        'td',
        { class: `number ${worse}` },
        h('span', { class: 'strong' }, points(suite.gain)),
        ` [${points(low)}, ${points(high)}]`,
      ),
      h('td', { class: 'number' }, pWords(suite.p)),
    );
  });
  return scrollable(
    'Figures of the suites',
    h(
      'table',
      { class: 'suites' },
      h('caption', {}, 'Share answered right, exact McNemar test; gains in points'),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...rows),
    ),
  );
}

function controls({ variants, circuit, suites: all }: RunReport): HTMLElement[] {
  if (variants.length === 0) return [];
  const target = all.find(({ kind }) => kind === 'target');
  const falls = all.filter(({ kind }) => kind === 'control').map(({ gain }) => gain);
  const own = {
    name: `this circuit (${count(circuit.components)})`,
    gain: target?.gain ?? 0,
    worstControl: falls.length > 0 ? Math.min(...falls) : null,
  };
  const rows = [own, ...variants].map(({ name, gain, worstControl }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      h('td', { class: 'number' }, points(gain)),
      h('td', { class: 'number' }, worstControl === null ? '–' : points(worstControl)),
    ),
  );
  const head = ['What was trained', 'Gain on the target', 'Worst control'].map((text) =>
    h('th', { scope: 'col' }, text),
  );
  return [
    h('h3', {}, 'Matched controls'),
    scrollable(
      'Matched controls',
      h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)),
    ),
  ];
}
