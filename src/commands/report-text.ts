import type { ComparedSuite, RunComparison, RunReport, SuiteFigures } from '../../server/protocol/runs.ts';
import { count, percent, points, pValue } from '../format.ts';
import { annotationLine } from '../jobs/describe.ts';

/** A run's figures as Markdown. */
export function reportText(name: string, report: RunReport): string {
  const { suites, circuit, variants, pivots } = report;
  const kinds = Object.entries(circuit.byKind)
    .filter(([, n]) => n > 0)
    .map(([kind, n]) => `${count(n)} ${kind}`)
    .join(', ');
  const share = circuit.total > 0 ? ` (${percent(circuit.components / circuit.total)})` : '';
  const parts = [
    `# ${name}`,
    `${count(circuit.components)} of ${count(circuit.total)} components${share}${kinds && `: ${kinds}`}; ${count(circuit.weights)} weights changed.`,
    table(
      ['suite', 'base', 'amplified', 'gain, points', '95 %', 'p', 'n'],
      suites.map((suite) => suiteRow(suite)),
    ),
    'Paired on the same items. 95 %: bootstrap interval of the gain; p: exact McNemar test.',
  ];
  if (variants.length > 0) {
    parts.push(
      '## Matched controls',
      table(
        ['what is trained', 'gain, points', 'control suite that fell most'],
        variants.map(({ name: what, gain, worstControl }) => [
          what,
          points(gain),
          worstControl === null ? '' : points(worstControl),
        ]),
      ),
    );
  }
  if (pivots) parts.push(`Pivots of \`${pivots.source}\`: ${annotationLine(pivots)}.`);
  parts.push(`Files: \`${report.folder}\``);
  return `${parts.join('\n\n')}\n`;
}

const suiteRow = ({ name, kind, base, amplified, gain, gainInterval: [low, high], p }: SuiteFigures) => [
  kind === 'target' ? `**${name}**` : name,
  percent(base.accuracy),
  percent(amplified.accuracy),
  points(gain),
  `[${points(low)}, ${points(high)}]`,
  pValue(p),
  count(amplified.n),
];

/** Templates, flips and components that are shown of each list. */
const SHOWN = 12;

/** Two runs side by side as Markdown. */
export function comparisonText(comparison: RunComparison): string {
  const { names, folders, missing, suites, variants, settings, circuit } = comparison;
  const [a, b] = names;
  const parts = [`# ${a} and ${b}`];
  if (missing.length > 0) parts.push(missing.map((line) => `- ${line}`).join('\n'));
  if (suites.length > 0) {
    const based = suites.some((suite) => (suite.a?.base ?? suite.b?.base ?? null) !== null);
    const bases = based ? [`base of ${a}`, `base of ${b}`] : [];
    const head = ['suite', ...bases, a, b, 'difference', '95 %', 'p', 'gained', 'lost', 'n'];
    parts.push(
      table(
        head,
        suites.map((suite) => comparedRow(suite, based)),
      ),
      `Paired on what both answered; difference: ${b} less ${a}. 95 %: bootstrap interval of the difference; p: exact McNemar test; gained: wrong in ${a}, right in ${b}.`,
    );
  }
  parts.push(...suites.flatMap((suite) => [...templateTable(suite, names), ...flipLines(suite)]));
  if (variants.length > 0) {
    const rows = variants.map((one) => [one.name, gainOf(one.a), gainOf(one.b)]);
    parts.push('## Matched controls: gain on the target, points', table(['what is trained', a, b], rows));
  }
  parts.push('## Settings that differ', settings.length > 0 ? settingsTable(settings, names) : 'None.');
  if (circuit) parts.push('## Circuits', ...circuitParts(circuit, names));
  parts.push(`Files: \`${folders[0]}\`, \`${folders[1]}\``);
  return `${parts.join('\n\n')}\n`;
}

const gainOf = (gain: number | null) => (gain === null ? '' : points(gain));

function comparedRow(suite: ComparedSuite, based: boolean): string[] {
  const { name, role, unit, a, b, paired } = suite;
  const value = (x: number | undefined | null) =>
    x == null ? '' : unit === 'accuracy' ? percent(x) : String(Number(x.toPrecision(4)));
  const difference = (x: number) => (unit === 'accuracy' ? points(x) : signed(x));
  const label = role === 'target' ? '**target**' : unit === 'nats' ? `${name} (nats)` : name;
  const bases = based ? [percentOf(a?.base), percentOf(b?.base)] : [];
  const sides = [label, ...bases, value(a?.value), value(b?.value)];
  if (!paired) return [...sides, '', '', '', '', '', [a, b].flatMap((side) => side?.n ?? []).join(' / ')];
  const [low, high] = paired.interval;
  const flips =
    paired.p === null ? ['', '', ''] : [pValue(paired.p), count(paired.gained), count(paired.lost)];
  const unpaired = paired.unpaired > 0 ? ` (${count(paired.unpaired)} in one only)` : '';
  return [
    ...sides,
    difference(paired.difference),
    `[${difference(low)}, ${difference(high)}]`,
    ...flips,
    `${count(paired.n)}${unpaired}`,
  ];
}

const percentOf = (share: number | null | undefined) => (share == null ? '' : percent(share));

const signed = (value: number) => {
  const text = String(Number(Math.abs(value).toPrecision(3)));
  return value === 0 ? '0' : value < 0 ? `\u2212${text}` : `+${text}`;
};

/** The templates that changed most. */
function templateTable({ name, role, paired }: ComparedSuite, [a, b]: readonly [string, string]): string[] {
  if (!paired?.templateInterval) return [];
  const { templates, templateInterval } = paired;
  const changed = [...templates].sort((x, y) => Math.abs(y.b - y.a) - Math.abs(x.b - x.a)).slice(0, SHOWN);
  const rest = templates.length > SHOWN ? `, the ${SHOWN} that changed most` : '';
  const [low, high] = templateInterval.map(points);
  return [
    `## ${role === 'target' ? 'Target' : name} by template`,
    `${templates.length} templates${rest}. 95 % of the difference when whole templates are resampled: [${low}, ${high}].`,
    table(
      ['template', a, b, 'difference', 'gained', 'lost', 'n'],
      changed.map((one) => [
        one.template,
        percent(one.a),
        percent(one.b),
        points(one.b - one.a),
        count(one.gained),
        count(one.lost),
        count(one.n),
      ]),
    ),
  ];
}

function flipLines({ role, paired }: ComparedSuite): string[] {
  if (role !== 'target' || !paired) return [];
  const line = (what: string, ids: readonly string[]) => {
    const rest = ids.length > SHOWN ? ` and ${count(ids.length - SHOWN)} more` : '';
    return ids.length > 0 ? [`${what}: ${ids.slice(0, SHOWN).join(', ')}${rest}.`] : [];
  };
  return [...line('Gained', paired.flips.gained), ...line('Lost', paired.flips.lost)];
}

const settingsTable = (settings: RunComparison['settings'], names: readonly [string, string]) =>
  table(
    ['setting', ...names],
    settings.map(({ name, a, b }) => [name, a ?? '', b ?? '']),
  );

function circuitParts(
  { byKind, common, ...all }: NonNullable<RunComparison['circuit']>,
  names: readonly [string, string],
): string[] {
  const rows = Object.entries({ all, ...byKind })
    .filter(([, { a, b }]) => a + b > 0)
    .map(([kind, { a, b, both, jaccard }]) => [
      kind,
      count(a),
      count(b),
      count(both),
      jaccard === null ? '' : jaccard.toFixed(2),
    ]);
  const rest = common.length > SHOWN ? ` and ${count(common.length - SHOWN)} more` : '';
  const shown = common.slice(0, SHOWN).map(({ kind, layer, index }) => `${kind} ${layer}.${index}`);
  const list = common.length > 0 ? [`In both: ${shown.join(', ')}${rest}.`] : [];
  return [table(['components', ...names, 'in both', 'Jaccard'], rows), ...list];
}

/** A Markdown table; the first column is text, the others are aligned to the right. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = header.map((_, i) => (i === 0 ? '---' : '--:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}
