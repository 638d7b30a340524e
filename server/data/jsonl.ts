import {
  closeSync,
  createReadStream,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { InputError } from '../errors.ts';
import { asInputError, openAtomic, withFileErrors } from '../runs/atomic.ts';
import { decodeUtf8, readError, shortReason } from './files.ts';

/** A JSON object as it stands in a file. */
export type JsonObject = Record<string, unknown>;

export interface JsonlLine {
  /** `path:line`, for messages. */
  where: string;
  /** 1-based; blank lines count. */
  line: number;
  record: JsonObject;
}

export interface JsonlOptions {
  /** Accept a file without any record (a run that has only begun). Default: InputError. */
  allowEmpty?: boolean;
  /**
   * Accept a last line that a crash cut short: it is left out and reported here once. A line counts as torn only if it
   * is the last one, lacks its newline and does not parse. Default: InputError like any other broken line.
   */
  onTorn?: (where: string) => void;
}

const NEWLINE = 0x0a;
/** A line past this is no record but a file of another kind (one JSON array, a binary). */
const MAX_LINE_BYTES = 64 * 2 ** 20;
const REMEDY = 'Give one JSON object a line, in UTF-8.';

/**
 * Streams a JSONL file, one record at a time; memory stays at one line. A byte order mark, CRLF line ends and blank
 * lines are accepted.
 *
 * @throws InputError `path:line` for a line that is not UTF-8, not JSON or not an object, and for an empty file
 */
export async function* readJsonl(path: string, options: JsonlOptions = {}): AsyncGenerator<JsonlLine> {
  let line = 0;
  let records = 0;
  for await (const { bytes, complete } of splitLines(path)) {
    line++;
    const where = `${path}:${line}`;
    const parsed = parseLine(bytes, line === 1);
    if (parsed === 'blank') continue;
    if (typeof parsed === 'string') {
      if (complete || !options.onTorn) throw new InputError(where, parsed, REMEDY);
      options.onTorn(where);
      return;
    }
    records++;
    yield { where, line, record: parsed.record };
  }
  if (records === 0 && !options.allowEmpty) throw new InputError(path, 'has no records', REMEDY);
}

/** The record of a line, "blank", or what is wrong with it. */
function parseLine(bytes: Uint8Array, first: boolean): { record: JsonObject } | string {
  let text = decodeUtf8(bytes);
  if (text === undefined) return 'is not UTF-8';
  if (first && text.startsWith('\uFEFF')) text = text.slice(1);
  if (text.trim() === '') return 'blank';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `is not valid JSON (${shortReason((error as Error).message)})`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is not a JSON object';
  return { record: value as JsonObject };
}

async function* splitLines(path: string): AsyncGenerator<{ bytes: Uint8Array; complete: boolean }> {
  let pending: Buffer[] = [];
  let size = 0;
  let line = 1;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        yield { bytes: Buffer.concat([...pending, chunk.subarray(start, end)]), complete: true };
        pending = [];
        size = 0;
        line++;
        start = end + 1;
      }
      pending.push(chunk.subarray(start));
      size += chunk.length - start;
      if (size > MAX_LINE_BYTES) {
        throw new InputError(
          `${path}:${line}`,
          `has a line of more than ${MAX_LINE_BYTES / 2 ** 20} MiB`,
          REMEDY,
        );
      }
    }
  } catch (error) {
    throw readError(path, error);
  }
  if (size > 0) yield { bytes: Buffer.concat(pending), complete: false };
}

/** Everything a generator yields, in an array. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/**
 * Appends records to a JSONL file as they are made.
 *
 * Durability: `append` hands the whole line to the operating system before it returns, so a record survives the death
 * of this process (kill -9). A loss of power may take what was appended since the last `sync` or `close`, which wait
 * for the disk (fsync). A record that did not fit (disk full) is taken back, so the file never ends in half a line.
 */
export class JsonlWriter<T extends object = JsonObject> {
  readonly path: string;
  /** True when opening found a line that a crash had cut short, and removed it. */
  readonly torn: boolean;
  #fd: number;
  #size = 0;

  /**
   * Opens for appending; the file is made if it does not exist. With `fresh` an existing file is emptied. A torn last
   * line is removed; a last record that only lacks its newline gets it.
   *
   * @throws InputError if the file cannot be opened or written
   */
  constructor(path: string, options: { fresh?: boolean } = {}) {
    this.path = path;
    this.#fd = withFileErrors(path, () => openSync(path, 'a+'));
    try {
      this.torn = withFileErrors(path, () => {
        if (options.fresh) ftruncateSync(this.#fd, 0);
        this.#size = fstatSync(this.#fd).size;
        return this.#mendTail();
      });
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  #mendTail(): boolean {
    const tail = lastLine(this.#fd, this.#size);
    if (tail.length === 0) return false;
    if (typeof parseLine(tail, tail.length === this.#size) === 'string') {
      this.#size -= tail.length;
      ftruncateSync(this.#fd, this.#size);
      return true;
    }
    this.#write(Buffer.of(NEWLINE));
    return false;
  }

  /** Writes one record as one line. InputError if it cannot be written; the file then ends with the record before. */
  append(record: T): void {
    this.#write(Buffer.from(`${JSON.stringify(record)}\n`, 'utf8'));
  }

  #write(bytes: Buffer): void {
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
    } catch (error) {
      if (written > 0) ftruncateSync(this.#fd, this.#size);
      throw asInputError(error, this.path);
    }
    this.#size += bytes.length;
  }

  /** Waits until everything appended is on the disk. */
  sync(): void {
    withFileErrors(this.path, () => fsyncSync(this.#fd));
  }

  /** Syncs and closes; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    try {
      this.sync();
    } finally {
      closeSync(this.#fd);
      this.#fd = -1;
    }
  }
}

/** The bytes after the last newline. */
function lastLine(fd: number, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - (1 << 16));
    const block = Buffer.alloc(end - start);
    readSync(fd, block, 0, block.length, start);
    const newline = block.lastIndexOf(NEWLINE);
    blocks.unshift(block.subarray(newline + 1));
    if (newline >= 0) break;
    end = start;
  }
  return Buffer.concat(blocks);
}

/** Writes a whole JSONL file atomically, record by record. InputError if it cannot be written; nothing is left then. */
export function writeJsonl(path: string, records: Iterable<object>): void {
  const file = openAtomic(path);
  try {
    for (const record of records) file.write(`${JSON.stringify(record)}\n`);
    file.commit();
  } finally {
    file.abort();
  }
}
