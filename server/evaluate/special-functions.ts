/** The few functions of probability that the statistics need, accurate to about 1e-13 relative. */

/**
 * Upper tail of the standard normal, P(Z > z): erf's Maclaurin series near 0, the continued fraction of the Mills ratio
 * (Abramowitz and Stegun 7.1.6, 26.2.14) further out.
 */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let k = 3; Math.abs(term) > 1e-18 * sum; k += 2) {
      term *= (z * z) / k;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = z;
  for (let k = 120; k >= 1; k--) fraction = z + k / fraction;
  return density / fraction;
}

/** z with P(Z <= z) = p, for 0 < p < 1: Newton's steps on the tail, from the median. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`normalQuantile: p = ${p}`);
  if (p < 0.5) return -normalQuantile(1 - p);
  let z = 0;
  // The upper half of the distribution function is concave, so the steps rise to the root without overshooting.
  for (let i = 0; i < 100; i++) {
    const step = (normalTail(z) - (1 - p)) / (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI));
    z += step;
    if (Math.abs(step) < 1e-15 * Math.max(1, z)) break;
  }
  return z;
}

/** P(X = k) and P(X <= k) for X ~ Binomial(n, 1/2); terms in log space, so large n is no trouble. */
export function halfBinomial(k: number, n: number): { pmf: number; cdf: number } {
  let log = -n * Math.LN2;
  for (let j = 1; j <= k; j++) log += Math.log((n - k + j) / j);
  const pmf = Math.exp(log);
  let term = 1;
  let sum = 1;
  for (let i = k; i > 0 && term > 1e-20 * sum; i--) {
    term *= i / (n - i + 1);
    sum += term;
  }
  return { pmf, cdf: pmf * sum };
}

/** P(X <= k) for k = 0 .. n, X ~ Binomial(n, p); built outward from the mode, which cannot underflow. */
export function binomialCdf(n: number, p: number): Float64Array {
  const pmf = new Float64Array(n + 1);
  if (p <= 0 || p >= 1) pmf[p <= 0 ? 0 : n] = 1;
  else {
    const mode = Math.min(n, Math.floor((n + 1) * p));
    const odds = p / (1 - p);
    pmf[mode] = 1;
    for (let k = mode; k < n; k++) pmf[k + 1] = (pmf[k]! * odds * (n - k)) / (k + 1);
    for (let k = mode; k > 0; k--) pmf[k - 1] = (pmf[k]! * k) / (odds * (n - k + 1));
  }
  let total = 0;
  for (let k = 0; k <= n; k++) {
    total += pmf[k]!;
    pmf[k] = total;
  }
  return pmf.map((cumulative) => cumulative / total);
}
