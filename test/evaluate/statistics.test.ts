/**
 * Golden figures: SciPy 1.17 (binomtest, binom, chi2, norm, sem) for intervals, tests and quantiles; bootstrap
 * intervals from 2 to 4 million NumPy resamples of the same counts.
 */
import { describe, expect, it } from 'vitest';
import { normalQuantile, normalTail } from '../../server/evaluate/special-functions.ts';
import {
  clusterBootstrap,
  mcnemar,
  meanBootstrap,
  meanError,
  pairedBootstrap,
  pairedCounts,
  pairedDifference,
  wilson,
} from '../../server/evaluate/statistics.ts';
import { Rng } from '../../server/random.ts';

/** Relative error; toBeCloseTo is absolute, which says nothing of a p of 1e-85. */
const near = (value: number, golden: number, tolerance = 1e-12) =>
  expect(Math.abs(value - golden)).toBeLessThanOrEqual(tolerance * Math.abs(golden));

describe('wilson', () => {
  it.each([
    [0, 10, 0.95, 0, 0.27753279986288926],
    [7, 10, 0.95, 0.39677814746114526, 0.892208732593699],
    [813, 1000, 0.95, 0.7876522642371055, 0.8359521849509368],
    [1000, 1000, 0.95, 0.9961732415144449, 1],
    [50, 100, 0.99, 0.37527962504483986, 0.6247203749551602],
  ])('%d of %d at %d', (correct, n, level, low, high) => {
    const interval = wilson(correct, n, level);
    near(interval.low, low);
    near(interval.high, high);
  });
  it('knows nothing without items', () => expect(wilson(0, 0)).toEqual({ low: 0, high: 1 }));
});

describe('mcnemar', () => {
  it.each([
    [0, 0, 1, 1, 1],
    [1, 0, 1, 0.5, 1],
    [10, 2, 0.03857421875, 0.0224609375, 0.04330814281079206],
    [2, 10, 0.03857421875, 0.0224609375, 0.04330814281079206],
    [121, 59, 4.4344492637551645e-6, 3.2666467957745733e-6, 5.450094825427117e-6],
    [5, 5, 1, 1, 1],
    [320, 7, 5.560223061531613e-85, 2.840541657411239e-85, 1.0506757396506454e-66],
    [3000, 2800, 0.00896943600119357, 0.008636315342168471, 0.008975182379772647],
  ])('%d gained, %d lost', (gained, lost, exact, midP, continuity) => {
    near(mcnemar({ gained, lost }), exact, 1e-10);
    near(mcnemar({ gained, lost }, 'mid-p'), midP, 1e-10);
    near(mcnemar({ gained, lost }, 'continuity'), continuity, 1e-10);
  });
});

describe('paired differences', () => {
  const counts = { n: 1000, both: 400, gained: 121, lost: 59 };

  it('counts the outcomes of the same items', () => {
    const first = [true, true, false, false, false, true];
    const second = [true, false, true, true, false, true];
    expect(pairedCounts(first, second)).toEqual({ n: 6, both: 2, gained: 2, lost: 1 });
    expect(() => pairedCounts(first, [true])).toThrow(RangeError);
  });

  it('has the standard error of the normal approximation', () => {
    const { difference, standardError } = pairedDifference(counts);
    near(difference, 0.062);
    near(standardError, 0.013272377330380569);
    expect(() => pairedDifference({ n: 0, both: 0, gained: 0, lost: 0 })).toThrow(RangeError);
  });

  it('has the bootstrap interval of resampled items', () => {
    const interval = pairedBootstrap(counts, new Rng(1));
    expect(Math.abs(interval.low - 0.036)).toBeLessThan(0.0016);
    expect(Math.abs(interval.high - 0.088)).toBeLessThan(0.0016);
    expect(pairedBootstrap(counts, new Rng(1))).toEqual(interval);
    const wide = pairedBootstrap(counts, new Rng(1), { level: 0.99 });
    expect(wide.low).toBeLessThan(interval.low);
    expect(wide.high).toBeGreaterThan(interval.high);
  });

  it('draws from the same distribution as resampling the items one by one', () => {
    const small = { n: 40, both: 10, gained: 9, lost: 4 };
    const items = [...Array(9).fill(1), ...Array(4).fill(-1), ...Array(27).fill(0)];
    const options = { resamples: 100_000, level: 0.9 };
    const fast = pairedBootstrap(small, new Rng('fast'), options);
    const slow = meanBootstrap(items, new Rng('slow'), options);
    // Values are multiples of 1/40: both must find the same ones.
    near(fast.low, slow.low);
    near(fast.high, slow.high);
  });

  it('has no width without flips, and none to lose when all gained', () => {
    expect(pairedBootstrap({ n: 50, both: 50, gained: 0, lost: 0 }, new Rng(1))).toEqual({ low: 0, high: 0 });
    expect(pairedBootstrap({ n: 50, both: 0, gained: 50, lost: 0 }, new Rng(1))).toEqual({ low: 1, high: 1 });
  });

  it('is fast on many items', () => {
    const large = { n: 100_000, both: 50_000, gained: 9000, lost: 6000 };
    // Processor time: what else the machine does must not count.
    const start = process.cpuUsage();
    const { low, high } = pairedBootstrap(large, new Rng(1));
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(5000);
    const { difference, standardError } = pairedDifference(large);
    near((high - low) / 2, 1.96 * standardError, 0.05);
    near((high + low) / 2, difference, 0.01);
  });
});

describe('clusterBootstrap', () => {
  const sizes = [
    [50, 10],
    [50, -2],
    [40, 8],
    [30, 3],
    [50, 0],
    [20, 9],
    [50, 4],
    [50, 12],
  ] as const;
  const clusters = sizes.map(([n, net]) => ({
    n,
    both: 0,
    gained: Math.max(net, 0),
    lost: Math.max(-net, 0),
  }));

  it('resamples whole templates', () => {
    const { low, high } = clusterBootstrap(clusters, new Rng(2));
    expect(Math.abs(low - 0.05)).toBeLessThan(0.004);
    expect(Math.abs(high - 0.21875)).toBeLessThan(0.006);
  });

  it('is wider than resampling items when templates agree within', () => {
    const whole = [0, 1, 0, 1, 0, 0].map((all) => ({ n: 50, both: 0, gained: 50 * all, lost: 0 }));
    const items = { n: 300, both: 0, gained: 100, lost: 0 };
    const byTemplate = clusterBootstrap(whole, new Rng(3));
    const byItem = pairedBootstrap(items, new Rng(3));
    expect(byTemplate.high - byTemplate.low).toBeGreaterThan(4 * (byItem.high - byItem.low));
  });

  it('skips empty templates and refuses none at all', () => {
    const empty = { n: 0, both: 0, gained: 0, lost: 0 };
    expect(clusterBootstrap([...clusters, empty], new Rng(2))).toEqual(
      clusterBootstrap(clusters, new Rng(2)),
    );
    expect(() => clusterBootstrap([empty], new Rng(2))).toThrow(RangeError);
  });
});

describe('means', () => {
  it('over seeds, with the standard error', () => {
    const { n, mean, standardError } = meanError([31.3, 30.4, 32.8, 30.9, 31.6]);
    expect(n).toBe(5);
    near(mean, 31.4);
    near(standardError!, 0.4037325847637267);
    expect(meanError([3])).toEqual({ n: 1, mean: 3, standardError: null });
    expect(() => meanError([])).toThrow(RangeError);
  });

  it('have a bootstrap interval', () => {
    const { low, high } = meanBootstrap([0.3, -0.1, 0.4, 0.9, 0, 0.2, 0.55, -0.3], new Rng(4));
    expect(Math.abs(low)).toBeLessThan(0.013);
    expect(Math.abs(high - 0.5)).toBeLessThan(0.013);
  });
});

describe('normal distribution', () => {
  it.each([
    [0.5, 0],
    [0.9, 1.2815515655446004],
    [0.975, 1.959963984540054],
    [0.995, 2.5758293035489004],
    [0.001, -3.090232306167813],
  ])('quantile of %d', (p, z) => {
    near(normalQuantile(p), z);
    near(normalTail(normalQuantile(p)), 1 - p);
  });
  it('refuses what is no probability', () => expect(() => normalQuantile(1)).toThrow(RangeError));
});
