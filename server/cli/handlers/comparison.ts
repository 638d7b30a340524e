/** Two runs side by side, for people. */
import type { ComparedSuite, Paired, Side } from '../../evaluate/paired.ts';
import type { RunComparison } from '../../pipeline/compare.ts';
import { figure, harmless, percent, percentInterval, points, table } from '../render.ts';

/** Templates and components shown; all are in the JSON. */
const SHOWN = 12;

/** What is missing, suites, templates that changed most, flips where they are wanted, controls, settings, circuits. */
export function showComparison(comparison: RunComparison, flips: boolean): string {
  const { folders, missing, suites, variants, settings, circuit } = comparison;
  const parts = [`a  ${folders[0]}\nb  ${folders[1]}\n`];
  if (missing.length > 0) parts.push(missing.map((line) => `${harmless(line)}\n`).join(''));
  if (suites.length > 0) parts.push(suiteTable(suites));
  for (const { name, paired } of suites) {
    if (paired?.kind !== 'accuracy') continue;
    if (paired.templates.length > 1) parts.push(templateTable(name, paired));
    if (flips && paired.flips.length > 0) parts.push(flipList(name, paired));
  }
  if (variants.length > 0) {
    const gain = (value: number | null) => (value === null ? '-' : points(value));
    const rows = variants.map(({ name, a, b }) => [name, gain(a), gain(b)]);
    parts.push(table(['matched control, target gain', 'a', 'b'], rows));
  }
  parts.push(settings.length > 0 ? settingsTable(settings) : 'the settings are the same\n');
  if (circuit) parts.push(circuitTable(circuit));
  return parts.join('\n');
}

function suiteTable(suites: readonly ComparedSuite[]): string {
  const based = suites.some(({ a, b }) => (a?.base ?? b?.base ?? null) !== null);
  const bases = based ? ['base a', 'base b'] : [];
  const head = ['suite', ...bases, 'a', 'b', 'b - a', '95 %', 'p', 'gained', 'lost', 'n', 'unpaired'];
  const rows = suites.map((suite) => {
    const base = (side: Side | null) => (side?.base == null ? '-' : percent(side.base));
    const name = suite.role === 'target' ? 'target' : harmless(suite.name);
    return [
      suite.unit === 'nats' ? `${name} (nats)` : name,
      ...(based ? [base(suite.a), base(suite.b)] : []),
      ...cells(suite),
    ];
  });
  return table(head, rows);
}

/** Both sides over the documents that both have; where there are none, each over its own. */
function cells({ unit, a, b, paired }: ComparedSuite): string[] {
  const value = unit === 'accuracy' ? percent : figure;
  if (!paired) {
    const side = (one: Side | null) => (one ? value(one.value) : '-');
    return [side(a), side(b), '', '', '', '', '', [a, b].flatMap((one) => one?.n ?? []).join(' / '), ''];
  }
  const counts = [String(paired.n), String(paired.unpaired)];
  if (paired.kind !== 'accuracy') {
    const { low, high } = paired.interval;
    const interval = `[${figure(low)}, ${figure(high)}]`;
    return [value(paired.a), value(paired.b), figure(paired.difference), interval, '', '', '', ...counts];
  }
  const { base, amplified, gain, interval, p, gained, lost } = paired.comparison;
  return [
    percent(base.accuracy),
    percent(amplified.accuracy),
    points(gain),
    percentInterval(interval.low, interval.high),
    p < 0.001 ? '<0.001' : p.toPrecision(2),
    String(gained),
    String(lost),
    ...counts,
  ];
}

type Accuracies = Extract<Paired, { kind: 'accuracy' }>;

function templateTable(name: string, { templates, comparison }: Accuracies): string {
  const changed = [...templates].sort((x, y) => Math.abs(y.b - y.a) - Math.abs(x.b - x.a)).slice(0, SHOWN);
  const rows = changed.map(({ template, n, a, b, gained, lost }) => [
    harmless(template),
    percent(a),
    percent(b),
    points(b - a),
    String(gained),
    String(lost),
    String(n),
  ]);
  const { low, high } = comparison.templateInterval!;
  const rest = templates.length > SHOWN ? `, the ${SHOWN} that changed most` : '';
  const title = `${harmless(name)}: ${templates.length} templates${rest}; b - a when templates are resampled ${percentInterval(low, high)}\n`;
  return title + table(['template', 'a', 'b', 'b - a', 'gained', 'lost', 'n'], rows);
}

function flipList(name: string, { flips }: Accuracies): string {
  const line = (text: string) => harmless(JSON.stringify(text));
  return `${harmless(name)}: documents whose outcome changed\n${flips
    .map(({ id, kind, a, b }) => `${kind}  ${harmless(id)}  ${line(a)} -> ${line(b)}\n`)
    .join('')}`;
}

function settingsTable(settings: RunComparison['settings']): string {
  const cell = (value: string | null) => (value === null ? '-' : harmless(value));
  return table(
    ['setting', 'a', 'b'],
    settings.map(({ name, a, b }) => [harmless(name), cell(a), cell(b)]),
  );
}

function circuitTable({ byKind, common, ...all }: NonNullable<RunComparison['circuit']>): string {
  const rows = Object.entries({ all, ...byKind })
    .filter(([, { a, b }]) => a + b > 0)
    .map(([kind, { a, b, both, jaccard }]) => [
      kind,
      String(a),
      String(b),
      String(both),
      jaccard === null ? '-' : jaccard.toFixed(2),
    ]);
  const shown = common.slice(0, SHOWN).map(({ kind, layer, index }) => `${kind} ${layer}.${index}`);
  const rest = common.length > SHOWN ? `, and ${common.length - SHOWN} more` : '';
  const list = common.length > 0 ? `in both: ${shown.join(', ')}${rest}\n` : '';
  return table(['circuit', 'a', 'b', 'in both', 'Jaccard'], rows) + list;
}
