import type { RunReport, SuiteFigures, TakenPivots } from '../../server/protocol/runs.ts';
import { count, percent, points, pValue } from '../format.ts';
import { annotationLine } from '../jobs/describe.ts';

/** A run's figures as Markdown. @param pivots where its pivots are from, if not located by itself */
export function reportText(name: string, report: RunReport, pivots: TakenPivots | null): string {
  const { suites, circuit, variants } = report;
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

/** Two runs side by side as Markdown; shares in percent are for the engine to name. */
export function comparisonText(
  a: string,
  b: string,
  rows: readonly { name: string; a: number | null; b: number | null }[],
): string {
  const cells = rows.map((row) => [
    row.name,
    number(row.a),
    number(row.b),
    row.a === null || row.b === null ? '' : signed(row.b - row.a),
  ]);
  return `# ${a} and ${b}\n\n${table(['figure', a, b, 'difference'], cells)}\n`;
}

const number = (value: number | null) => (value === null ? '' : String(Number(value.toPrecision(6))));

const signed = (value: number) => {
  const text = String(Number(Math.abs(value).toPrecision(3)));
  return value === 0 ? '0' : value < 0 ? `\u2212${text}` : `+${text}`;
};

/** A Markdown table; the first column is text, the others are aligned to the right. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = header.map((_, i) => (i === 0 ? '---' : '--:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}
