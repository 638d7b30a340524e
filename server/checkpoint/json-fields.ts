/** Typed access to the fields of a JSON file, with errors that name the file and the field. */
import { readFileSync } from 'node:fs';
import { InputError } from '../errors.ts';
import { withFileErrors } from '../runs/atomic.ts';

/** Reads a JSON file that must hold an object. @throws InputError naming the file */
export function readJsonObject(path: string): Record<string, unknown> {
  const text = withFileErrors(path, () => readFileSync(path, 'utf8'));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(
      path,
      `not valid JSON (${(error as Error).message})`,
      'Correct it or download it again',
    );
  }
  if (!isRecord(value)) throw new InputError(path, 'not a JSON object', 'Correct it or download it again');
  return value;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Fields of one JSON object. `null` counts as absent, as in transformers. */
export class Fields {
  readonly file: string;
  readonly values: Record<string, unknown>;
  private readonly prefix: string;

  /** @param prefix path of the object within the file, for messages ("rope_scaling.") */
  constructor(file: string, values: Record<string, unknown>, prefix = '') {
    this.file = file;
    this.values = values;
    this.prefix = prefix;
  }

  /** The raw value; undefined where absent or null. */
  raw(name: string): unknown {
    return Object.hasOwn(this.values, name) ? (this.values[name] ?? undefined) : undefined;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** The InputError for a field; the message shows the offending value. */
  error(name: string, what: string, remedy: string): InputError {
    return new InputError(`${this.file} field ${this.prefix}${name}`, what, remedy);
  }

  private typed<T>(
    name: string,
    fallback: T | undefined,
    wanted: string,
    accept: (value: unknown) => value is T,
  ): T {
    const value = this.raw(name);
    if (value === undefined) {
      if (fallback !== undefined) return fallback;
      throw this.error(name, 'missing', `Add ${wanted}`);
    }
    if (!accept(value)) {
      throw this.error(name, `${shown(value)} is not ${wanted}`, 'Correct the field');
    }
    return value;
  }

  positiveInteger(name: string, fallback?: number): number {
    return this.typed(
      name,
      fallback,
      'a positive integer',
      (value): value is number => Number.isSafeInteger(value) && (value as number) > 0,
    );
  }

  positiveNumber(name: string, fallback?: number): number {
    return this.typed(
      name,
      fallback,
      'a positive number',
      (value): value is number => typeof value === 'number' && Number.isFinite(value) && value > 0,
    );
  }

  boolean(name: string, fallback?: boolean): boolean {
    return this.typed(
      name,
      fallback,
      'true or false',
      (value): value is boolean => typeof value === 'boolean',
    );
  }

  string(name: string, fallback?: string): string {
    return this.typed(name, fallback, 'a string', (value): value is string => typeof value === 'string');
  }

  /** A nested object, or undefined where absent. */
  object(name: string): Fields | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!isRecord(value)) throw this.error(name, `${shown(value)} is not an object`, 'Correct the field');
    return new Fields(this.file, value, `${this.prefix}${name}.`);
  }

  /** One token id or a list of them, or undefined where absent. Negative ids mean "none", as some old configs have it. */
  tokenIds(name: string): number[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (!list.every((id): id is number => Number.isSafeInteger(id))) {
      throw this.error(name, `${shown(value)} is not a token id or a list of them`, 'Correct the field');
    }
    return list.filter((id) => id >= 0);
  }
}

/** A value as it stands in the file, cut short: an error is one line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
