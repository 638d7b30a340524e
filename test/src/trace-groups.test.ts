import { describe, expect, test } from 'vitest';
import type { TraceRow } from '../../server/protocol/traces.ts';
import {
  below,
  CHUNK,
  filterRows,
  type GroupNode,
  outcomeGroups,
  outcomeOf,
  traceDescription,
} from '../../src/views/trace-groups.ts';

const row = (own: Partial<TraceRow> = {}): TraceRow => ({
  id: 'train-1-greedy',
  problem: 'train-1',
  template: 'boxes',
  target: 27,
  answer: 36,
  correct: false,
  truncated: false,
  strategy: 'greedy',
  document: null,
  pivots: 0,
  excluded: false,
  ...own,
});

describe('groups of traces', () => {
  test.each([
    [row(), 'wrong'],
    [row({ correct: true, answer: 27 }), 'right'],
    [row({ correct: true, answer: 27, truncated: true }), 'right'],
    [row({ truncated: true }), 'truncated'],
    [row({ answer: null }), 'no answer'],
    [row({ correct: null, answer: null }), 'not scored'],
  ])('outcome %#', (trace, outcome) => {
    expect(outcomeOf(trace)).toBe(outcome);
  });

  test('outcomes, wrong first; templates in natural order; then traces', () => {
    const rows = [
      row({ id: 'a', correct: true, answer: 27 }),
      row({ id: 'b', template: 't10' }),
      row({ id: 'c', template: 't9' }),
      row({ id: 'd', template: null }),
    ];
    const groups = outcomeGroups(rows);
    expect(groups.map(({ label, rows: own }) => [label, own.length])).toEqual([
      ['wrong', 3],
      ['right', 1],
    ]);
    const templates = below(groups[0]!) as GroupNode[];
    expect(templates.map(({ label }) => label)).toEqual(['without template', 't9', 't10']);
    expect(below(templates[1]!)).toEqual([{ kind: 'trace', row: rows[2] }]);
    // One template is no level of its own.
    expect(below(groups[1]!)).toEqual([{ kind: 'trace', row: rows[0] }]);
  });

  test('ten thousand traces: every one is in exactly one group, groups are small, identities differ', () => {
    const rows = Array.from({ length: 10_000 }, (_, i) =>
      row({ id: `t-${i}`, template: i < 9000 ? 'big' : `small-${i % 7}`, correct: i % 3 === 0 }),
    );
    const seen: string[] = [];
    const ids: string[] = [];
    const walk = (group: GroupNode) => {
      ids.push(group.id);
      const children = below(group);
      expect(children.length).toBeLessThanOrEqual(CHUNK);
      for (const child of children) {
        if (child.kind === 'trace') seen.push(child.row.id);
        else walk(child);
      }
    };
    for (const group of outcomeGroups(rows)) walk(group);
    expect(seen.length).toBe(10_000);
    expect(new Set(seen).size).toBe(10_000);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('filter', () => {
  const rows = [
    row({ id: 'a', problem: 'Pens-1', template: 'boxes' }),
    row({ id: 'b', problem: 'pens-2', template: 'shop', pivots: 2, excluded: true }),
    row({
      id: 'c',
      problem: 'tea-1',
      template: 'shop',
      correct: true,
      strategy: 'sample',
      document: '/c.trace',
    }),
  ];
  test.each([
    ['', 'abc'],
    ['PENS', 'ab'],
    ['pens shop', 'b'],
    ['@pivots', 'b'],
    ['@excluded pens', 'b'],
    ['@sample', 'c'],
    ['@greedy shop', 'b'],
    ['@document', 'c'],
    ['@right', 'c'],
    ['@wrong', 'ab'],
    ['@unknown', ''],
  ])('%j leaves %j', (filter, expected) => {
    expect(
      filterRows(rows, filter)
        .map(({ id }) => id)
        .join(''),
    ).toBe(expected);
  });
});

test.each([
  [row(), '36, not 27'],
  [row({ correct: true, answer: 27 }), '27'],
  [row({ answer: null, truncated: true, correct: false }), 'no answer, not 27 · truncated'],
  [row({ pivots: 1, excluded: true }), '36, not 27 · 1 pivot · excluded'],
])('description %#', (trace, expected) => {
  expect(traceDescription(trace)).toBe(expected);
});
