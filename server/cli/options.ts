/**
 * Options as data: a parser with its range, from which the help text, the checks and the types of the parsed values
 * all follow. The flag is the option's key in kebab case.
 */
import { InputError } from '../errors.ts';

/** An option or argument whose parsed value is a T. */
export interface Option<T> {
  /** Placeholder of the value in the help, null for a switch. */
  readonly placeholder: string | null;
  readonly summary: string;
  /** Accepted values in words, with the unit; empty when the placeholder says it all. */
  readonly range: string;
  /** The value when the user gives none. */
  readonly fallback: T | undefined;
  /** How the help shows the fallback, empty to show none. */
  readonly fallbackText: string;
  readonly required: boolean;
  readonly repeatable: boolean;
  /** Parses one occurrence; a repeatable option collects them. Throws InputError naming the flag. */
  readonly parse: (text: string, flag: string) => unknown;
}

export type OptionSet = Record<string, Option<unknown>>;
/** The parsed values of a set of options. */
export type Values<S extends OptionSet> = { [K in keyof S]: S[K] extends Option<infer T> ? T : never };

interface Given<T> {
  placeholder: string | null;
  summary: string;
  range?: string;
  fallback?: T | undefined;
  fallbackText?: string;
  parse: (text: string, flag: string) => unknown;
}

/** An option from its parts; what is not given is empty. */
export function option<T>(given: Given<T>): Option<T> {
  const { fallback } = given;
  const shown = fallback === undefined || fallback === false ? '' : String(fallback);
  return {
    placeholder: given.placeholder,
    summary: given.summary,
    range: given.range ?? '',
    fallback,
    fallbackText: given.fallbackText ?? shown,
    required: false,
    repeatable: false,
    parse: given.parse,
  };
}

/** `key` as the user types it: topK becomes --top-k. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A value that the user must give. */
export function required<T>(inner: Option<T>): Option<NonNullable<T>> {
  return { ...inner, required: true } as Option<NonNullable<T>>;
}

/** An option that may be given several times. */
export function repeated<T>(inner: Option<T>): Option<NonNullable<T>[]> {
  return { ...inner, fallback: [], fallbackText: '', repeatable: true } as unknown as Option<
    NonNullable<T>[]
  >;
}

/** The last argument, which takes all words that are left, at least one. */
export function rest<T>(inner: Option<T>): Option<NonNullable<T>[]> {
  return { ...repeated(inner), required: true };
}

/** A switch without a value. */
export function toggle(summary: string): Option<boolean> {
  return option({ placeholder: null, summary, fallback: false, parse: () => true });
}

/** One of a few words. */
export function choice<const C extends string>(
  summary: string,
  choices: readonly C[],
  fallback: NoInfer<C>,
): Option<C> {
  return option<C>({
    placeholder: choices.join('|'),
    summary,
    fallback,
    parse: (text, flag) => oneOf(text, flag, choices),
  });
}

/** One of a few words, with no value when none is given; `fallbackText` says what then happens. */
export function optionalChoice<const C extends string>(
  summary: string,
  choices: readonly C[],
  fallbackText: string,
): Option<C | undefined> {
  const parse = (text: string, flag: string) => oneOf(text, flag, choices);
  return option<C | undefined>({ placeholder: choices.join('|'), summary, fallbackText, parse });
}

function oneOf<C extends string>(text: string, flag: string, choices: readonly C[]): C {
  if ((choices as readonly string[]).includes(text)) return text as C;
  throw new InputError(flag, `${quote(text)} is not known`, `Give one of ${choices.join(', ')}.`);
}

/** Any text but the empty one. */
export function text(placeholder: string, summary: string): Option<string | undefined> {
  return option<string | undefined>({
    placeholder,
    summary,
    parse: (value, flag) => {
      if (value === '') throw new InputError(flag, 'the value is empty', `Give ${placeholder}.`);
      return value;
    },
  });
}

/** The user's text as shown in a message: on one line, not too long. */
export function quote(value: string): string {
  const line = JSON.stringify(value);
  return line.length > 80 ? `${line.slice(0, 76)}..."` : line;
}

/** KEY=VALUE; the value is JSON (a number, true, "text"), or else a text as it stands. */
export function assignment(summary: string): Option<readonly [string, unknown] | undefined> {
  return option<readonly [string, unknown] | undefined>({
    placeholder: 'KEY=VALUE',
    summary,
    parse: (given, flag) => {
      const cut = given.indexOf('=');
      if (cut < 1) throw new InputError(flag, `${quote(given)} has no KEY= in front`, 'Give KEY=VALUE.');
      const value = given.slice(cut + 1);
      try {
        return [given.slice(0, cut), JSON.parse(value) as unknown];
      } catch {
        return [given.slice(0, cut), value];
      }
    },
  });
}
