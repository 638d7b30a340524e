import { expect, test } from 'vitest';
import type { FlipRow } from '../../../server/protocol/runs.ts';
import { flipTitle, inOrder } from '../../../src/traces/flip-rows.ts';

const row = (kind: FlipRow['kind'], base: string, amplified: string, id = 'a'): FlipRow => ({
  set: 'test',
  id,
  kind,
  base,
  amplified,
});

test.each([
  [row('wrong-to-right', ' 22 * 6 = 132. The answer is 132.', ' … The answer is 114.'), '132 ✗ → 114 ✓'],
  [row('right-to-wrong', '-3', '1,234.5 coins.\n'), '-3 ✓ → 1,234.5 ✗'],
  [row('right-to-wrong', '7', ' \n'), '7 ✓ → nothing ✗'],
  [row('wrong-to-right', 'I do not know what to say to that', 'no'), '…know what to say to that ✗ → no ✓'],
])('a flip is told by its answers: %#', (flip, title) => {
  expect(flipTitle(flip)).toBe(title);
});

test('what got better comes first, each in the order of the run', () => {
  const rows = [
    row('right-to-wrong', '1', '2', 'a'),
    row('wrong-to-right', '1', '2', 'b'),
    row('right-to-wrong', '1', '2', 'c'),
    row('wrong-to-right', '1', '2', 'd'),
  ];
  expect(inOrder(rows).map(({ id }) => id)).toEqual(['b', 'd', 'a', 'c']);
});
