/** The traces of a run, or of a folder of documents, without a tokenizer and without reading whole documents. */
import { createReadStream, existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { breathe, type Signal } from '../control.ts';
import { parseTraceDocument, type TraceDocument } from '../data/trace-document.ts';
import { DOCUMENTS, traceFiles } from '../data/trace-files.ts';
import { InputError } from '../errors.ts';
import type { TraceRow } from '../protocol/traces.ts';

/** What a header has before its token ids usually fits; some have many pivots. */
const HEAD_BYTES = 4096;
const MOST_HEAD_BYTES = 1 << 20;
/** Files that are read at a time. */
const AT_ONCE = 32;
/** Problems that are told; the rest is the same again. */
const MOST_PROBLEMS = 20;

export interface TraceList {
  folder: string;
  rows: TraceRow[];
  problems: string[];
}

/**
 * @param folder a run folder, or any folder with trace documents
 * @throws InputError for a folder that is neither
 */
export async function listTraces(folder: string, signal: Signal): Promise<TraceList> {
  const root = path.resolve(folder);
  const problems: string[] = [];
  const traces = path.join(root, 'traces.jsonl');
  const isRun = existsSync(traces);
  if (!isRun && !existsSync(root)) {
    throw new InputError(root, 'there is no such folder', 'Choose a run folder or one with trace documents.');
  }
  const rows = new Map<string, TraceRow>();
  if (isRun) {
    for await (const row of runRows(traces, problems, signal)) rows.set(row.id, row);
    await countPivots(path.join(root, 'pairs.jsonl'), rows, problems, signal);
  }
  const files = await traceFiles(isRun ? path.join(root, DOCUMENTS) : root);
  for (let from = 0; from < files.length; from += AT_ONCE) {
    await breathe(signal);
    const some = files.slice(from, from + AT_ONCE);
    for (const [i, document] of (await Promise.all(some.map(readHead))).entries()) {
      const file = some[i]!;
      if (document.id === null) problems.push(`${file}: has no header of a trace document`);
      else rows.set(document.id, { ...rowOf(document, file), ...fromTrace(rows.get(document.id)) });
    }
  }
  return { folder: root, rows: [...rows.values()], problems: problems.slice(0, MOST_PROBLEMS) };
}

/** What the run knows and a header may lack. */
const fromTrace = (known: TraceRow | undefined): Partial<TraceRow> =>
  known ? { problem: known.problem, template: known.template, target: known.target } : {};

async function* runRows(file: string, problems: string[], signal: Signal): AsyncGenerator<TraceRow> {
  for await (const { line, record } of records(file, problems)) {
    if (line % 256 === 0) await breathe(signal);
    const decoding = record.decoding as { strategy?: unknown } | undefined;
    const { strategy } = decoding ?? {};
    yield {
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
}

async function countPivots(
  file: string,
  rows: ReadonlyMap<string, TraceRow>,
  problems: string[],
  signal: Signal,
): Promise<void> {
  if (!existsSync(file)) return;
  for await (const { line, record } of records(file, problems)) {
    if (line % 256 === 0) await breathe(signal);
    const row = rows.get(String(record.trace));
    if (row && record.status !== 'rejected') row.pivots++;
  }
}

const text = (value: unknown) => (value === undefined || value === null ? null : String(value));
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** Lines of a file that may still be written: a last one that is cut off is left for the next time. */
async function* records(
  file: string,
  problems: string[],
): AsyncGenerator<{ line: number; record: Record<string, unknown> }> {
  let rest: Buffer[] = [];
  let line = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const bytes =
        rest.length > 0 ? Buffer.concat([...rest, chunk.subarray(start, end)]) : chunk.subarray(start, end);
      rest = [];
      start = end + 1;
      line++;
      const record = parse(bytes.toString('utf8'));
      if (record) yield { line, record };
      else if (bytes.length > 0) problems.push(`${file}:${line}: is not a JSON object`);
    }
    if (start < chunk.length) rest.push(Buffer.from(chunk.subarray(start)));
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

/** A document's header as far as its token ids. */
async function readHead(file: string): Promise<TraceDocument> {
  const handle = await open(file, 'r');
  try {
    for (let size = HEAD_BYTES; ; size *= 16) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(size), 0, size, 0);
      const head = buffer.toString('utf8', 0, bytesRead);
      const ids = /^prompt_ids[ \t]*:/m.exec(head);
      if (ids || bytesRead < size || size >= MOST_HEAD_BYTES) {
        return parseTraceDocument(ids ? head.slice(0, ids.index) : head);
      }
    }
  } finally {
    await handle.close();
  }
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
