import { type Chart, extent, readAt, ticks } from '../curves/charts.ts';
import { h, svg } from '../dom.ts';

const HEIGHT = 112;
const LEFT = 40;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 18;

export interface Drawn {
  element: HTMLElement;
  /** Moves the line that marks a step; null takes it away. */
  mark(step: number | null): void;
  /** The step under a point of the page. */
  stepAt(clientX: number): number;
}

/** One quantity over the steps: its curves, the guard's limit, the best step. */
export function drawChart(
  chart: Chart,
  [first, last]: readonly [number, number],
  best: number,
  width: number,
): Drawn {
  const [low, high] = extent(chart);
  const span = Math.max(1, last - first);
  const x = (step: number) => LEFT + ((width - LEFT - RIGHT) * (step - first)) / span;
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
  const image = svg('svg', {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    height: HEIGHT,
    class: `chart ${chart.id}`,
    'aria-hidden': 'true',
  });
  for (const tick of ticks(low, high)) {
    image.append(
      svg('line', { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick), class: 'tick' }),
      svg(
        'text',
        { x: LEFT - 6, y: y(tick) + 4, class: 'tick-text end' },
        chart.format(tick).replace(/\.0 %| %/, ''),
      ),
    );
  }
  for (const step of [first, last]) {
    image.append(
      svg(
        'text',
        { x: x(step), y: HEIGHT - 4, class: `tick-text ${step === last ? 'end' : ''}` },
        String(step),
      ),
    );
  }
  if (chart.limit !== null && chart.limit <= high) {
    image.append(
      svg('line', { x1: LEFT, x2: width - RIGHT, y1: y(chart.limit), y2: y(chart.limit), class: 'limit' }),
      svg(
        'text',
        { x: width - RIGHT, y: y(chart.limit) + 12, class: 'limit-text end' },
        `guard ${chart.format(chart.limit)}`,
      ),
    );
  }
  if (best > first && best <= last) {
    image.append(svg('line', { x1: x(best), x2: x(best), y1: TOP, y2: HEIGHT - BOTTOM, class: 'best' }));
  }
  chart.series.forEach(({ points }, i) => {
    const path = points
      .map(({ step, value }, p) => `${p === 0 ? 'M' : 'L'}${x(step).toFixed(1)} ${y(value).toFixed(1)}`)
      .join('');
    image.append(svg('path', { d: path, class: `curve curve-${i}` }));
    // Measured now and then: the points are what is known.
    if (points.length <= 12) {
      for (const { step, value } of points) {
        image.append(
          svg('circle', { cx: x(step), cy: y(value), r: step === best ? 4 : 2.5, class: `point curve-${i}` }),
        );
      }
    }
  });
  const cursor = svg('line', { y1: TOP, y2: HEIGHT - BOTTOM, class: 'cursor' });
  const dots = chart.series.map((_, i) => svg('circle', { r: 3.5, class: `point cursor-point curve-${i}` }));
  image.append(cursor, ...dots);

  const names =
    chart.series.length > 1
      ? chart.series.map(({ name }, i) => h('span', { class: `key curve-${i}` }, name))
      : [];
  const element = h('figure', {}, h('figcaption', {}, chart.title, ...names), image);
  return {
    element,
    mark(step) {
      cursor.classList.toggle('curve-off', step === null);
      chart.series.forEach((one, i) => {
        const point = step === null ? null : readAt(one, step);
        dots[i]!.classList.toggle('curve-off', point === null);
        if (!point) return;
        dots[i]!.setAttribute('cx', String(x(point.step)));
        dots[i]!.setAttribute('cy', String(y(point.value)));
      });
      if (step === null) return;
      for (const end of ['x1', 'x2']) cursor.setAttribute(end, String(x(step)));
    },
    stepAt(clientX) {
      const box = image.getBoundingClientRect();
      const at = ((clientX - box.left) * width) / box.width;
      return Math.round(first + (span * (at - LEFT)) / (width - LEFT - RIGHT));
    },
  };
}
