import type { Metric, MetricValue } from './task.ts';

/** A metric over a task's documents. */
export interface Figure {
  value: number;
  /** Of the mean, from the sample's standard deviation; null where there is none (perplexities, one document). */
  stderr: number | null;
}

/** As lm-evaluation-harness aggregates (api/metrics.py); its bootstrap errors of perplexities are left out. */
export function aggregate({ aggregation }: Metric, values: readonly MetricValue[]): Figure {
  if (aggregation === 'mean') return meanOf(values as readonly number[]);
  let logLikelihood = 0;
  let units = 0;
  for (const [ll, n] of values as readonly (readonly [number, number])[]) {
    logLikelihood += ll;
    units += n;
  }
  const rate = -logLikelihood / units;
  return { value: aggregation === 'bits_per_byte' ? rate / Math.LN2 : Math.exp(rate), stderr: null };
}

function meanOf(values: readonly number[]): Figure {
  const n = values.length;
  const value = values.reduce((sum, v) => sum + v, 0) / n;
  if (n < 2) return { value, stderr: null };
  const squares = values.reduce((sum, v) => sum + (v - value) ** 2, 0);
  return { value, stderr: Math.sqrt(squares / (n - 1) / n) };
}

/** The mean over tasks weighted by their sizes, with the harness's pooled standard error (pooled_sample_stderr). */
export function pooled(parts: readonly (Figure & { n: number })[]): Figure {
  const n = parts.reduce((sum, part) => sum + part.n, 0);
  const value = parts.reduce((sum, part) => sum + part.value * part.n, 0) / n;
  if (n <= parts.length || parts.some((part) => part.stderr === null)) return { value, stderr: null };
  const squares = parts.reduce((sum, part) => sum + (part.n - 1) * part.stderr! ** 2 * part.n, 0);
  return { value, stderr: Math.sqrt(squares / (n - parts.length) / n) };
}
