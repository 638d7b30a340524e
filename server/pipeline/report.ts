import { bySuite } from '../data/controls.ts';
import { type Comparison, compareOutcomes } from '../evaluate/compare.ts';
import type { ComponentKind } from '../model/components.ts';
import type { Quirk } from './quirks.ts';
import type { Outcomes, Suites } from './stages/evaluate.ts';

/** A flip of a test problem. */
export interface Flip {
  set: string;
  id: string;
  kind: 'wrong-to-right' | 'right-to-wrong';
  base: string;
  amplified: string;
}

/** Comparisons of one changed model with the base, by suite. */
export interface SuiteComparisons {
  /** Problem sets by name; `test` is the target. */
  problems: Record<string, Comparison>;
  controls: Record<string, Comparison>;
}

/** report.json of a run. Accuracies and gains are shares (0 to 1); intervals are 95 %. */
export interface Report {
  seed: number;
  model: { path: string; hash: string };
  device: string;
  target: Comparison;
  /** Further problem sets, such as templates that no pair comes from. */
  sets: Record<string, Comparison>;
  controls: Record<string, Comparison>;
  circuit: {
    components: number;
    total: number;
    fraction: number;
    byKind: Record<ComponentKind, number>;
    weights: number;
    method: string;
    lambda: number | null;
  };
  pairs: { pairs: number; completions: number; naiveCompletions: number };
  /** `asked`: the user ended it before its last step. */
  training: { steps: number; best: number; breach: string | null; asked: boolean };
  /** What the settings take over from the reference code; empty for the other presets. */
  quirks: Quirk[];
  stages: Record<string, { seconds: number }>;
  /** Matched controls and baselines, each compared with the same base outcomes. */
  variants: Record<string, SuiteComparisons>;
}

export function compareSuites(
  base: Outcomes,
  changed: Outcomes,
  suites: Suites,
  seed: number,
): SuiteComparisons {
  const problems = Object.fromEntries(
    Object.entries(suites.problems).map(([name, items]) => [
      name,
      compareOutcomes(
        base.problems[name]!,
        changed.problems[name]!,
        seed,
        items.map((p) => p.template_id),
      ),
    ]),
  );
  const controls = Object.fromEntries(
    [...bySuite(suites.controls).keys()].map((name) => [
      name,
      compareOutcomes(base.controls[name]!, changed.controls[name]!, seed),
    ]),
  );
  return { problems, controls };
}

/** Test problems whose correctness changed, right ones first. */
export function flipsOf(base: Outcomes, changed: Outcomes, suites: Suites): Flip[] {
  const flips = Object.entries(suites.problems).flatMap(([set, items]) =>
    items.flatMap((problem, i): Flip[] => {
      const before = base.problems[set]![i]!;
      const after = changed.problems[set]![i]!;
      if (before.correct === after.correct) return [];
      const kind = after.correct ? 'wrong-to-right' : 'right-to-wrong';
      return [{ set, id: problem.id, kind, base: before.text, amplified: after.text }];
    }),
  );
  return flips.sort((a, b) => Number(a.kind === 'right-to-wrong') - Number(b.kind === 'right-to-wrong'));
}
