/** Two runs on the same documents, for people. */
import type { Paired } from '../../evaluate/paired.ts';
import { figure, harmless, percent, percentInterval, points, table } from '../render.ts';

/** Templates shown of each suite; all are in the JSON. */
const SHOWN = 12;

/** Tables of the paired figures, of the templates that changed most, and of every flip where they are wanted. */
export function showPaired(all: readonly Paired[], flips: boolean): string[] {
  if (all.length === 0) return [];
  const head = ['same documents', 'a', 'b', 'b - a', '95 %', 'p', 'gained', 'lost', 'n', 'unpaired'];
  const tables = [table(head, all.map(row))];
  for (const one of all) {
    if (one.kind !== 'accuracy') continue;
    if (one.templates.length > 1) tables.push(templateTable(one));
    if (flips && one.flips.length > 0) tables.push(flipList(one));
  }
  return tables;
}

function row(one: Paired): string[] {
  const counts = [String(one.n), String(one.unpaired)];
  if (one.kind !== 'accuracy') {
    const { low, high } = one.interval;
    const unit = one.kind === 'nats' ? ' (nats)' : '';
    const interval = `[${figure(low)}, ${figure(high)}]`;
    return [
      one.name + unit,
      figure(one.a),
      figure(one.b),
      figure(one.difference),
      interval,
      '',
      '',
      '',
      ...counts,
    ];
  }
  const { base, amplified, gain, interval, p, gained, lost } = one.comparison;
  return [
    one.name,
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

function templateTable({ name, templates, comparison }: Extract<Paired, { kind: 'accuracy' }>): string {
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
  const title = `${name}: ${templates.length} templates${rest}; b - a when templates are resampled ${percentInterval(low, high)}\n`;
  return title + table(['template', 'a', 'b', 'b - a', 'gained', 'lost', 'n'], rows);
}

function flipList({ name, flips }: Extract<Paired, { kind: 'accuracy' }>): string {
  const line = (text: string) => harmless(JSON.stringify(text));
  return `${name}: documents whose outcome changed\n${flips
    .map(({ id, kind, a, b }) => `${kind}  ${harmless(id)}  ${line(a)} -> ${line(b)}\n`)
    .join('')}`;
}
