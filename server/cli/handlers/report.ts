/** A run's report for people. */
import type { Accuracy, Comparison } from '../../evaluate/compare.ts';
import type { Report } from '../../pipeline/report.ts';
import type { StudyReport } from '../../pipeline/seeds.ts';
import { duration, percent, percentInterval, points, table } from '../render.ts';

export const COMPARISON_HEAD = ['suite', 'base', 'amplified', 'gain', '95 %', 'p', 'n'];

export function accuracyRow(name: string, { accuracy, interval, n }: Accuracy): string[] {
  return [name, percent(accuracy), percentInterval(interval.low, interval.high), String(n)];
}

export function comparisonRow(name: string, { base, amplified, gain, interval, p }: Comparison): string[] {
  return [
    name,
    percent(base.accuracy),
    percent(amplified.accuracy),
    points(gain),
    percentInterval(interval.low, interval.high),
    p < 0.001 ? '<0.001' : p.toPrecision(2),
    String(base.n),
  ];
}

/** The table at the end of a run: suites before and after, circuit, flips, variants, times, files. */
export function showReport(report: Report, folder: string): string {
  const { target, sets, controls, circuit, pairs, training, stages, variants, quirks } = report;
  const suites = [
    comparisonRow('target', target),
    ...Object.entries({ ...sets, ...controls }).map(([name, comparison]) => comparisonRow(name, comparison)),
  ];
  const kinds = Object.entries(circuit.byKind).map(([kind, count]) => `${kind} ${count}`);
  const share = `${circuit.components} of ${circuit.total} components (${(100 * circuit.fraction).toFixed(2)} %)`;
  const ended = training.breach
    ? `, stopped: ${training.breach}`
    : training.asked
      ? ', ended early as asked'
      : '';
  const facts = [
    ['circuit', `${share}: ${kinds.join(', ')}; ${circuit.weights} weights; chosen by ${circuit.method}`],
    [
      'pairs',
      `${pairs.pairs}, found with ${pairs.completions} completions (${pairs.naiveCompletions} token by token)`,
    ],
    ['training', `step ${training.best} of ${training.steps} kept${ended}`],
    ['flips', `${target.gained} wrong to right, ${target.lost} right to wrong`],
    [
      'time',
      Object.entries(stages)
        .map(([name, { seconds }]) => `${name} ${duration(seconds)}`)
        .join(', '),
    ],
    ['files', `${folder}: report.json, patch.safetensors, mask.json, pairs.jsonl, traces.jsonl, flips.jsonl`],
  ];
  const width = Math.max(...facts.map(([name]) => name!.length));
  const lines = facts.map(([name, value]) => `${name!.padEnd(width)}  ${value}\n`).join('');
  return [table(COMPARISON_HEAD, suites), lines, ...variantTable(variants), ...quirkList(quirks)].join('\n');
}

/** What a run took over from the reference code, one line each. */
function quirkList(quirks: Report['quirks']): string[] {
  if (quirks.length === 0) return [];
  const rows = quirks.map(({ quirk, reproduced }) => [reproduced ? 'as there' : 'not here', quirk]);
  return [table(['reference code', ''], rows)];
}

function variantTable(variants: Report['variants']): string[] {
  const entries = Object.entries(variants);
  if (entries.length === 0) return [];
  const names = Object.keys(entries[0]![1].controls);
  const rows = entries.map(([name, { problems, controls }]) => [
    name,
    points(problems.test!.gain),
    ...names.map((suite) => points(controls[suite]!.gain)),
  ]);
  return [table(['variant', 'target gain', ...names], rows)];
}

/** Gains over several seeds: mean and worst, of the run itself and of its variants. */
export function showStudy({ seeds, base, amplified, variants }: StudyReport, folder: string): string {
  const suites = Object.keys({ ...amplified.sets, ...amplified.controls });
  const rows = Object.entries({ amplified, ...variants }).map(([name, { target, worst, sets, controls }]) => [
    name,
    points(target.mean),
    points(worst),
    ...suites.map((suite) => points({ ...sets, ...controls }[suite]!.mean)),
  ]);
  const head = ['mean gain', 'target', 'worst seed', ...suites];
  return `${seeds.length} seeds, from ${seeds[0]}; target of the base model ${percent(base)}
${table(head, rows)}
files  ${folder}: report.json, and a run folder per seed\n`;
}
