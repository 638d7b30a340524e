import { type MeanError, meanError } from '../evaluate/statistics.ts';
import type { Report, SuiteComparisons } from './report.ts';

/** Gains of one model change over several pair-set seeds, as shares. */
export interface SeedGains {
  /** Mean over seeds and its standard error (null for one seed). */
  target: MeanError;
  worst: number;
  sets: Record<string, MeanError>;
  controls: Record<string, MeanError>;
  seeds: number[];
}

/** report.json of a study over seeds: what the runs have in common, and every run's own report. */
export interface StudyReport {
  seeds: number[];
  model: Report['model'];
  device: string;
  base: number;
  amplified: SeedGains;
  variants: Record<string, SeedGains>;
  reports: Report[];
}

function gains(entries: readonly { seed: number; suites: SuiteComparisons }[]): SeedGains {
  const over = (values: number[]) => meanError(values);
  const named = (of: (s: SuiteComparisons) => Record<string, { gain: number }>, skip: string | null) =>
    Object.fromEntries(
      Object.keys(of(entries[0]!.suites))
        .filter((name) => name !== skip)
        .map((name) => [name, over(entries.map((e) => of(e.suites)[name]!.gain))]),
    );
  const target = entries.map((e) => e.suites.problems.test!.gain);
  return {
    target: over(target),
    worst: Math.min(...target),
    sets: named((s) => s.problems, 'test'),
    controls: named((s) => s.controls, null),
    seeds: entries.map((e) => e.seed),
  };
}

/** Put the reports of equal runs with different pair-set seeds together. */
export function studyReport(reports: readonly Report[]): StudyReport {
  const first = reports[0]!;
  const own = (r: Report): SuiteComparisons => ({
    problems: { test: r.target, ...r.sets },
    controls: r.controls,
  });
  const names = [...new Set(reports.flatMap((r) => Object.keys(r.variants)))];
  return {
    seeds: reports.map((r) => r.seed),
    model: first.model,
    device: first.device,
    base: first.target.base.accuracy,
    amplified: gains(reports.map((r) => ({ seed: r.seed, suites: own(r) }))),
    variants: Object.fromEntries(
      names.map((name) => [
        name,
        gains(reports.flatMap((r) => (r.variants[name] ? [{ seed: r.seed, suites: r.variants[name] }] : []))),
      ]),
    ),
    reports: [...reports],
  };
}
