/** Checks of what comes from the editor: nothing is used before it has the type that the protocol says. */
import { ErrorCodes, ResponseError } from 'vscode-languageserver/node';

/** Gives the value back as what it is. @throws ResponseError (InvalidParams) naming the field */
export type Check<T> = (value: unknown, field: string) => T;

function refuse(field: string, wanted: string): never {
  throw new ResponseError(ErrorCodes.InvalidParams, `${field || 'the parameters'}: must be ${wanted}`);
}

export const text: Check<string> = (value, field) =>
  typeof value === 'string' && value !== '' ? value : refuse(field, 'a text that is not empty');

export const anyText: Check<string> = (value, field) =>
  typeof value === 'string' ? value : refuse(field, 'a text');

export const flag: Check<boolean> = (value, field) =>
  typeof value === 'boolean' ? value : refuse(field, 'true or false');

export const real: Check<number> = (value, field) =>
  typeof value === 'number' && Number.isFinite(value) ? value : refuse(field, 'a number');

/** A whole number from 0 on. */
export const count: Check<number> = (value, field) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : refuse(field, 'a whole number >= 0');

export const integer: Check<number> = (value, field) =>
  Number.isSafeInteger(value) ? (value as number) : refuse(field, 'a whole number');

export const nothing: Check<null> = () => null;

export const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value, field) =>
    value === null ? null : check(value, field);

export const oneOf =
  <const T extends string>(...choices: readonly T[]): Check<T> =>
  (value, field) =>
    (choices as readonly unknown[]).includes(value)
      ? (value as T)
      : refuse(field, `one of ${choices.join(', ')}`);

export const list =
  <T>(check: Check<T>): Check<T[]> =>
  (value, field) =>
    Array.isArray(value) ? value.map((item, i) => check(item, `${field}[${i}]`)) : refuse(field, 'a list');

/** Values by name. */
export const named =
  <T>(check: Check<T>): Check<Record<string, T>> =>
  (value, field) =>
    Object.fromEntries(entriesOf(value, field).map(([key, item]) => [key, check(item, `${field}.${key}`)]));

function entriesOf(value: unknown, field: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(field, 'an object');
  return Object.entries(value as object);
}

/** An object with these fields; what else it has is left out. A field that may be missing has an `optional` check. */
export const object =
  <T extends object>(fields: { [K in keyof T]-?: Check<T[K]> }): Check<T> =>
  (value, field) => {
    const given = Object.fromEntries(entriesOf(value, field));
    const checks = Object.entries(fields) as [string, Check<unknown>][];
    const found = checks.map(
      ([key, check]) => [key, check(given[key], field ? `${field}.${key}` : key)] as const,
    );
    return Object.fromEntries(found.filter(([, item]) => item !== undefined)) as T;
  };

/** Of a field that may be missing. */
export const optional =
  <T>(check: Check<T>): Check<T> =>
  (value, field) =>
    value === undefined ? (undefined as T) : check(value, field);

/** The field of a request that wants partial results. */
export const streamed = {
  partialResultToken: optional<string | number>((value, field) =>
    typeof value === 'string' || typeof value === 'number' ? value : refuse(field, 'a text or a number'),
  ) as Check<string | number>,
};
