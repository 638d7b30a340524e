import { describe, expect, it } from 'vitest';
import { evaluate, toValue } from '../../../server/data/symbolic/evaluate.ts';
import { ExpressionError, parseExpression } from '../../../server/data/symbolic/syntax.ts';
import { show, type Value } from '../../../server/data/symbolic/values.ts';
import { Rng } from '../../../server/random.ts';

const variables = new Map(
  Object.entries({ x: 7, half: 0.5, mult: ['twice', 2], unit: 'week' }).map(([k, v]) => [k, toValue(v)]),
);
const run = (text: string, seed = 0): Value =>
  evaluate(parseExpression(text), { rng: new Rng(seed), lookup: (name) => variables.get(name) });

describe('expressions', () => {
  // Every value is what Python 3 prints, except that whole floats print without ".0" and floats are exact.
  it.each([
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['-2 ** 2', '-4'],
    ['2 ** 3 ** 2', '512'],
    ['2 ** -1', '0.5'],
    ['7 / 2', '3.5'],
    ['6 / 2', '3'],
    ['1 / 3', '0.3333333333333333'],
    ['-7 // 2', '-4'],
    ['-7 % 3', '2'],
    ['7.5 % 2', '1.5'],
    ['0.1 + 0.2', '0.3'],
    ['10 - 2 - 3', '5'],
    ['int(-3.7)', '-3'],
    ['round(2.5)', '2'],
    ['round(3.5)', '4'],
    ['round(-2.5)', '-2'],
    ['round(2.345, 2)', '2.34'],
    ['Fraction(6, 4)', '3/2'],
    ['Fraction(1, 2) + 1', '3/2'],
    ['Fraction(1, 2) * 4', '2'],
    ['Fraction(1, 2) + 0.25', '0.75'],
    ['1 - Fraction(1, 3)', '2/3'],
    ['format_frac(1.5)', '3/2'],
    ['is_int(0.1 * 30)', 'True'],
    ['is_int(x / 2)', 'False'],
    ['divides(12, 4)', 'True'],
    ['divides(4, 12)', 'False'],
    ['not divides(x, 5)', 'True'],
    ['1 < x <= 7', 'True'],
    ['1 < x < 7', 'False'],
    ['x == 7.0 and unit == "week"', 'True'],
    ["x != 7 or unit != 'week'", 'False'],
    ['is_int(half) == False', 'True'],
    ['unit in ["day", "week"]', 'True'],
    ['x not in [1, 2]', 'True'],
    ['7 if unit == "week" else 30', '7'],
    ["'up' if round(half) > half else 'down'", 'down'],
    ['mult * x', '14'],
    ['mult[1] + 1', '3'],
    ['mult[0]', 'twice'],
    ['mult', '2'],
    ['("thrice", 3) * 2', '6'],
    ['("a", "b")[1]', 'b'],
    ['range(3)', '[0, 1, 2]'],
    ['range(10, 3, -3)', '[10, 7, 4]'],
    ['range(5, 5)', '[]'],
    ['np.arange(0.25, 1, 0.25)', '[0.25, 0.5, 0.75]'],
    ['frange(1, 2, 0.5)', '[1, 1.5]'],
    ['list(range(2)) * 2 + [9]', '[0, 1, 0, 1, 9]'],
    ['[1, 2, 3, 4][:2]', '[1, 2]'],
    ['[1, 2, 3, 4][1:]', '[2, 3, 4]'],
    ['[1, 2, 3][-1]', '3'],
    ['(1)', '1'],
    ['len(("a", "b", "c",))', '3'],
    ['max(3, x, 5) + min([4, 2]) + abs(-1) + sum([1, 2])', '13'],
    ['"a" + str(x)', 'a7'],
    ['numbers_within(20, 22)[1][0]', 'twenty-one'],
    ['1_0', null],
    ['$x + 1', '8'],
    ['float(3) / 2', '1.5'],
  ])('%s is %s', (text, shown) => {
    if (shown === null) expect(() => run(text)).toThrow(ExpressionError);
    else expect(show(run(text), 'number')).toBe(shown);
  });

  it('draws from lists', () => {
    for (let seed = 0; seed < 50; seed++) {
      expect(['1', '2', '3']).toContain(show(run('sample([1, 2, 3])', seed), 'number'));
      const two = run('sample([1, 2, 3], 2)', seed) as Value[];
      expect(two).toHaveLength(2);
      expect(two[0]).not.toEqual(two[1]);
      const days = ['a', 'b', 'c', 'a', 'b'];
      const run3 = run('sample_sequential(["a", "b", "c"], 3)', seed) as string[];
      expect(days.join('')).toContain(run3.join(''));
      expect([...(run('shuffle_list(["a", "b", "c"])', seed) as string[])].sort()).toEqual(['a', 'b', 'c']);
      const drawn = Number(show(run('random.randint(3, 4)', seed), 'number'));
      expect([3, 4]).toContain(drawn);
    }
    expect(run('np.random.randint(0, 5, 100)')).toHaveLength(100);
  });

  it.each([
    ['', 'ends too early'],
    ['1 +', 'ends too early'],
    ['(1', 'ends too early'],
    ['1 2', 'has an unexpected 2'],
    ['[1 2]', 'has an unexpected 2'],
    ['a[]', 'has an unexpected ]'],
    ['x; y', 'cannot be read from "; y"'],
    ['lambda: 1', 'has an unexpected :'],
    ['nope + 1', 'uses the unknown name nope'],
    ['eval("1")', 'uses the unknown function eval'],
    ['__import__("os")', 'uses the unknown function __import__'],
    ['constructor(1)', 'uses the unknown function constructor'],
    ['toString', 'uses the unknown name toString'],
    ['is_int()', 'gives is_int 0 arguments'],
    ['1 / 0', 'divides by zero'],
    ['1 % 0', 'divides by zero'],
    ['unit * 2', 'cannot do "week" * 2'],
    ['unit < 2', 'needs a number, not "week"'],
    ['sample([])', 'samples 1 of 0'],
    ['[1][3]', 'has no item at that index'],
    ['range(0, 10 ** 9)', 'makes a list of 1000000000'],
    ['[1] * 900000 * 900000', 'makes a list of'],
    ['9 ** 65', 'has a power of 65'],
    ['9 ** 60 ** 60', 'has a power of'],
    [`${'(9 ** 64) ** 64'.padEnd(15)}`, 'grows too large'],
    ['('.repeat(500), 'is nested too deeply'],
    ['range(1, 5, 0)', 'has a step of 0'],
  ])('refuses %j', (text, message) => {
    expect(() => run(text)).toThrow(ExpressionError);
    expect(() => run(text)).toThrow(message);
  });
});
