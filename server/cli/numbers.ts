import { InputError } from '../errors.ts';
import { type Option, option, quote } from './options.ts';

/** Limits of a number. `above` and `below` are exclusive. `unit` follows the range in the help. */
export interface Limits<T> {
  min?: number;
  max?: number;
  above?: number;
  below?: number;
  unit?: string;
  fallback?: T;
  fallbackText?: string;
}

export function integer(
  placeholder: string,
  summary: string,
  limits: Limits<number> & { fallback: number },
): Option<number>;
export function integer(
  placeholder: string,
  summary: string,
  limits: Limits<undefined>,
): Option<number | undefined>;
export function integer(
  placeholder: string,
  summary: string,
  limits: Limits<number | undefined>,
): Option<number | undefined> {
  return numeric(placeholder, summary, limits, 'an integer', /^[+-]?\d+$/);
}

export function real(
  placeholder: string,
  summary: string,
  limits: Limits<number> & { fallback: number },
): Option<number>;
export function real(
  placeholder: string,
  summary: string,
  limits: Limits<undefined>,
): Option<number | undefined>;
export function real(
  placeholder: string,
  summary: string,
  limits: Limits<number | undefined>,
): Option<number | undefined> {
  return numeric(placeholder, summary, limits, 'a number', /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i);
}

function numeric(
  placeholder: string,
  summary: string,
  limits: Limits<number | undefined>,
  kind: string,
  form: RegExp,
): Option<number | undefined> {
  const range = rangeText(limits);
  return option<number | undefined>({
    placeholder,
    summary,
    range: `${kind.replace(/^an? /, '')}${range}${limits.unit ? `, in ${limits.unit}` : ''}`,
    fallback: limits.fallback,
    ...(limits.fallbackText === undefined ? {} : { fallbackText: limits.fallbackText }),
    parse: (text, flag) => {
      const value = form.test(text) ? Number(text) : Number.NaN;
      const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = limits;
      const inside = Number.isFinite(value) && value >= min && value <= max && value > above && value < below;
      if (!inside || (kind === 'an integer' && !Number.isSafeInteger(value))) {
        throw new InputError(flag, `${quote(text)} is not ${kind}${range}`, `Give ${kind}${range}.`);
      }
      return value;
    },
  });
}

function rangeText({ min, max, above, below }: Limits<unknown>): string {
  const low = min !== undefined ? `from ${min}` : above !== undefined ? `above ${above}` : '';
  const high =
    max !== undefined
      ? min !== undefined
        ? `to ${max}`
        : `up to ${max}`
      : below !== undefined
        ? `below ${below}`
        : '';
  return [low, high]
    .filter(Boolean)
    .map((part) => ` ${part}`)
    .join('');
}

/** How many components a circuit may have: a share of all, or a count. */
export type Budget = { fraction: number } | { count: number };

/** `1.5%` and `0.015` are shares of all components, `25` is a count. */
export function budget(summary: string, fallbackText: string): Option<Budget | undefined> {
  return option<Budget | undefined>({
    placeholder: 'FRACTION|COUNT',
    summary,
    range: 'a share such as 0.015 or 1.5%, above 0 and below 1, or a count of at least 1',
    fallbackText,
    parse: (value, flag): Budget => {
      if (/^\d+$/.test(value) && Number(value) >= 1 && Number.isSafeInteger(Number(value)))
        return { count: Number(value) };
      const percent = value.endsWith('%');
      const digits = percent ? value.slice(0, -1) : value;
      const fraction = /^(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(digits)
        ? Number(digits) / (percent ? 100 : 1)
        : Number.NaN;
      if (fraction > 0 && fraction < 1) return { fraction };
      const what = `${quote(value)} is neither a share nor a count`;
      throw new InputError(
        flag,
        what,
        'Give a share above 0 and below 1 (0.015 or 1.5%) or a count of at least 1.',
      );
    },
  });
}
