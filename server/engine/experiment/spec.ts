/**
 * Descriptions of JSON values from which both a reader and a JSON Schema follow, so that an editor and the program
 * accept the same files.
 */
import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../../errors.ts';

export type JsonSchema = Record<string, unknown>;

/** Where in which file a value stands. */
export interface Place {
  file: string;
  /** Dotted path of the field. */
  field: string;
  /** Whether a path that the file names may be looked at; all may unless this says no. */
  mayLook?: (target: string) => boolean;
}

/** A description of values that read as a T. */
export interface Spec<T> {
  readonly schema: JsonSchema;
  /** @throws InputError naming file and field */
  read(value: unknown, place: Place): T;
}

export type Read<S> = S extends Spec<infer T> ? T : never;

/** Bounds of a number; `above` is exclusive. */
export interface Bounds {
  about: string;
  min?: number;
  max?: number;
  above?: number;
}

function refuse({ file, field }: Place, what: string, remedy: string): never {
  throw new InputError(`${file} field "${field}"`, what, remedy);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export function text(about: string, pattern?: { source: string; remedy: string }): Spec<string> {
  return {
    schema: { type: 'string', minLength: 1, ...(pattern && { pattern: pattern.source }), description: about },
    read: (value, place) => {
      if (typeof value !== 'string' || value === '') refuse(place, `is ${shown(value)}`, 'Give a text.');
      if (pattern && !new RegExp(pattern.source, 'u').test(value))
        refuse(place, `is ${shown(value)}`, pattern.remedy);
      return value;
    },
  };
}

/** A path, counted from the folder of the file that it stands in; it reads as an absolute path. */
export function pathTo(
  kind: 'file' | 'folder' | 'file or folder' | 'new folder',
  about: string,
): Spec<string> {
  const { schema, read } = text(about);
  return {
    schema,
    read: (value, place) => {
      const target = path.resolve(path.dirname(place.file), read(value, place));
      if (place.mayLook?.(target) === false) return target;
      const stat = fs.statSync(target, { throwIfNoEntry: false });
      if (!stat && kind !== 'new folder') refuse(place, `${target} does not exist`, 'Correct the path.');
      if (stat && kind !== 'file or folder' && stat.isDirectory() !== (kind !== 'file')) {
        const what = `${target} is ${stat.isDirectory() ? 'a folder' : 'a file'}`;
        refuse(place, what, `Give a ${kind === 'file' ? 'file' : 'folder'}.`);
      }
      return target;
    },
  };
}

function numeric(type: 'integer' | 'number', { about, min, max, above }: Bounds): Spec<number> {
  const low = above !== undefined ? `above ${above}` : min !== undefined ? `from ${min}` : '';
  const range = [low, max !== undefined ? `to ${max}` : ''].filter(Boolean).join(' ');
  const kind = `${type === 'integer' ? 'an integer' : 'a number'}${range && ` ${range}`}`;
  return {
    schema: {
      type,
      ...(min !== undefined && { minimum: min }),
      ...(above !== undefined && { exclusiveMinimum: above }),
      ...(max !== undefined && { maximum: max }),
      description: about,
    },
    read: (value, place) => {
      const inside =
        typeof value === 'number' &&
        (type === 'number' ? Number.isFinite(value) : Number.isSafeInteger(value)) &&
        value >= (min ?? Number.NEGATIVE_INFINITY) &&
        value <= (max ?? Number.POSITIVE_INFINITY) &&
        value > (above ?? Number.NEGATIVE_INFINITY);
      return inside ? value : refuse(place, `is ${shown(value)}`, `Give ${kind}.`);
    },
  };
}

export const integer = (bounds: Bounds): Spec<number> => numeric('integer', bounds);
export const real = (bounds: Bounds): Spec<number> => numeric('number', bounds);

export function boolean(about: string): Spec<boolean> {
  return {
    schema: { type: 'boolean', description: about },
    read: (value, place) =>
      typeof value === 'boolean' ? value : refuse(place, `is ${shown(value)}`, 'Give true or false.'),
  };
}

export function oneOf<const C extends string>(words: readonly C[], about: string): Spec<C> {
  return {
    schema: { enum: [...words], description: about },
    read: (value, place) =>
      (words as readonly unknown[]).includes(value)
        ? (value as C)
        : refuse(place, `is ${shown(value)}`, `Give one of ${words.join(', ')}.`),
  };
}

export function flag(about: string): Spec<boolean> {
  return {
    schema: { type: 'boolean', description: about },
    read: (value, place) =>
      typeof value === 'boolean' ? value : refuse(place, `is ${shown(value)}`, 'Give true or false.'),
  };
}

export function list<T>(item: Spec<T>, about: string): Spec<T[]> {
  return {
    schema: { type: 'array', items: item.schema, minItems: 1, description: about },
    read: (value, place) => {
      if (!Array.isArray(value) || value.length === 0) {
        return refuse(place, `is ${shown(value)}`, 'Give a list with at least one entry.');
      }
      return value.map((one, i) => item.read(one, { ...place, field: `${place.field}[${i}]` }));
    },
  };
}

type Fields = Record<string, Spec<unknown>>;
export type ObjectOf<R extends Fields, O extends Fields> = { [K in keyof R]: Read<R[K]> } & {
  [K in keyof O]?: Read<O[K]>;
};

/** An object of these fields and no others. */
export function object<R extends Fields, O extends Fields>(
  required: R,
  optional: O,
  about: string,
): Spec<ObjectOf<R, O>> {
  const fields: Fields = { ...required, ...optional };
  const names = Object.keys(fields);
  const properties = Object.fromEntries(names.map((name) => [name, fields[name]!.schema]));
  return {
    schema: {
      type: 'object',
      properties,
      ...(Object.keys(required).length > 0 && { required: Object.keys(required) }),
      additionalProperties: false,
      description: about,
    },
    read: (value, place) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return refuse(place, `is ${shown(value)}`, 'Give an object.');
      }
      const at = (name: string) => ({ ...place, field: place.field ? `${place.field}.${name}` : name });
      const stray = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
      if (stray !== undefined) return refuse(at(stray), 'is not known', `Fields here: ${names.join(', ')}.`);
      const missing = Object.keys(required).find((name) => !Object.hasOwn(value, name));
      if (missing !== undefined) return refuse(at(missing), 'is missing', 'Add it.');
      const given = Object.entries(value).map(([name, part]) => [name, fields[name]!.read(part, at(name))]);
      return Object.fromEntries(given) as ObjectOf<R, O>;
    },
  };
}

/** A value of one of two JSON types. */
export function either<A, B>(a: Spec<A>, b: Spec<B>, about: string): Spec<A | B> {
  return {
    schema: { anyOf: [a.schema, b.schema], description: about },
    read: (value, place) => (jsonType(value) === a.schema.type ? a.read(value, place) : b.read(value, place)),
  };
}

/** An object of one of two kinds: the first where it has the field that tells it. */
export function byField<A, B>(field: string, a: Spec<A>, b: Spec<B>, about: string): Spec<A | B> {
  return {
    schema: { anyOf: [a.schema, b.schema], description: about },
    read: (value, place) => {
      const has = typeof value === 'object' && value !== null && Object.hasOwn(value, field);
      return has ? a.read(value, place) : b.read(value, place);
    },
  };
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
