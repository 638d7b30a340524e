/**
 * Values of template expressions. Numbers are exact (a fraction of two integers), so that `is_int(0.1 * 30)` holds and
 * no float error reaches a question; their kind (int, float, fraction) follows Python's rules and decides how they print.
 */
import { type ArithmeticSign, type CompareSign, ExpressionError } from './syntax.ts';

export interface Num {
  kind: 'int' | 'float' | 'fraction';
  /** Numerator; the fraction is in lowest terms. */
  n: bigint;
  /** Denominator, > 0; 1 for an int. */
  d: bigint;
}

/** A number with a name, written ("twice", 2): prints as its word in a question and counts as its number. */
export interface Pair {
  word: Value;
  number: Num;
}

export type Value = Num | Pair | string | boolean | null | Value[];

/** Raised where Python would divide by zero; such a draw meets no condition. */
export class DivisionByZero extends ExpressionError {}

/** Numbers past this many bits come from a runaway power or product. */
const MAX_BITS = 4096n;

export function num(n: bigint, d = 1n, kind: Num['kind'] = 'int'): Num {
  if (d === 0n) throw new DivisionByZero('divides by zero');
  if (n >> MAX_BITS > 0n || -n >> MAX_BITS > 0n || d >> MAX_BITS > 0n)
    throw new ExpressionError('grows too large');
  let [a, b] = [n < 0n ? -n : n, d < 0n ? -d : d];
  while (b) [a, b] = [b, a % b];
  const divisor = d < 0n ? -a : a;
  return { kind, n: n / divisor, d: d / divisor };
}

export const int = (value: number): Num => num(BigInt(value));

/** A literal such as 12, 0.25 or .5; exact. */
export function parseNum(text: string): Num {
  const [whole = '', decimals] = text.split('.');
  if (decimals === undefined) return num(BigInt(whole));
  return num(BigInt(whole + decimals), 10n ** BigInt(decimals.length), 'float');
}

export function isPair(value: Value): value is Pair {
  return typeof value === 'object' && value !== null && 'word' in value;
}

function isNum(value: Value): value is Num {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** A Python tuple: (word, number) is a pair, any other a list. */
export function tuple(items: Value[]): Value {
  const [word, number] = items;
  return items.length === 2 && isNum(number!) ? { word: word!, number } : items;
}

/** The number that a value counts as, or null: a number, a boolean, or the number of a pair. */
export function asNum(value: Value): Num | null {
  if (typeof value === 'boolean') return int(Number(value));
  if (isPair(value)) return value.number;
  return isNum(value) ? value : null;
}

export function needNum(value: Value): Num {
  const number = asNum(value);
  if (!number) throw new ExpressionError(`needs a number, not ${describe(value)}`);
  return number;
}

/** The items of a list; a pair has two. */
export function needList(value: Value): Value[] {
  if (isPair(value)) return [value.word, value.number];
  if (!Array.isArray(value)) throw new ExpressionError(`needs a list, not ${describe(value)}`);
  return value;
}

/** An integer as a JavaScript number, for counts and indices. */
export function needInt(value: Value): number {
  const { n, d } = needNum(value);
  if (d !== 1n || n > 1_000_000n || n < -1_000_000n) {
    throw new ExpressionError(`needs a small integer, not ${describe(value)}`);
  }
  return Number(n);
}

export function describe(value: Value): string {
  if (value === null) return 'None';
  if (typeof value === 'string') return JSON.stringify(value);
  return Array.isArray(value) ? 'a list' : show(value, 'number');
}

export const floorDivide = (n: bigint, d: bigint): bigint => (n - (((n % d) + d) % d)) / d;

/** Python's arithmetic on numbers; `+` also joins texts or lists, and `list * int` repeats. */
export function arithmetic(sign: ArithmeticSign, left: Value, right: Value): Value {
  if (sign === '+' && typeof left === 'string' && typeof right === 'string') return left + right;
  const x = asNum(left);
  const y = asNum(right);
  if (x && y) return calculate(sign, x, y);
  if (sign === '+' && Array.isArray(left) && Array.isArray(right)) return checkLength([...left, ...right]);
  if (sign === '*' && Array.isArray(left)) {
    const times = needInt(right);
    if (times * left.length > MAX_LENGTH) checkLength({ length: times * left.length } as Value[]);
    return Array.from({ length: Math.max(0, times) }, () => left).flat(1);
  }
  throw new ExpressionError(`cannot do ${describe(left)} ${sign} ${describe(right)}`);
}

function calculate(sign: ArithmeticSign, x: Num, y: Num): Num {
  const kind =
    x.kind === 'float' || y.kind === 'float'
      ? 'float'
      : x.kind === 'int' && y.kind === 'int'
        ? 'int'
        : 'fraction';
  if ((sign === '/' || sign === '//' || sign === '%') && y.n === 0n)
    throw new DivisionByZero('divides by zero');
  switch (sign) {
    case '+':
      return num(x.n * y.d + y.n * x.d, x.d * y.d, kind);
    case '-':
      return num(x.n * y.d - y.n * x.d, x.d * y.d, kind);
    case '*':
      return num(x.n * y.n, x.d * y.d, kind);
    case '/':
      return num(x.n * y.d, x.d * y.n, kind === 'int' ? 'float' : kind);
    case '//':
      return num(floorDivide(x.n * y.d, x.d * y.n), 1n, kind === 'float' ? 'float' : 'int');
    case '%': {
      const quotient = floorDivide(x.n * y.d, x.d * y.n);
      return num(x.n * y.d - quotient * y.n * x.d, x.d * y.d, kind);
    }
    case '**': {
      if (y.d !== 1n || y.n > 64n || y.n < -64n)
        throw new ExpressionError(`has a power of ${show(y, 'number')}`);
      const [n, d] = y.n < 0n ? [x.d ** -y.n, x.n ** -y.n] : [x.n ** y.n, x.d ** y.n];
      return num(n, d, y.n < 0n && kind === 'int' ? 'float' : kind);
    }
  }
}

export function compare(sign: CompareSign, left: Value, right: Value): boolean {
  switch (sign) {
    case '==':
      return equal(left, right);
    case '!=':
      return !equal(left, right);
    case 'in':
    case 'not in': {
      const found =
        typeof left === 'string' && typeof right === 'string'
          ? right.includes(left)
          : needList(right).some((item) => equal(item, left));
      return found === (sign === 'in');
    }
    default: {
      const x = needNum(left);
      const y = needNum(right);
      const difference = x.n * y.d - y.n * x.d;
      if (sign === '<') return difference < 0n;
      if (sign === '<=') return difference <= 0n;
      return sign === '>' ? difference > 0n : difference >= 0n;
    }
  }
}

function equal(left: Value, right: Value): boolean {
  const x = asNum(left);
  const y = asNum(right);
  if (x && y) return x.n === y.n && x.d === y.d;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => equal(item, right[i]!));
  }
  return left === right;
}

export function truthy(value: Value): boolean {
  if (isNum(value)) return value.n !== 0n;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Rounds half to even, as Python's round does. */
export function roundHalfEven({ n, d }: Num): bigint {
  const floor = floorDivide(n, d);
  const twice = 2n * (n - floor * d);
  if (twice === d) return floor % 2n === 0n ? floor : floor + 1n;
  return twice > d ? floor + 1n : floor;
}

const MAX_LENGTH = 1_000_000;

export function checkLength<T extends { length: number }>(list: T): T {
  if (list.length > MAX_LENGTH) throw new ExpressionError(`makes a list of ${list.length}`);
  return list;
}

/**
 * The text of a value. Integers print without decimals whatever their kind, fractions as a/b, other numbers as decimals.
 *
 * @param pair how a (word, number) pair prints: its word in a question, its number in a solution
 */
export function show(value: Value, pair: 'word' | 'number'): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map((item) => show(item, pair)).join(', ')}]`;
  if (isPair(value)) return show(pair === 'word' ? value.word : value.number, pair);
  if (value.d === 1n) return String(value.n);
  if (value.kind === 'fraction') return `${value.n}/${value.d}`;
  return decimal(value);
}

/** Exact where the decimals end within 15 places, else as the nearest double prints. */
function decimal({ n, d }: Num): string {
  for (let places = 1; places <= 15; places++) {
    const scaled = n * 10n ** BigInt(places);
    if (scaled % d !== 0n) continue;
    const digits = String(scaled < 0n ? -scaled / d : scaled / d).padStart(places + 1, '0');
    return `${n < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`;
  }
  return String(Number(n) / Number(d));
}
