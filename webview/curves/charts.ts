import type { StepPoint } from '../../server/protocol/jobs.ts';
import type { GuardLimits } from '../../server/protocol/panel.ts';
import { figure } from '../circuit/values.ts';

/** Points of accuracy that a chart spans at least: two problems more or less are not to look like a cliff. */
const LEAST_SPAN = 5;

export interface Series {
  name: string;
  /** Steps at which it was measured, ascending, and what was measured. */
  points: readonly { step: number; value: number }[];
}

/** One quantity over the steps of a training. */
export interface Chart {
  id: 'loss' | 'margin' | 'kl' | 'validation' | 'fall';
  title: string;
  series: readonly Series[];
  /** Where the guard ends the training. */
  limit: number | null;
  format(value: number): string;
}

/** Points (of 100) that the suite which fell most lies below its first measurement; negative for none that fell. */
export function largestFall(steps: readonly StepPoint[]): Series['points'] {
  const first: Record<string, number> = {};
  return steps.flatMap(({ step, guard }) => {
    if (!guard) return [];
    let value = Number.NEGATIVE_INFINITY;
    for (const [suite, accuracy] of Object.entries(guard)) {
      first[suite] ??= accuracy;
      value = Math.max(value, 100 * (first[suite] - accuracy));
    }
    return Number.isFinite(value) ? [{ step, value }] : [];
  });
}

export function makeCharts(steps: readonly StepPoint[], { maxKl, maxDrop }: GuardLimits): Chart[] {
  const of = (name: string, read: (point: StepPoint) => number | null): Series => ({
    name,
    points: steps.flatMap((point) => {
      const value = read(point);
      return value === null ? [] : [{ step: point.step, value }];
    }),
  });
  const all: Chart[] = [
    // The first of them, before a step was made, has no loss.
    { id: 'loss', title: 'Loss', series: [of('loss', ({ loss }) => loss)], limit: null, format: figure },
    {
      id: 'margin',
      title: 'Logit difference',
      series: [of('desired over undesired', ({ margin }) => margin)],
      limit: null,
      format: figure,
    },
    {
      id: 'kl',
      title: 'KL to base',
      series: [
        of('control text', ({ klControl }) => klControl),
        of('own traces', ({ klTraces }) => klTraces),
      ],
      limit: maxKl,
      format: figure,
    },
    {
      id: 'validation',
      title: 'Validation accuracy',
      series: [of('problems solved', ({ validation }) => validation && 100 * validation)],
      limit: null,
      format: (value) => `${value.toFixed(1)} %`,
    },
    {
      id: 'fall',
      title: 'Largest guard fall',
      series: [{ name: 'points', points: largestFall(steps) }],
      limit: maxDrop,
      format: (value) => `${figure(Math.abs(value) < 5e-3 ? 0 : value)}`,
    },
  ];
  return all.filter(({ series }) => series.some(({ points }) => points.length > 0));
}

/** Lowest and highest value that a chart shows: its points, and its limit where that is not far off. */
export function extent({ series, limit, id }: Chart): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { points } of series) {
    for (const { value } of points) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (limit !== null) high = Math.max(high, limit);
  if (id === 'kl' || id === 'fall' || (id === 'loss' && low > 0)) low = Math.min(0, low);
  if (id === 'validation' && high - low < LEAST_SPAN) low = Math.max(0, high - LEAST_SPAN);
  const room = high - low || Math.abs(high) || 1;
  const top = high + 0.06 * room;
  return [
    low - (low < 0 || id === 'validation' || id === 'margin' ? 0.06 * room : 0),
    id === 'validation' ? Math.min(100.5, top) : top,
  ];
}

/** Round numbers inside [low, high], about `wanted` of them. */
export function ticks(low: number, high: number, wanted = 3): number[] {
  const raw = (high - low) / wanted;
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const miss = (m: number) => Math.abs(Math.log((m * power) / raw));
  const step = power * [1, 2, 5, 10].reduce((best, m) => (miss(m) < miss(best) ? m : best));
  const out: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++)
    out.push(i === 0 ? 0 : Number((i * step).toPrecision(12)));
  return out;
}

/** The point measured at a step, or the last one before it. */
export function readAt({ points }: Series, step: number): { step: number; value: number } | null {
  return points.findLast((point) => point.step <= step) ?? null;
}

/** All quantities at a step, in words. */
export function stepWords(charts: readonly Chart[], step: number, best: number): string {
  const parts = charts.flatMap(({ id, title, series, format }) => {
    const read = series.flatMap((one) => {
      const point = readAt(one, step);
      if (!point) return [];
      const at = point.step === step ? '' : ` (step ${point.step})`;
      return [`${series.length > 1 ? `${one.name} ` : ''}${format(point.value)}${at}`];
    });
    const name = id === 'fall' ? 'largest guard fall' : id === 'kl' ? 'KL' : title.toLowerCase();
    return read.length > 0 ? [`${name} ${read.join(', ')}`] : [];
  });
  return [`Step ${step}${step === best ? ', the best so far' : ''}`, ...parts].join(' · ');
}
