import type { Rng } from '../../random.ts';
import { numbersWithin } from './lists.ts';
import { type Expression, ExpressionError } from './syntax.ts';
import {
  arithmetic,
  checkLength,
  compare,
  describe,
  floorDivide,
  int,
  type Num,
  needInt,
  needList,
  needNum,
  num,
  parseNum,
  roundHalfEven,
  show,
  truthy,
  tuple,
  type Value,
} from './values.ts';

/** What an expression can see. */
export interface Scope {
  /** The variable or list of that name. */
  lookup(name: string): Value | undefined;
  rng: Rng;
}

/** The value of an expression. ExpressionError for an unknown name or function, or values that do not fit. */
export function evaluate(tree: Expression, scope: Scope): Value {
  switch (tree.op) {
    case 'number':
      return parseNum(tree.text);
    case 'string':
      return tree.text;
    case 'name':
      return named(tree.name, scope);
    case 'list':
      return tree.items.map((item) => evaluate(item, scope));
    case 'tuple':
      return tuple(tree.items.map((item) => evaluate(item, scope)));
    case 'call': {
      const known = FUNCTIONS[tree.name];
      if (!known) throw new ExpressionError(`uses the unknown function ${tree.name}`);
      const [least, most, run] = known;
      if (tree.args.length < least || tree.args.length > most) {
        throw new ExpressionError(`gives ${tree.name} ${tree.args.length} arguments`);
      }
      return run(
        tree.args.map((arg) => evaluate(arg, scope)),
        scope.rng,
      );
    }
    case 'index': {
      const target = evaluate(tree.target, scope);
      const items = typeof target === 'string' ? [...target] : needList(target);
      const item = items.at(needInt(evaluate(tree.index, scope)));
      if (item === undefined) throw new ExpressionError(`has no item at that index in ${describe(target)}`);
      return item;
    }
    case 'slice': {
      const items = needList(evaluate(tree.target, scope));
      const bound = (side: Expression | null) => (side ? needInt(evaluate(side, scope)) : undefined);
      return items.slice(bound(tree.from), bound(tree.to));
    }
    case 'negate':
      return arithmetic('-', int(0), evaluate(tree.value, scope));
    case 'not':
      return !truthy(evaluate(tree.value, scope));
    case 'arithmetic':
      return arithmetic(tree.sign, evaluate(tree.left, scope), evaluate(tree.right, scope));
    case 'compare': {
      let left = evaluate(tree.first, scope);
      for (const { sign, value } of tree.rest) {
        const right = evaluate(value, scope);
        if (!compare(sign, left, right)) return false;
        left = right;
      }
      return true;
    }
    case 'and':
    case 'or': {
      const left = evaluate(tree.left, scope);
      return truthy(left) === (tree.op === 'or') ? left : evaluate(tree.right, scope);
    }
    case 'if':
      return evaluate(truthy(evaluate(tree.condition, scope)) ? tree.yes : tree.no, scope);
  }
}

const WORDS: Record<string, Value> = { True: true, False: false, None: null };

function named(name: string, scope: Scope): Value {
  const value = scope.lookup(name) ?? (Object.hasOwn(WORDS, name) ? WORDS[name] : undefined);
  if (value === undefined) throw new ExpressionError(`uses the unknown name ${name}`);
  return value;
}

/** Names that an expression reads and functions that it calls. */
export function mentions(tree: Expression, names = new Set<string>()): Set<string> {
  if (tree.op === 'name' || tree.op === 'call') names.add(tree.name);
  for (const part of Object.values(tree) as unknown[]) {
    for (const child of Array.isArray(part) ? part : [part]) {
      if (typeof child !== 'object' || child === null) continue;
      if ('op' in child) mentions(child as Expression, names);
      else if ('value' in child) mentions((child as { value: Expression }).value, names);
    }
  }
  return names;
}

/** Functions whose value differs from call to call. */
export const RANDOM = new Set([
  'sample',
  'sample_sequential',
  'shuffle_list',
  'np.random.randint',
  'random.randint',
]);

type Run = (args: Value[], rng: Rng) => Value;

const steps: Run = ([first, second, third]) => {
  const [from, to] = second === undefined ? [int(0), needNum(first!)] : [needNum(first!), needNum(second)];
  const step = third === undefined ? int(1) : needNum(third);
  if (step.n === 0n) throw new ExpressionError('has a step of 0');
  const span = arithmetic('/', arithmetic('-', to, from), step) as Num;
  const length = Math.max(0, Number(-floorDivide(-span.n, span.d)));
  checkLength({ length });
  return Array.from({ length }, (_, i) => arithmetic('+', from, arithmetic('*', int(i), step)));
};

const isInt = (value: Value): boolean => needNum(value).d === 1n;

const extreme =
  (sign: '<' | '>'): Run =>
  (args) => {
    const items = args.length === 1 ? needList(args[0]!) : args;
    if (items.length === 0) throw new ExpressionError('asks for the extreme of nothing');
    return items.reduce((best, item) => (compare(sign, item, best) ? item : best));
  };

const sample: Run = ([list, count], rng) => {
  const items = needList(list!);
  const n = count === undefined ? 1 : needInt(count);
  if (n < 1 || n > items.length) throw new ExpressionError(`samples ${n} of ${items.length}`);
  if (count === undefined) return items[rng.int(items.length)]!;
  return rng.shuffle([...items]).slice(0, n);
};

const sequential: Run = ([list, count], rng) => {
  const items = needList(list!);
  const n = needInt(count!);
  if (n < 1 || n > items.length) throw new ExpressionError(`samples ${n} of ${items.length}`);
  // Round the end: Sunday is followed by Monday.
  const start = rng.int(items.length);
  return Array.from({ length: n }, (_, i) => items[(start + i) % items.length]!);
};

const randomInts: Run = ([from, to, count], rng) => {
  const low = needInt(from!);
  const width = needInt(to!) - low;
  if (width < 1) throw new ExpressionError('draws from an empty range');
  const draw = () => int(low + rng.int(width));
  return count === undefined ? draw() : Array.from({ length: needInt(count) }, draw);
};

const fraction: Run = ([n, d]) => {
  const { n: a, d: b } = d === undefined ? needNum(n!) : (arithmetic('/', needNum(n!), needNum(d)) as Num);
  return num(a, b, 'fraction');
};

const round: Run = ([value, digits]) => {
  const x = needNum(value!);
  if (digits === undefined) return num(roundHalfEven(x));
  const places = needInt(digits);
  if (places < 0 || places > 15) throw new ExpressionError(`rounds to ${places} places`);
  const scale = 10n ** BigInt(places);
  return num(roundHalfEven(num(x.n * scale, x.d)), scale, x.kind);
};

/** Name: least arguments, most arguments, value. Semantics are Python's and NumPy's where the name is theirs. */
const FUNCTIONS: Record<string, [least: number, most: number, run: Run]> = Object.assign(
  Object.create(null),
  {
    range: [1, 3, steps],
    frange: [2, 3, steps],
    'np.arange': [1, 3, steps],
    arange: [1, 3, steps],
    list: [1, 1, ([list]: Value[]) => needList(list!)],
    sample: [1, 2, sample],
    sample_sequential: [2, 2, sequential],
    shuffle_list: [1, 1, ([list]: Value[], rng: Rng) => rng.shuffle([...needList(list!)])],
    'np.random.randint': [2, 3, randomInts],
    'random.randint': [
      2,
      2,
      ([a, b]: Value[], rng: Rng) => randomInts([a!, arithmetic('+', b!, int(1))], rng),
    ],
    numbers_within: [2, 2, ([a, b]: Value[]) => numbersWithin(needInt(a!), needInt(b!))],
    // Theirs rounds away float noise; numbers are exact here.
    fix_floats: [1, 1, ([list]: Value[]) => needList(list!)],
    is_int: [1, 1, ([value]: Value[]) => isInt(value!)],
    /** Whether the first is a multiple of the second. */
    divides: [2, 2, ([a, b]: Value[]) => isInt(arithmetic('/', needNum(a!), needNum(b!)))],
    int: [1, 1, ([value]: Value[]) => num(needNum(value!).n / needNum(value!).d)],
    float: [1, 1, ([value]: Value[]) => ({ ...needNum(value!), kind: 'float' })],
    round: [1, 2, round],
    abs: [
      1,
      1,
      ([value]: Value[]) => (needNum(value!).n < 0n ? arithmetic('-', int(0), value!) : needNum(value!)),
    ],
    min: [1, 20, extreme('<')],
    max: [1, 20, extreme('>')],
    sum: [
      1,
      1,
      ([list]: Value[]) => needList(list!).reduce((total, item) => arithmetic('+', total, item), int(0)),
    ],
    len: [
      1,
      1,
      ([value]: Value[]) => int(typeof value === 'string' ? [...value].length : needList(value!).length),
    ],
    str: [1, 1, ([value]: Value[]) => show(value!, 'number')],
    Fraction: [1, 2, fraction],
    format_frac: [1, 1, ([value]: Value[], rng: Rng) => show(fraction([value!], rng), 'number')],
  } satisfies Record<string, [number, number, Run]>,
);

/** A JSON value of a list given by the user; [word, number] is a pair. */
export function toValue(item: unknown): Value {
  if (typeof item === 'string' || typeof item === 'boolean') return item;
  if (typeof item === 'number' && Number.isFinite(item)) {
    const text = String(Math.abs(item));
    if (!/e/.test(text)) return item < 0 ? arithmetic('-', int(0), parseNum(text)) : parseNum(text);
  }
  if (Array.isArray(item)) return tuple(item.map(toValue));
  throw new ExpressionError(`cannot use ${JSON.stringify(item)} as a value`);
}
