import type { TraceRow } from '../../server/protocol/traces.ts';

/** A stretch of many traces is split into groups of this many. */
export const CHUNK = 500;

const outcomes = ['wrong', 'truncated', 'no answer', 'right', 'not scored'] as const;
export type Outcome = (typeof outcomes)[number];

export interface TraceNode {
  kind: 'trace';
  row: TraceRow;
}

export interface GroupNode {
  kind: 'outcome' | 'template' | 'chunk';
  /** Path of the groups that it is in: its identity. */
  id: string;
  label: string;
  outcome: Outcome;
  rows: TraceRow[];
}

export const outcomeOf = ({ correct, answer, truncated }: TraceRow): Outcome => {
  if (correct === true) return 'right';
  if (truncated) return 'truncated';
  if (correct === null) return 'not scored';
  return answer === null ? 'no answer' : 'wrong';
};

/** The first level: outcomes that occur, wrong ones first. */
export function outcomeGroups(rows: readonly TraceRow[]): GroupNode[] {
  const groups = partition(rows, outcomeOf);
  return outcomes.flatMap((outcome) => {
    const own = groups.get(outcome);
    return own ? [{ kind: 'outcome' as const, id: outcome, label: outcome, outcome, rows: own }] : [];
  });
}

/** What is below a group, made when it is opened: templates where there are several, stretches where there are many, traces. */
export function below(group: GroupNode): (GroupNode | TraceNode)[] {
  const { id, outcome, rows } = group;
  if (group.kind === 'outcome') {
    const templates = partition(rows, ({ template }) => template ?? '');
    if (templates.size > 1) {
      return [...templates]
        .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
        .map(([name, own]) => {
          const label = name || 'without template';
          return { kind: 'template', id: `${id}/${name}`, label, outcome, rows: own };
        });
    }
  }
  if (rows.length > CHUNK && group.kind !== 'chunk') {
    const starts = Array.from({ length: Math.ceil(rows.length / CHUNK) }, (_, i) => i * CHUNK);
    return starts.map((start) => {
      const own = rows.slice(start, start + CHUNK);
      const label = `${start + 1} to ${start + own.length}`;
      return { kind: 'chunk', id: `${id}/#${start}`, label, outcome, rows: own };
    });
  }
  return rows.map((row) => ({ kind: 'trace', row }));
}

const tags: Record<string, (row: TraceRow) => boolean> = {
  '@pivots': ({ pivots }) => pivots > 0,
  '@excluded': ({ excluded }) => excluded,
  '@document': ({ document }) => document !== null,
  '@greedy': ({ strategy }) => strategy === 'greedy',
  '@sample': ({ strategy }) => strategy === 'sample',
  '@right': (row) => outcomeOf(row) === 'right',
  '@wrong': (row) => outcomeOf(row) === 'wrong',
  '@truncated': ({ truncated }) => truncated,
};

export const tagNames: readonly string[] = Object.keys(tags);

/** Rows that have every word of the filter in id, problem or template, and every `@tag` of it. */
export function filterRows(rows: readonly TraceRow[], filter: string): TraceRow[] {
  const tests = filter
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => tags[word] ?? ((row: TraceRow) => haystack(row).includes(word)));
  return rows.filter((row) => tests.every((test) => test(row)));
}

const haystack = ({ id, problem, template }: TraceRow) =>
  `${id}\n${problem}\n${template ?? ''}`.toLowerCase();

/** `36, not 27 · 2 pivots · excluded` */
export function traceDescription(row: TraceRow): string {
  const { answer, target, correct, pivots, excluded, truncated } = row;
  const said = answer === null ? 'no answer' : String(answer);
  const parts = [
    correct === false && target !== null ? `${said}, not ${target}` : said,
    truncated && 'truncated',
    pivots > 0 && (pivots === 1 ? '1 pivot' : `${pivots} pivots`),
    excluded && 'excluded',
  ];
  return parts.filter((part) => part !== false).join(' · ');
}

function partition<K>(rows: readonly TraceRow[], key: (row: TraceRow) => K): Map<K, TraceRow[]> {
  const groups = new Map<K, TraceRow[]>();
  for (const row of rows) {
    const name = key(row);
    const group = groups.get(name);
    if (group) group.push(row);
    else groups.set(name, [row]);
  }
  return groups;
}
