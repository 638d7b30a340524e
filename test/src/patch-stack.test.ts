import { describe, expect, test } from 'vitest';
import { move, parseScale, put, readStack, take } from '../../src/patches/stack.ts';

const stack = [
  { file: 'a', scale: 1 },
  { file: 'b', scale: 0.5 },
  { file: 'c', scale: 2 },
];
const order = (patches: readonly { file: string }[]) => patches.map(({ file }) => file).join('');

describe('stack of patches', () => {
  test('a new patch goes on top, a known one keeps its place and takes the scale', () => {
    expect(put(stack, 'd')).toEqual([...stack, { file: 'd', scale: 1 }]);
    expect(put(stack, 'a', -1)).toEqual([{ file: 'a', scale: -1 }, stack[1], stack[2]]);
  });

  test('take', () => {
    expect(order(take(stack, 'b'))).toBe('ac');
    expect(order(take(stack, 'x'))).toBe('abc');
  });

  test.each([
    ['a', 1, 'bac'],
    ['c', -1, 'acb'],
    ['a', -1, 'abc'],
    ['c', 1, 'abc'],
    ['x', 1, 'abc'],
  ] as const)('move %s by %i gives %s', (file, by, expected) => {
    expect(order(move(stack, file, by))).toBe(expected);
  });

  test.each([
    ['1', 1],
    [' 0.5 ', 0.5],
    ['150 %', 1.5],
    ['-1', -1],
    ['0,25', 0.25],
    ['', null],
    ['x', null],
    ['1e3', null],
    ['1000', null],
    ['NaN', null],
  ])('scale %j is %s', (text, scale) => {
    expect(parseScale(text)).toBe(scale);
  });

  test('what is stored is read with care', () => {
    expect(readStack([{ file: 'a', scale: 1 }, { file: 'b' }, null, 3, { file: 4, scale: 1 }])).toEqual([
      { file: 'a', scale: 1 },
    ]);
    for (const other of [undefined, null, 'x', {}]) expect(readStack(other)).toEqual([]);
  });
});
