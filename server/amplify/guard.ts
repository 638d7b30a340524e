/** Outcomes on held-out sets while training: what the guard and the choice of the best step look at. */
export interface Observation {
  /** Share of validation problems answered right, and how many there are. */
  accuracy: number;
  n: number;
  /** By control suite. */
  suites: Record<string, { accuracy: number; n: number }>;
}

export interface GuardOptions {
  /** A suite may fall by this many points (of 100) against the base model. */
  maxDrop: number;
  /** Mean KL to the base model on control text, nats per position. */
  maxKl: number;
}

/**
 * The limit that an observation passes, in words, or null. A suite's fall is compared with the limit plus the size of
 * one item, so that a single item of a small suite never ends the training.
 */
export function breached(
  base: Observation,
  now: Observation,
  kl: number | null,
  { maxDrop, maxKl }: GuardOptions,
): string | null {
  if (kl !== null && kl > maxKl) return `KL to the base on control text ${kl.toFixed(4)} > ${maxKl}`;
  for (const [name, { accuracy, n }] of Object.entries(now.suites)) {
    const drop = 100 * (base.suites[name]!.accuracy - accuracy);
    if (drop > maxDrop + 100 / n) return `${name} fell by ${drop.toFixed(1)} points, more than ${maxDrop}`;
  }
  return null;
}
