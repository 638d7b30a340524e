import type { StepPoint } from '../../server/protocol/jobs.ts';
import { figure } from '../circuit/values.ts';
import { type Chart, makeCharts, stepWords } from '../curves/charts.ts';
import { h, percent, section, setText, show } from '../dom.ts';
import { isActive } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { slider } from '../toolkit.ts';
import { type Drawn, drawChart } from './chart.ts';

/** The training's figures step by step, live; a slider or the pointer reads them at a step, a table has them all. */
export function curvesView(store: Store): HTMLElement {
  const charts = h('div', { class: 'charts' });
  const readout = h('p', { class: 'readout' });
  const breach = h('p', { class: 'error', role: 'status' });
  const scrub = slider('Step', 1, (index) =>
    store.dispatch({ type: 'cursor', step: index === store.state.steps.length - 1 ? null : index }),
  );
  const table = h('div', {
    class: 'table-scroll steps-table',
    tabindex: 0,
    role: 'region',
    'aria-label': 'All steps',
  });
  const details = h('details', {}, h('summary', {}, 'All steps as a table'), table);
  const body = h('div', {}, charts, scrub.element, readout, breach, details);
  const empty = h('p', { class: 'muted' }, 'Appear here while a circuit is trained.');
  const element = section('curves', 'Training curves', empty, body);
  let made: Chart[] = [];
  let drawn: Drawn[] = [];
  let width = 0;

  const mark = () => {
    const { steps, cursor, job } = store.state;
    const index = cursor ?? steps.length - 1;
    const point = steps[index];
    if (!point) return;
    const best = steps.at(-1)!.best;
    for (const chart of drawn) chart.mark(cursor === null && isActive(job) ? null : point.step);
    const words = stepWords(made, point.step, best);
    setText(readout, words);
    scrub.element.max = String(steps.length - 1);
    scrub.set(index, words);
  };
  const draw = () => {
    const { steps, limits } = store.state;
    show(empty, steps.length === 0);
    show(body, steps.length > 0);
    const last = steps.at(-1);
    if (!last || width === 0) return;
    made = makeCharts(steps, limits);
    const columns = Math.max(1, Math.min(made.length, Math.floor(width / 175)));
    const each = Math.floor((width - 16 * (columns - 1)) / columns);
    drawn = made.map((chart) => drawChart(chart, [steps[0]!.step, last.step], last.best, each));
    charts.style.setProperty('--columns', String(columns));
    charts.replaceChildren(...drawn.map((chart) => chart.element));
    setText(
      breach,
      last.breach ? `The guard stopped the training: ${last.breach}. The best step was kept.` : '',
    );
    if (details.open) fillTable(table, steps);
    mark();
  };
  store.watch(({ steps, limits }) => [steps, limits], draw);
  store.watch(({ cursor, job }) => [cursor, job?.state], mark);
  details.addEventListener('toggle', () => {
    if (details.open) fillTable(table, store.state.steps);
  });
  charts.addEventListener('pointermove', (event) => {
    const over = drawn.find((chart) => chart.element.contains(event.target as Node));
    if (!over) return;
    const step = over.stepAt(event.clientX);
    const { steps } = store.state;
    const index = steps.findLastIndex((point) => point.step <= step);
    store.dispatch({ type: 'cursor', step: Math.max(0, index) });
  });
  charts.addEventListener('pointerleave', () => store.dispatch({ type: 'cursor', step: null }));
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry!.contentRect.width);
    if (now === width) return;
    width = now;
    draw();
  }).observe(element);
  return element;
}

function fillTable(table: HTMLElement, steps: readonly StepPoint[]): void {
  const suites = [...new Set(steps.flatMap(({ guard }) => Object.keys(guard ?? {})))];
  const head = ['Step', 'Loss', 'Logit difference', 'KL control', 'KL traces', 'Validation', ...suites];
  const cell = (value: number | null | undefined, format: (value: number) => string) =>
    h('td', { class: 'number' }, value === null || value === undefined ? '–' : format(value));
  const rows = steps.map((point) =>
    h(
      'tr',
      {},
      h(
        'th',
        { scope: 'row' },
        point.step === steps.at(-1)!.best ? `${point.step} best` : String(point.step),
      ),
      cell(point.loss, figure),
      cell(point.margin, figure),
      cell(point.klControl, figure),
      cell(point.klTraces, figure),
      cell(point.validation, percent),
      ...suites.map((suite) => cell(point.guard?.[suite], percent)),
    ),
  );
  const heads = head.map((text) => h('th', { scope: 'col' }, text));
  table.replaceChildren(h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows)));
}
