import { describe, expect, test } from 'vitest';
import { linesMoved, nearViewport, tightRange, tokenIndexAt } from '../../../src/traces/ranges.ts';
import { tile } from './tokens.ts';

const range = (a: number, b: number, c: number, d: number) => ({
  start: { line: a, character: b },
  end: { line: c, character: d },
});

describe('near the viewport', () => {
  const lines = tile(Array.from({ length: 5000 }, (_, i) => (i % 10 === 9 ? 'x\n' : 'x ')));

  test('is what is seen and as much again either way', () => {
    const [from, to] = nearViewport(lines, [range(200, 0, 239, 19)]);
    expect([from, to]).toEqual([1600, 2800]);
  });

  test('stops at the ends of the document', () => {
    expect(nearViewport(lines, [range(0, 0, 39, 19)])).toEqual([0, 800]);
    expect(nearViewport(lines, [range(480, 0, 500, 0)])[1]).toBe(5000);
  });

  test('counts tokens, not lines, in one long line', () => {
    const line = tile(Array.from({ length: 5000 }, () => 'ab'));
    expect(nearViewport(line, [range(0, 4000, 0, 4400)])).toEqual([1799, 2402]);
  });

  test('joins the parts of a folded document', () => {
    const [from, to] = nearViewport(lines, [range(200, 0, 210, 19), range(300, 0, 310, 0)]);
    expect(from).toBeLessThanOrEqual(2000);
    expect(to).toBeGreaterThanOrEqual(3100);
  });

  test('is nothing where nothing is seen, and something where no token is', () => {
    expect(nearViewport(lines, [])).toEqual([0, 0]);
    expect(nearViewport([], [range(0, 0, 9, 0)])).toEqual([0, 0]);
    expect(nearViewport(tile(['a', 'b'], 50), [range(0, 0, 9, 0)])).toEqual([0, 2]);
  });
});

describe('the token at a place', () => {
  // A line of 😀 (two UTF-16 units) in two tokens that share it, a tab, CJK, a line break.
  const tokens = tile(['Hi', ' ', '😀', '\t', '日本', '\n', 'end'], 3);
  const split = [...tokens.slice(0, 3), { ...tokens[2]!, index: 3 }, ...tokens.slice(3)];

  test('begins there or covers it', () => {
    expect(tokenIndexAt(tokens, { line: 3, character: 0 })).toBe(0);
    expect(tokenIndexAt(tokens, { line: 3, character: 1 })).toBe(0);
    expect(tokenIndexAt(tokens, { line: 3, character: 2 })).toBe(1);
    expect(tokenIndexAt(tokens, { line: 4, character: 1 })).toBe(6);
  });

  test('is the first of those that share a character', () => {
    expect(tokenIndexAt(split, { line: 3, character: 3 })).toBe(2);
    expect(tokenIndexAt(split, { line: 3, character: 4 })).toBe(2);
  });

  test('is the last at the end of the text, and none outside', () => {
    expect(tokenIndexAt(tokens, { line: 4, character: 3 })).toBe(6);
    expect(tokenIndexAt(tokens, { line: 2, character: 0 })).toBe(-1);
    expect(tokenIndexAt(tokens, { line: 9, character: 0 })).toBe(-1);
    expect(tokenIndexAt([], { line: 0, character: 0 })).toBe(-1);
  });
});

test('a box is drawn round the text of a token', () => {
  const [space, word, both] = tile([' ', ' The', ' a ']);
  expect(tightRange(word!)).toEqual(range(0, 2, 0, 5));
  expect(tightRange(both!)).toEqual(range(0, 6, 0, 7));
  expect(tightRange(space!)).toEqual(space!.range);
  // Shown otherwise than it stands in the document.
  expect(tightRange({ text: ' \\xf0', range: range(0, 0, 0, 2) })).toEqual(range(0, 0, 0, 2));
});

describe('edits above the text', () => {
  const pivot = 'pivot: token=3 undesired=1 desired=2 method=human status=auto\n';

  test('move it by the lines that they add and take', () => {
    expect(linesMoved([{ range: range(4, 0, 4, 0), text: pivot }], 9)).toBe(1);
    expect(linesMoved([{ range: range(4, 0, 5, 0), text: '' }], 9)).toBe(-1);
    expect(linesMoved([{ range: range(4, 8, 4, 9), text: 'x' }], 9)).toBe(0);
    expect(linesMoved([{ range: range(4, 0, 4, 0), text: 'a\r\nb\r\n' }], 9)).toBe(2);
    expect(linesMoved([{ range: range(8, 3, 9, 0), text: '\n' }], 9)).toBe(0);
  });

  test('are told from those that touch it', () => {
    expect(linesMoved([{ range: range(9, 1, 9, 2), text: '' }], 9)).toBeNull();
    expect(linesMoved([{ range: range(8, 3, 10, 0), text: '' }], 9)).toBeNull();
    expect(linesMoved([{ range: range(9, 0, 9, 0), text: 'x' }], 9)).toBeNull();
    expect(linesMoved([{ range: range(8, 3, 9, 0), text: '' }], 9)).toBeNull();
    expect(
      linesMoved(
        [
          { range: range(20, 0, 20, 1), text: '' },
          { range: range(4, 0, 4, 0), text: pivot },
        ],
        9,
      ),
    ).toBeNull();
  });
});
