/** The traces of a run, or of a folder of documents, without a tokenizer and without reading whole documents. */
import { randomBytes } from 'node:crypto';
import {
  close,
  closeSync,
  createReadStream,
  existsSync,
  open,
  openSync,
  read,
  readSync,
  statSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { breathe, type Signal } from '../control.ts';
import { parseTraceDocument, type TraceDocument } from '../data/trace-document.ts';
import { DOCUMENTS, traceFiles } from '../data/trace-files.ts';
import { InputError } from '../errors.ts';
import type { TraceRow } from '../protocol/traces.ts';

/** What a header has before its token ids usually fits; some have many pivots. */
const HEAD_BYTES = 4096;
const MOST_HEAD_BYTES = 1 << 20;
/**
 * Files of a disk of this machine are read one after another, in slices of some milliseconds between which others are
 * answered: to hand each to a thread takes three times as long as to read it. Where a slice has few files, on a disk beyond
 * a network, they are read at a time from there on.
 */
const SLICE = 8;
const FEW = 8;
const AT_ONCE = 32;
/** Folders whose traces are kept. */
const KEPT = 4;
/** Problems that are told; the rest is the same again. */
const MOST_PROBLEMS = 20;

export interface TraceList {
  folder: string;
  rows: TraceRow[];
  problems: string[];
  /** What the answer is as of; to ask with for what has changed since. */
  stamp: string;
  /** Only what has changed since. */
  partial: boolean;
}

/** Lists of traces, of which only what has changed is read again: a run writes thousands while somebody looks on. */
export class TraceLists {
  /** By folder, the last used one last. */
  private readonly known = new Map<string, TraceFolder>();
  /** One reading at a time. */
  private reading: Promise<unknown> = Promise.resolve();
  private readonly slice: number;

  /** @param slice milliseconds; 0 for files that are read at a time from the first on */
  constructor(slice = SLICE) {
    this.slice = slice;
  }

  /**
   * @param folder a run folder, or any folder with trace documents
   * @param since a stamp of an earlier answer, whose rows are known
   * @throws InputError for a folder that is neither
   */
  list(folder: string, since: string | null, signal: Signal): Promise<TraceList> {
    const next = this.reading.then(() => this.read(path.resolve(folder), since, signal));
    this.reading = next.catch(() => undefined);
    return next;
  }

  private async read(root: string, since: string | null, signal: Signal): Promise<TraceList> {
    if (!existsSync(root)) {
      this.known.delete(root);
      throw new InputError(
        root,
        'there is no such folder',
        'Choose a run folder or one with trace documents.',
      );
    }
    let found = this.known.get(root) ?? new TraceFolder(root, this.slice);
    this.known.delete(root);
    if (!(await found.update(signal))) {
      found = new TraceFolder(root, this.slice);
      await found.update(signal);
    }
    this.known.set(root, found);
    const [oldest] = this.known.keys();
    if (this.known.size > KEPT) this.known.delete(oldest!);
    return found.answer(since);
  }
}

/** The traces of one folder as they were last read. */
class TraceFolder {
  private readonly root: string;
  private readonly slice: number;
  private readonly isRun: boolean;
  private readonly id = randomBytes(6).toString('hex');
  private readonly traces: GrowingFile;
  private readonly pairs: GrowingFile;
  /** Of traces.jsonl, and how many pairs each has in pairs.jsonl. */
  private readonly own = new Map<string, TraceRow>();
  private readonly pivots = new Map<string, number>();
  /** Documents by file; and by trace. */
  private readonly files = new Map<string, { stamp: string; row: TraceRow | null }>();
  private readonly documents = new Map<string, TraceRow>();
  private readonly rows = new Map<string, { row: TraceRow; turn: number }>();
  /** Traces of which something was read since rows were made. */
  private readonly touched = new Set<string>();
  private turn = 0;

  constructor(root: string, slice: number) {
    this.root = root;
    this.slice = slice;
    this.traces = new GrowingFile(path.join(root, 'traces.jsonl'));
    this.pairs = new GrowingFile(path.join(root, 'pairs.jsonl'));
    this.isRun = existsSync(this.traces.file);
  }

  /** Reads what is new. @returns false where something was taken away or made anew, so that nothing known counts any more */
  async update(signal: Signal): Promise<boolean> {
    if (this.isRun !== existsSync(this.traces.file)) return false;
    if (this.isRun && !(await this.readRun(signal))) return false;
    if (!(await this.readDocuments(signal))) return false;
    this.turn++;
    for (const id of this.touched) {
      const row = this.row(id);
      const known = this.rows.get(id);
      if (!known || JSON.stringify(known.row) !== JSON.stringify(row))
        this.rows.set(id, { row, turn: this.turn });
    }
    this.touched.clear();
    return true;
  }

  answer(since: string | null): TraceList {
    const [id, turn] = since?.split('.') ?? [];
    const partial = id === this.id;
    const rows = [...this.rows.values()].filter((one) => !partial || one.turn > Number(turn));
    const broken = [...this.files].filter(([, { row }]) => row === null);
    const problems = [
      ...this.traces.problems,
      ...this.pairs.problems,
      ...broken.map(([file]) => `${file}: has no header of a trace document`),
    ];
    return {
      folder: this.root,
      rows: rows.map(({ row }) => row),
      problems: problems.slice(0, MOST_PROBLEMS),
      stamp: `${this.id}.${this.turn}`,
      partial,
    };
  }

  /** A document's own word, under what only the run knows; or the run's. */
  private row(id: string): TraceRow {
    const own = this.own.get(id);
    const document = this.documents.get(id);
    if (!document) return { ...own!, pivots: this.pivots.get(id) ?? 0 };
    return { ...document, ...(own && { problem: own.problem, template: own.template, target: own.target }) };
  }

  private async readRun(signal: Signal): Promise<boolean> {
    const traces = await this.traces.read(signal, (record) => {
      const row = runRow(record);
      this.own.set(row.id, row);
      this.touched.add(row.id);
    });
    if (!traces) return false;
    return this.pairs.read(signal, (record) => {
      const id = String(record.trace);
      if (record.status === 'rejected' || !this.own.has(id)) return;
      this.pivots.set(id, (this.pivots.get(id) ?? 0) + 1);
      this.touched.add(id);
    });
  }

  private async readDocuments(signal: Signal): Promise<boolean> {
    const documents = await traceFiles(this.isRun ? path.join(this.root, DOCUMENTS) : this.root);
    const there = new Set(documents);
    if ([...this.files.keys()].some((file) => !there.has(file))) return false;
    let isQuick = true;
    for (let from = 0; from < documents.length; ) {
      await breathe(signal);
      const heads: (Head | null)[] = [];
      if (isQuick) {
        const end = performance.now() + this.slice;
        while (from + heads.length < documents.length && performance.now() < end) {
          heads.push(this.changedHeadNow(documents[from + heads.length]!));
        }
        isQuick = heads.length >= FEW;
      } else {
        const some = documents.slice(from, from + AT_ONCE);
        heads.push(...(await Promise.all(some.map((file) => this.changedHead(file)))));
      }
      from += heads.length;
      for (const head of heads) {
        if (!head) continue;
        const { file, stamp, document } = head;
        const before = this.files.get(file)?.row;
        const row = document.id === null ? null : rowOf(document, file);
        // A document of another trace now: the first one's row is not its any more.
        if (before && before.id !== row?.id) return false;
        this.files.set(file, { stamp, row });
        if (!row) continue;
        this.documents.set(row.id, row);
        this.touched.add(row.id);
      }
    }
    return true;
  }

  /** A document's header, where the file is another than it was. */
  private async changedHead(file: string): Promise<Head | null> {
    const stamp = stampOf(await stat(file));
    return this.files.get(file)?.stamp === stamp ? null : { file, stamp, document: await readHead(file) };
  }

  /** The same while everything else waits. */
  private changedHeadNow(file: string): Head | null {
    const stamp = stampOf(statSync(file));
    return this.files.get(file)?.stamp === stamp ? null : { file, stamp, document: readHeadNow(file) };
  }
}

interface Head {
  file: string;
  stamp: string;
  document: TraceDocument;
}

const stampOf = ({ size, mtimeMs }: { size: number; mtimeMs: number }) => `${size}@${mtimeMs}`;

function runRow(record: Record<string, unknown>): TraceRow {
  const decoding = record.decoding as { strategy?: unknown } | undefined;
  const { strategy } = decoding ?? {};
  return {
    id: String(record.id),
    problem: String(record.problem_id ?? ''),
    template: text(record.template_id),
    target: number(record.target),
    answer: number(record.answer),
    correct: typeof record.correct === 'boolean' ? record.correct : null,
    truncated: record.truncated === true,
    strategy: strategy === 'greedy' || strategy === 'sample' ? strategy : null,
    document: null,
    pivots: 0,
    excluded: record.excluded === true,
  };
}

const text = (value: unknown) => (value === undefined || value === null ? null : String(value));
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** A file of JSON lines that may still be written: each line is read once, a last one that is cut off when it is whole. */
class GrowingFile {
  readonly file: string;
  readonly problems: string[] = [];
  private inode: number | null = null;
  private offset = 0;
  private line = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** @returns false where it is another file now, or shorter than what was read of it */
  async read(signal: Signal, onRecord: (record: Record<string, unknown>) => void): Promise<boolean> {
    const now = await stat(this.file).catch(() => null);
    if (!now) return this.inode === null;
    if (this.inode !== null && (now.ino !== this.inode || now.size < this.offset)) return false;
    this.inode = now.ino;
    if (now.size === this.offset) return true;
    const from = { start: this.offset, highWaterMark: 1 << 20 };
    let rest: Buffer[] = [];
    for await (const chunk of createReadStream(this.file, from) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        const bytes = Buffer.concat([...rest, chunk.subarray(start, end)]);
        rest = [];
        start = end + 1;
        this.line++;
        this.offset += bytes.length + 1;
        const record = parse(bytes.toString('utf8'));
        if (record) onRecord(record);
        else if (bytes.length > 0) this.problems.push(`${this.file}:${this.line}: is not a JSON object`);
        if (this.line % 256 === 0) await breathe(signal);
      }
      if (start < chunk.length) rest.push(Buffer.from(chunk.subarray(start)));
    }
    return true;
  }
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** Plain descriptors: a FileHandle for each of thousands of files takes twice as long. */
const files = { open: promisify(open), read: promisify(read), close: promisify(close) };

/** A document's header as far as its token ids. */
async function readHead(file: string): Promise<TraceDocument> {
  const descriptor = await files.open(file, 'r');
  try {
    for (let size = HEAD_BYTES; ; size *= 16) {
      const { bytesRead, buffer } = await files.read(descriptor, Buffer.alloc(size), 0, size, 0);
      const head = headIn(buffer.subarray(0, bytesRead), bytesRead < size || size >= MOST_HEAD_BYTES);
      if (head) return head;
    }
  } finally {
    await files.close(descriptor);
  }
}

function readHeadNow(file: string): TraceDocument {
  const descriptor = openSync(file, 'r');
  try {
    for (let size = HEAD_BYTES; ; size *= 16) {
      const buffer = Buffer.alloc(size);
      const bytesRead = readSync(descriptor, buffer, 0, size, 0);
      const head = headIn(buffer.subarray(0, bytesRead), bytesRead < size || size >= MOST_HEAD_BYTES);
      if (head) return head;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The header in a file's first bytes; null where its token ids come later and there is more to read. */
function headIn(bytes: Buffer, isAll: boolean): TraceDocument | null {
  const text = bytes.toString('utf8');
  const ids = /^prompt_ids[ \t]*:/m.exec(text);
  if (!ids && !isAll) return null;
  return parseTraceDocument(ids ? text.slice(0, ids.index) : text);
}

function rowOf(document: TraceDocument, file: string): TraceRow {
  return {
    id: document.id!,
    problem: document.problem ?? '',
    template: document.template,
    target: document.target,
    answer: document.answer ?? null,
    correct: document.correct,
    truncated: document.truncated,
    strategy: document.decoding?.strategy ?? null,
    document: file,
    pivots: document.pivots.filter(({ status }) => status !== 'rejected').length,
    excluded: document.excluded,
  };
}
