/**
 * The lists that GSM-Symbolic templates draw from by name. Apple published the templates without theirs, so these are
 * the product's own, of the same kinds; a user can replace any of them.
 */
import { int, num, parseNum, type Value } from './values.ts';

const words = (text: string): string[] => text.split(' ');

const NAMES_FEMALE = words(
  'Ada Amina Beatriz Chiara Dalia Elena Fatima Greta Hana Ines Jun Katya Leila Mei Nadia Olga Priya Rosa Sofia Yuki Zora',
);
const NAMES_MALE = words(
  'Ahmed Bruno Carlos Dmitri Emil Felix Goran Hugo Ivan Jamal Kenji Luca Mateo Nils Omar Pavel Rafael Samir Tomas Viktor',
);

const COUNTS = words(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen',
);
COUNTS.push(...words('sixteen seventeen eighteen nineteen'));
const TENS = words('- - twenty thirty forty fifty sixty seventy eighty ninety');

function spell(n: number): string {
  if (n < 0 || n > 99) return String(n);
  return COUNTS[n] ?? TENS[Math.floor(n / 10)]! + (n % 10 ? `-${COUNTS[n % 10]}` : '');
}

/** The numbers from a to b, both included, as (word, number) pairs. */
export function numbersWithin(a: number, b: number): Value[] {
  return Array.from({ length: Math.max(0, b - a + 1) }, (_, i) => ({
    word: spell(a + i),
    number: int(a + i),
  }));
}

const fraction = (word: string, n: number, d: number): Value => ({
  word,
  number: num(BigInt(n), BigInt(d), 'fraction'),
});
const multiple = (word: string, n: number): Value => ({ word, number: int(n) });

// All fractions are pairs too: templates ask for `frac[1]`.
const FRACTION_NUMS = words('1/2 1/3 1/4 1/5 1/8 1/10 2/3 3/4').map((text) => {
  const [n, d] = text.split('/');
  return fraction(text, Number(n), Number(d));
});
const FRACTION_WORDS = [
  fraction('half', 1, 2),
  fraction('one-third', 1, 3),
  fraction('one-fourth', 1, 4),
  fraction('one-fifth', 1, 5),
  fraction('one-eighth', 1, 8),
  fraction('one-tenth', 1, 10),
  fraction('two-thirds', 2, 3),
  fraction('three-fourths', 3, 4),
];
const FRACTION_DECIMALS = words('0.05 0.1 0.15 0.2 0.25 0.3 0.4 0.5 0.6 0.75 0.8');

export const DEFAULT_LISTS: Readonly<Record<string, Value[]>> = {
  names: [...NAMES_FEMALE, ...NAMES_MALE],
  names_female: NAMES_FEMALE,
  names_male: NAMES_MALE,
  weekdays: words('Monday Tuesday Wednesday Thursday Friday Saturday Sunday'),
  months: words('January February March April May June July August September October November December'),
  colors: words('red blue green yellow purple orange white black pink brown'),
  fruits: words('apple banana pear orange peach mango plum lemon kiwi apricot'),
  sports: words('basketball football tennis hockey volleyball rugby handball'),
  cities: [
    'Lisbon',
    'Nairobi',
    'Osaka',
    'Lima',
    'Oslo',
    'Cairo',
    'Toronto',
    'Mumbai',
    'Prague',
    'Buenos Aires',
  ],
  currencies_sym: ['$', '€', '£', '¥', '₹'],
  weights_sm: words('ounce gram'),
  weights_med: words('pound kilogram'),
  length_sm: words('inch centimeter'),
  length_med: words('foot yard meter'),
  length_lg: words('mile kilometer'),
  fractions: FRACTION_NUMS,
  fraction_nums: FRACTION_NUMS,
  fraction_alph: FRACTION_WORDS,
  fraction_alnum: [...FRACTION_NUMS, ...FRACTION_WORDS],
  fraction_decimals: FRACTION_DECIMALS.map((word): Value => ({ word, number: parseNum(word) })),
  multi_times: [
    multiple('twice', 2),
    multiple('two times', 2),
    multiple('three times', 3),
    multiple('four times', 4),
    multiple('five times', 5),
  ],
  multiple_ice: [multiple('twice', 2), multiple('thrice', 3)],
  multiple: [
    multiple('double', 2),
    multiple('triple', 3),
    multiple('quadruple', 4),
    multiple('quintuple', 5),
  ],
};
