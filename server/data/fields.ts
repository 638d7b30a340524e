import { InputError } from '../errors.ts';
import type { JsonObject } from './jsonl.ts';

/** Typed access to the fields of one record; every fault is an InputError that names the file, the line and the field. */
export class Fields {
  readonly where: string;
  readonly record: JsonObject;

  constructor(where: string, record: JsonObject) {
    this.where = where;
    this.record = record;
  }

  /** Present and not null. */
  has(name: string): boolean {
    return this.record[name] !== undefined && this.record[name] !== null;
  }

  fail(name: string, what: string, remedy: string): never {
    throw new InputError(this.where, `field "${name}" ${what}`, remedy);
  }

  #present(name: string): unknown {
    if (!this.has(name)) this.fail(name, 'is missing', `Add "${name}" to the record.`);
    return this.record[name];
  }

  string(name: string): string {
    const value = this.#present(name);
    if (typeof value !== 'string') this.fail(name, `is ${kind(value)}`, 'Give a string.');
    return value;
  }

  /** A string, or a number turned into one: ids stand as either in published files. */
  id(name: string): string {
    const value = this.#present(name);
    if (Number.isSafeInteger(value)) return String(value);
    if (typeof value !== 'string' || value === '')
      this.fail(name, `is ${kind(value)}`, 'Give a string or an integer.');
    return value;
  }

  number(name: string): number {
    const value = this.#present(name);
    if (typeof value !== 'number') this.fail(name, `is ${kind(value)}`, 'Give a number.');
    return value;
  }

  integer(name: string, from: number, below = Number.POSITIVE_INFINITY): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < from || value >= below) {
      this.fail(name, `is ${value}`, `Give an integer ${range(from, below)}.`);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#present(name);
    if (typeof value !== 'boolean') this.fail(name, `is ${kind(value)}`, 'Give true or false.');
    return value;
  }

  oneOf<const T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#present(name);
    if (!choices.includes(value as T)) {
      this.fail(name, `is ${JSON.stringify(value)}`, `Give one of ${choices.join(', ')}.`);
    }
    return value as T;
  }

  /** Token ids: integers >= 0, and below `vocab` when it is known. */
  tokenIds(name: string, vocab = Number.POSITIVE_INFINITY): number[] {
    const value = this.#present(name);
    if (!Array.isArray(value)) this.fail(name, `is ${kind(value)}`, 'Give an array of token ids.');
    for (let i = 0; i < value.length; i++) {
      const id: unknown = value[i];
      if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= vocab) {
        this.fail(`${name}[${i}]`, `is ${JSON.stringify(id)}`, `Give token ids ${range(0, vocab)}.`);
      }
    }
    return value as number[];
  }

  strings(name: string): string[] {
    const value = this.#present(name);
    if (!Array.isArray(value) || value.some((v) => typeof v !== 'string')) {
      this.fail(name, 'is not an array of strings', 'Give an array of strings.');
    }
    return value as string[];
  }

  object(name: string): Fields {
    const value = this.#present(name);
    if (typeof value !== 'object' || Array.isArray(value))
      this.fail(name, `is ${kind(value)}`, 'Give an object.');
    return new Fields(`${this.where} (${name})`, value as JsonObject);
  }
}

function range(from: number, below: number): string {
  return below === Number.POSITIVE_INFINITY ? `>= ${from}` : `in ${from} .. ${below - 1}`;
}

function kind(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (value === '') return 'an empty string';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Refuses a second record with the same id. */
export class UniqueIds {
  readonly #seen = new Map<string, string>();

  add(id: string, where: string): void {
    const first = this.#seen.get(id);
    if (first !== undefined) {
      throw new InputError(
        where,
        `id "${id}" stands at ${first} already`,
        'Give every record an id of its own.',
      );
    }
    this.#seen.set(id, where);
  }
}
