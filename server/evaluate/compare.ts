import { Rng } from '../random.ts';
import type { Outcome } from './items.ts';
import {
  clusterBootstrap,
  type Interval,
  mcnemar,
  pairedBootstrap,
  pairedCounts,
  wilson,
} from './statistics.ts';

/** Accuracy as a share, its Wilson 95 % interval and the number of items. */
export interface Accuracy {
  accuracy: number;
  interval: Interval;
  n: number;
}

/** Two models on the same items. Shares, not points. */
export interface Comparison {
  base: Accuracy;
  amplified: Accuracy;
  /** Difference of accuracies, and its paired bootstrap 95 % interval over items. */
  gain: number;
  interval: Interval;
  /** Interval when whole templates are resampled; null without templates. */
  templateInterval: Interval | null;
  /** Exact McNemar test, two-sided. */
  p: number;
  gained: number;
  lost: number;
}

function accuracy(outcomes: readonly Outcome[]): Accuracy {
  const n = outcomes.length;
  const correct = outcomes.filter((o) => o.correct).length;
  return { accuracy: n === 0 ? 0 : correct / n, interval: wilson(correct, n), n };
}

/** @param templates template id by item, for the cluster bootstrap */
export function compareOutcomes(
  base: readonly Outcome[],
  amplified: readonly Outcome[],
  seed: number,
  templates?: readonly (string | undefined)[],
): Comparison {
  const right = (outcomes: readonly Outcome[]) => outcomes.map((o) => o.correct);
  const counts = pairedCounts(right(base), right(amplified));
  const rng = new Rng(seed).fork('bootstrap');
  const groups = new Map<string, number[]>();
  templates?.forEach((template, i) => {
    if (template !== undefined) groups.set(template, [...(groups.get(template) ?? []), i]);
  });
  const clusters = [...groups.values()].map((items) =>
    pairedCounts(
      items.map((i) => base[i]!.correct),
      items.map((i) => amplified[i]!.correct),
    ),
  );
  return {
    base: accuracy(base),
    amplified: accuracy(amplified),
    gain: (counts.gained - counts.lost) / Math.max(1, counts.n),
    interval: pairedBootstrap(counts, rng),
    templateInterval: clusters.length > 1 ? clusterBootstrap(clusters, rng.fork('templates')) : null,
    p: mcnemar(counts),
    gained: counts.gained,
    lost: counts.lost,
  };
}
