/** The grammar of a trace document's header: its keys in order, and how values stand on a line. */
import type { Decoding, Pair } from './records.ts';

/** Keys that the product writes, in their order. */
export const HEADER_KEYS = [
  'trace',
  'id',
  'problem',
  'template',
  'instance',
  'split',
  'target',
  'answer',
  'correct',
  'truncated',
  'decoding',
  'model',
  'run',
  'excluded',
  'pivot',
  'prompt_ids',
  'completion_ids',
] as const;

export type HeaderKey = (typeof HEADER_KEYS)[number];

export const FORMAT_VERSION = 1;
/** Value of `answer` where the completion has no number. */
export const NO_ANSWER = 'none';

/** A pivot as its line says. `token` counts prompt and completion ids from 0. */
export interface PivotFields {
  token: number;
  undesired: number;
  desired: number;
  method: Pair['method'];
  status: Pair['status'];
}

const PIVOT_KEYS = ['token', 'undesired', 'desired', 'method', 'status'] as const;
const METHODS: readonly string[] = ['prefix', 'branching', 'human', 'imported'] satisfies Pair['method'][];
const STATUSES: readonly string[] = ['auto', 'accepted', 'edited', 'rejected'] satisfies Pair['status'][];

/** What is wrong with a value, and what to do; `at` and `length` give its part at fault. */
export interface ValueFault {
  what: string;
  remedy: string;
  at?: number;
  length?: number;
}
export type Parsed<T> = { value: T } | { fault: ValueFault };

const fault = (what: string, remedy: string, at?: number, length?: number): { fault: ValueFault } => ({
  fault: { what, remedy, ...(at !== undefined && { at }), ...(length !== undefined && { length }) },
});

/** Plain where it can be; a JSON string where white space, quotes or controls would not come back. */
export function printText(value: string): string {
  const plain = value !== '' && value === value.trim() && !/^"|\p{Cc}|[\u2028\u2029]/u.test(value);
  return plain ? value : asJson(value);
}

/** U+2028 and U+2029 are legal in JSON and line ends to some readers. */
const asJson = (value: string) =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export function parseText(raw: string): Parsed<string> {
  if (raw === '') return fault('has no value', 'Give it one, or remove the line.');
  if (!raw.startsWith('"')) return { value: raw };
  try {
    return { value: JSON.parse(raw) as string };
  } catch {
    return fault('is no valid JSON string', 'Close its quotes, or write the value without quotes.');
  }
}

export function parseNumber(raw: string): Parsed<number> {
  const value = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(raw) ? Number(raw) : Number.NaN;
  return Number.isFinite(value) ? { value } : fault(`is ${shown(raw)}`, 'Give a number.');
}

export function parseBoolean(raw: string): Parsed<boolean> {
  if (raw === 'true' || raw === 'false') return { value: raw === 'true' };
  return fault(`is ${shown(raw)}`, 'Give true or false.');
}

export function oneOf<const T extends string>(raw: string, choices: readonly T[]): Parsed<T> {
  if ((choices as readonly string[]).includes(raw)) return { value: raw as T };
  return fault(`is ${shown(raw)}`, `Give one of ${choices.join(', ')}.`);
}

/** Token ids between spaces. @param vocab ids must lie below it */
export function parseIds(raw: string, vocab = Number.POSITIVE_INFINITY): Parsed<number[]> {
  const ids: number[] = [];
  for (let i = 0; i < raw.length; ) {
    let code = raw.charCodeAt(i);
    if (code === 0x20 || code === 0x09) {
      i++;
      continue;
    }
    const from = i;
    let id = 0;
    for (; code >= 0x30 && code <= 0x39; code = raw.charCodeAt(++i)) id = 10 * id + (code - 0x30);
    if (i === from || (i < raw.length && code !== 0x20 && code !== 0x09) || id >= vocab || i - from > 9) {
      const word = /^[^ \t]+/.exec(raw.slice(from))![0];
      const range = Number.isFinite(vocab) ? `in 0 .. ${vocab - 1}` : '>= 0';
      return fault(`has ${shown(word)}`, `Give token ids ${range} between spaces.`, from, word.length);
    }
    ids.push(id);
  }
  return { value: ids };
}

export const printIds = (ids: readonly number[]): string => ids.join(' ');

const SETTING = /([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|\S+)|\S+/g;

/** `greedy`, or `sample temperature=0.8 seed=17`: the strategy and its settings. */
export function parseDecoding(raw: string): Parsed<Decoding> {
  const strategy = /^\S*/.exec(raw)![0];
  const checked = oneOf(strategy, ['greedy', 'sample']);
  if ('fault' in checked) return fault(checked.fault.what, checked.fault.remedy, 0, strategy.length);
  const settings: Record<string, unknown> = {};
  for (const match of raw.slice(strategy.length).matchAll(SETTING)) {
    const [word, name, value] = match;
    const at = strategy.length + match.index;
    if (!name || !value) {
      return fault(`has ${shown(word)}`, 'Give settings as name=value.', at, word.length);
    }
    const parsed = settingValue(value);
    const numeric = ['temperature', 'top_p', 'top_k', 'seed'].includes(name);
    if (parsed === undefined || (numeric && typeof parsed !== 'number')) {
      return fault(`has ${shown(word)}`, numeric ? 'Give a number.' : 'Close its quotes.', at, word.length);
    }
    settings[name] = parsed;
  }
  return { value: { strategy: checked.value, ...settings } };
}

function settingValue(raw: string): string | number | undefined {
  if (raw.startsWith('"')) {
    const parsed = parseText(raw);
    return 'fault' in parsed ? undefined : parsed.value;
  }
  const number = parseNumber(raw);
  return 'fault' in number ? raw : number.value;
}

export function printDecoding({ strategy, ...settings }: Decoding): string {
  const words = Object.entries(settings)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${printSetting(value)}`);
  return [strategy, ...words].join(' ');
}

function printSetting(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = String(value);
  return /^[^\s"=]+$/.test(text) && 'fault' in parseNumber(text) ? printText(text) : asJson(text);
}

export interface PivotLine extends PivotFields {
  /** Words of the line that the product does not know, kept when it is rewritten. */
  others: readonly string[];
  /** Derived text behind `#`, without it. */
  comment: string;
}

export function parsePivot(raw: string): Parsed<PivotLine> {
  const hash = raw.indexOf('#');
  const comment = hash < 0 ? '' : raw.slice(hash + 1).trim();
  const found = new Map<string, string>();
  const others: string[] = [];
  for (const match of raw.slice(0, hash < 0 ? raw.length : hash).matchAll(/\S+/g)) {
    const [word] = match;
    const bad = (what: string, remedy: string) => fault(what, remedy, match.index, word.length);
    const cut = word.indexOf('=');
    const name = word.slice(0, Math.max(cut, 0));
    const value = word.slice(cut + 1);
    if (!(PIVOT_KEYS as readonly string[]).includes(name)) {
      if (cut < 1) return bad(`has ${shown(word)}`, 'Give its parts as name=value.');
      others.push(word);
      continue;
    }
    if (found.has(name)) return bad(`gives ${name} twice`, 'Keep one of the two.');
    const named = name === 'method' ? METHODS : name === 'status' ? STATUSES : null;
    if (named ? !named.includes(value) : !/^\d{1,9}$/.test(value)) {
      return bad(`has ${shown(word)}`, named ? `Give one of ${named.join(', ')}.` : 'Give an integer >= 0.');
    }
    found.set(name, value);
  }
  const missing = PIVOT_KEYS.filter((name) => !found.has(name));
  if (missing.length > 0) return fault(`lacks ${missing.join(', ')}`, 'Add it, or remove the line.');
  const number = (name: string) => Number(found.get(name));
  const pivot: PivotLine = {
    token: number('token'),
    undesired: number('undesired'),
    desired: number('desired'),
    method: found.get('method') as Pair['method'],
    status: found.get('status') as Pair['status'],
    others,
    comment,
  };
  if (pivot.desired !== pivot.undesired) return { value: pivot };
  return fault(`has one token, ${pivot.desired}, on both sides`, 'Give two different tokens.');
}

/** The value of a pivot's line; `comment` is put behind it. */
export function printPivot(pivot: PivotFields, comment: string, others: readonly string[] = []): string {
  const words = PIVOT_KEYS.map((name) => `${name}=${pivot[name]}`);
  return [...words, ...others, ...(comment === '' ? [] : [` # ${comment}`])].join(' ');
}

function shown(raw: string): string {
  if (raw === '') return 'empty';
  return JSON.stringify(raw.length > 40 ? `${raw.slice(0, 37)}...` : raw);
}
