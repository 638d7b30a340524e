/** Statistics of an evaluation: intervals and paired tests of right / wrong outcomes. Proportions, not percent. */
import type { Rng } from '../random.ts';
import { binomialCdf, halfBinomial, normalQuantile, normalTail } from './special-functions.ts';

export interface Interval {
  low: number;
  high: number;
}

/** Outcomes of the same items under two models. */
export interface PairedCounts {
  n: number;
  /** Right under both. */
  both: number;
  /** Wrong under the first, right under the second. */
  gained: number;
  /** Right under the first, wrong under the second. */
  lost: number;
}

/** Mean of values with its standard error; null for a single value, which has none. */
export interface MeanError {
  n: number;
  mean: number;
  standardError: number | null;
}

export interface BootstrapOptions {
  /** Default 10,000. */
  resamples?: number;
  /** Confidence level, default 0.95. */
  level?: number;
}

/**
 * Wilson score interval of a proportion (Wilson 1927, JASA 22:209):
 * (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). With n = 0 it is 0 .. 1.
 */
export function wilson(correct: number, n: number, level = 0.95): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const z = normalQuantile(0.5 + level / 2);
  const p = correct / n;
  const centre = p + (z * z) / (2 * n);
  const half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const scale = 1 + (z * z) / n;
  // At the ends one limit is exact; rounding would put it a hair outside.
  return {
    low: correct === 0 ? 0 : (centre - half) / scale,
    high: correct === n ? 1 : (centre + half) / scale,
  };
}

/** Counts the outcomes of two models on the same items, in the same order. RangeError if their numbers differ. */
export function pairedCounts(first: ArrayLike<boolean>, second: ArrayLike<boolean>): PairedCounts {
  const n = first.length;
  if (second.length !== n) throw new RangeError(`pairedCounts: ${n} and ${second.length} outcomes`);
  const counts = { n, both: 0, gained: 0, lost: 0 };
  for (let i = 0; i < n; i++) {
    if (first[i] && second[i]) counts.both++;
    else if (second[i]) counts.gained++;
    else if (first[i]) counts.lost++;
  }
  return counts;
}

export type McnemarVariant = 'exact' | 'mid-p' | 'continuity';

/**
 * McNemar's test that two models are right equally often, two-sided p (McNemar 1947, Psychometrika 12:153). Under the
 * hypothesis each of the gained + lost flips goes either way with probability 1/2.
 * - exact: min(1, 2 P(X <= min(gained, lost))), X ~ Binomial(gained + lost, 1/2)
 * - mid-p: the exact p less P(X = min(gained, lost)) (Fagerland, Lydersen and Laake 2013, BMC Med Res Methodol 13:91)
 * - continuity: chi-square with 1 degree of freedom of (|gained - lost| - 1)^2 / (gained + lost) (Edwards 1948)
 */
export function mcnemar(
  counts: Pick<PairedCounts, 'gained' | 'lost'>,
  variant: McnemarVariant = 'exact',
): number {
  const { gained, lost } = counts;
  const flips = gained + lost;
  if (flips === 0) return 1;
  if (variant === 'continuity') {
    const excess = Math.max(0, Math.abs(gained - lost) - 1);
    return 2 * normalTail(excess / Math.sqrt(flips));
  }
  const { pmf, cdf } = halfBinomial(Math.min(gained, lost), flips);
  return Math.min(1, 2 * cdf - (variant === 'mid-p' ? pmf : 0));
}

/**
 * Difference of accuracies (second less first) with its standard error by the normal approximation:
 * sqrt(gained + lost - (gained - lost)^2 / n) / n (Agresti, Categorical Data Analysis, 3rd ed., 11.1).
 */
export function pairedDifference(counts: PairedCounts): { difference: number; standardError: number } {
  const { n, gained, lost } = counts;
  if (n === 0) throw new RangeError('pairedDifference: no items');
  const net = gained - lost;
  return { difference: net / n, standardError: Math.sqrt(gained + lost - (net * net) / n) / n };
}

/**
 * Percentile bootstrap interval of the difference of accuracies, resampling items (Efron and Tibshirani 1993, ch. 13).
 * Items fall into three kinds (gained, lost, same), so a resample is one multinomial draw: the number of flips, then
 * how many of them are gains. That is the distribution of resampling items one by one, at a small part of its cost.
 */
export function pairedBootstrap(counts: PairedCounts, rng: Rng, options: BootstrapOptions = {}): Interval {
  const { n, gained, lost } = counts;
  if (n === 0) throw new RangeError('pairedBootstrap: no items');
  const flips = gained + lost;
  const flipsCdf = binomialCdf(n, flips / n);
  const gainsCdf = new Map<number, Float64Array>();
  return percentiles(options, () => {
    const drawn = draw(flipsCdf, rng.float());
    let cdf = gainsCdf.get(drawn);
    if (!cdf) {
      cdf = binomialCdf(drawn, flips === 0 ? 0 : gained / flips);
      gainsCdf.set(drawn, cdf);
    }
    return (2 * draw(cdf, rng.float()) - drawn) / n;
  });
}

/** Percentile bootstrap interval of the mean of values (per-item differences of a log-likelihood, say). */
export function meanBootstrap(values: ArrayLike<number>, rng: Rng, options: BootstrapOptions = {}): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('meanBootstrap: no values');
  return percentiles(options, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[rng.int(n)]!;
    return sum / n;
  });
}

/**
 * Percentile bootstrap interval of the difference of accuracies, resampling whole templates (Davison and Hinkley 1997,
 * 3.8): instances of a template succeed and fail together, so items alone would make the interval too narrow. The
 * difference of a resample is the sum of its templates' net gains over the sum of their sizes.
 */
export function clusterBootstrap(
  clusters: readonly PairedCounts[],
  rng: Rng,
  options: BootstrapOptions = {},
): Interval {
  const filled = clusters.filter((c) => c.n > 0);
  if (filled.length === 0) throw new RangeError('clusterBootstrap: no items');
  const net = filled.map((c) => c.gained - c.lost);
  const size = filled.map((c) => c.n);
  return ratioBootstrap(net, size, rng, options);
}

/** Percentile bootstrap interval of the sum of values over the sum of their sizes, resampling both together. */
export function ratioBootstrap(
  values: readonly number[],
  sizes: readonly number[],
  rng: Rng,
  options: BootstrapOptions = {},
): Interval {
  if (values.length === 0) throw new RangeError('ratioBootstrap: no values');
  const sum = Float64Array.from(values);
  const size = Float64Array.from(sizes);
  return percentiles(options, () => {
    let total = 0;
    let n = 0;
    for (let i = 0; i < sum.length; i++) {
      const j = rng.int(sum.length);
      total += sum[j]!;
      n += size[j]!;
    }
    return total / n;
  });
}

/** Mean over seeds with its standard error, sd / sqrt(n), the sd with n - 1 in the denominator. */
export function meanError(values: readonly number[]): MeanError {
  const n = values.length;
  if (n === 0) throw new RangeError('meanError: no values');
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  if (n === 1) return { n, mean, standardError: null };
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { n, mean, standardError: Math.sqrt(squares / (n - 1) / n) };
}

/** The interval between two quantiles of resampled values (linear interpolation between order statistics). */
function percentiles(options: BootstrapOptions, resample: () => number): Interval {
  const { resamples = 10_000, level = 0.95 } = options;
  const values = Float64Array.from({ length: resamples }, resample).sort();
  const at = (q: number): number => {
    const place = q * (resamples - 1);
    const below = Math.floor(place);
    const low = values[below]!;
    return low + (place - below) * (values[Math.min(below + 1, resamples - 1)]! - low);
  };
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

/** The smallest k with cdf[k] > u. */
function draw(cdf: Float64Array, u: number): number {
  let low = 0;
  let high = cdf.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cdf[middle]! > u) high = middle;
    else low = middle + 1;
  }
  return low;
}
