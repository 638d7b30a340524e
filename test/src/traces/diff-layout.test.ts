import { describe, expect, test } from 'vitest';
import type { DiffStretch, OutputDiff, OutputSide } from '../../../server/protocol/traces.ts';
import { layoutDiff, spoken, verdict } from '../../../src/traces/diff-layout.ts';

const at = (line: number, character: number) => ({ line, character });
const stretch = (kind: DiffStretch['kind'], text: string, start = at(0, 0), end = start): DiffStretch => ({
  kind,
  text,
  range: { start, end },
});

describe('layout', () => {
  test('a short addition stands at its place', () => {
    const diff = [
      stretch('same', '= ', at(4, 0), at(4, 2)),
      stretch('removed', '36', at(4, 2), at(4, 4)),
      stretch('added', '27', at(4, 4)),
      stretch('same', ' .', at(4, 4), at(4, 6)),
    ];
    expect(layoutDiff(diff, () => 6, false)).toEqual({
      removed: [{ start: at(4, 2), end: at(4, 4) }],
      added: [{ at: at(4, 4), text: '27', whole: '27' }],
      hints: [],
    });
  });

  test('a long one goes on at the end of its line, whole words', () => {
    const text = Array.from({ length: 30 }, (_, i) => `word${i}`).join(' ');
    const { added } = layoutDiff([stretch('added', text, at(4, 10))], () => 80, false);
    expect(added.map((piece) => piece.at)).toEqual([at(4, 10), at(4, 80)]);
    expect(added[0]!.text.length).toBeLessThanOrEqual(62);
    expect(added[0]!.text).toMatch(/word\d+ …$/);
    expect(added.every((piece) => piece.whole === text)).toBe(true);
  });

  test('what does not fit is counted, and no pair is parted', () => {
    const { added } = layoutDiff([stretch('added', '😀'.repeat(200), at(4, 3))], () => 3, false);
    expect(added).toHaveLength(1);
    const [, shown, rest] = added[0]!.text.match(/^((?:😀)+)… \((\d+) more characters\)$/u)!;
    expect(shown!.length + Number(rest)).toBe(400);
    expect(
      layoutDiff([stretch('added', `x${'😀'.repeat(200)}`, at(4, 1))], () => 80, false).added[0]!.text,
    ).toMatch(/^x(😀)+ …$/u);
  });

  test('lines in place of lines stand beside them', () => {
    const diff = [
      stretch('removed', 'old one\nold two\nold three', at(5, 0), at(7, 9)),
      stretch('added', 'new one\nnew two', at(7, 9)),
    ];
    const lengths = new Map([
      [5, 7],
      [6, 7],
      [7, 9],
    ]);
    expect(
      layoutDiff(diff, (line) => lengths.get(line)!, false).added.map(({ at, text }) => [at, text]),
    ).toEqual([
      [at(5, 7), 'new one⏎'],
      [at(6, 7), 'new two'],
    ]);
  });

  test('additions to a line that would have to be wrapped are hints, all of them', () => {
    const diff = [
      stretch('added', 'a', at(4, 3)),
      stretch('added', `b\n${'c'.repeat(2000)}`, at(4, 30)),
      stretch('added', 'd', at(5, 3)),
    ];
    const { added, hints } = layoutDiff(diff, () => 40, true);
    expect(added.map((piece) => piece.text)).toEqual(['d']);
    expect(hints.map((hint) => hint.at)).toEqual([at(4, 3), at(4, 30)]);
    expect(hints[1]!.text).toMatch(/^b⏎c+… \(1202 more characters\)$/);
  });

  test('line breaks and tabs are shown', () => {
    expect(layoutDiff([stretch('added', '\ta\r\nb', at(4, 3))], () => 3, false).added[0]!.text).toBe('⇥a⏎b');
  });

  test('nothing is drawn for what is empty', () => {
    expect(layoutDiff([stretch('removed', ''), stretch('added', '')], () => 3, false)).toEqual({
      removed: [],
      added: [],
      hints: [],
    });
  });
});

describe('in words', () => {
  const side = (over: Partial<OutputSide>): OutputSide => ({
    text: '',
    answer: 36,
    correct: false,
    truncated: false,
    ...over,
  });
  const diff = (over: Partial<OutputDiff>): OutputDiff => ({
    from: side({}),
    to: side({ answer: 27, correct: true }),
    firstDivergence: 41,
    firstDivergenceAt: at(4, 2),
    stretches: [stretch('removed', '36'), stretch('added', '27 pens')],
    ...over,
  });

  test('both answers and whether they are right', () => {
    expect(verdict(diff({}))).toBe('36 ✗ → 27 ✓');
    expect(verdict(diff({ to: side({ answer: null, truncated: true }) }))).toBe('36 ✗ → no answer …');
    expect(verdict(diff({ from: side({ correct: null }), to: side({ answer: null }) }))).toBe(
      '36 → no answer ✗',
    );
  });

  test('a line for screen readers', () => {
    expect(spoken(diff({}), 'base', 'patch')).toBe(
      'base against patch: outputs part at token 41; 2 characters removed, 7 added. Answer 36, wrong; then 27, right.',
    );
    expect(spoken(diff({ firstDivergence: null }), 'base', 'patch')).toContain('the same output');
  });
});
