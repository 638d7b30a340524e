/**
 * Trace documents: a trace with its annotations as readable text. A header between two lines `---`, then the text of
 * prompt and completion, verbatim, to the end of the file. The token ids in the header are the truth; the text below is
 * derived from them, and annotations are lines of the header, so that undo, save, git and review work on them.
 */
import { InputError } from '../errors.ts';
import type { Decoding, Split } from './records.ts';
import { SPLITS } from './splits.ts';
import {
  type DocumentFault,
  FENCE,
  type Frame,
  faultAt,
  findHeader,
  type HeaderLine,
} from './trace-frame.ts';
import {
  FORMAT_VERSION,
  HEADER_KEYS,
  NO_ANSWER,
  oneOf,
  type Parsed,
  type PivotLine,
  parseBoolean,
  parseDecoding,
  parseIds,
  parseNumber,
  parsePivot,
  parseText,
} from './trace-header.ts';

/** Extension of trace documents. */
export const TRACE_EXTENSION = '.trace';

export interface DocumentPivotLine extends PivotLine {
  at: HeaderLine;
}

/** A document as read. What is missing or broken is null, and stands among the faults where it must not be. */
export interface TraceDocument extends Frame {
  text: string;
  faults: readonly DocumentFault[];
  id: string | null;
  problem: string | null;
  template: string | null;
  instance: string | null;
  split: Split | null;
  target: number | null;
  /** undefined: not said; null: there is none in the completion. */
  answer: number | null | undefined;
  correct: boolean | null;
  truncated: boolean;
  decoding: Decoding | null;
  /** As written: relative to the document, or absolute. */
  model: string | null;
  run: string | null;
  excluded: boolean;
  pivots: readonly DocumentPivotLine[];
  promptIds: readonly number[];
  completionIds: readonly number[];
}

/** A document without faults. */
export type WholeTraceDocument = TraceDocument & { id: string; problem: string; target: number };

export interface ParseOptions {
  /** Number of rows of the model's embedding; ids must lie below it when given. */
  vocab?: number;
}

const REQUIRED = ['trace', 'id', 'problem', 'target', 'prompt_ids', 'completion_ids'];

/** Reads a document, whatever its state: what is wrong comes as `faults`, in the order of their places. */
export function parseTraceDocument(text: string, { vocab }: ParseOptions = {}): TraceDocument {
  const faults: DocumentFault[] = [];
  const frame = findHeader(text, faults);
  const values = new Map<string, HeaderLine>();
  const read = <T>(key: string, parse: (raw: string) => Parsed<T>): T | undefined => {
    const line = values.get(key);
    return line && readValue(text, line, parse, faults);
  };
  const pivotLines: HeaderLine[] = [];
  for (const line of frame.header) {
    const first = values.get(line.key);
    if (line.key === '') continue;
    if (line.key === 'pivot') pivotLines.push(line);
    else if (first === undefined) values.set(line.key, line);
    else if ((HEADER_KEYS as readonly string[]).includes(line.key)) {
      faults.push(
        faultAt(line, `"${line.key}" stands in line ${first.line} already`, 'Remove one of the two.'),
      );
    }
  }
  read('trace', (raw) => {
    if (raw === String(FORMAT_VERSION)) return { value: FORMAT_VERSION };
    return {
      fault: { what: `is format ${raw || '""'}`, remedy: `Give ${FORMAT_VERSION}, the one read here.` },
    };
  });
  const ids = (raw: string) => parseIds(raw, vocab);
  const document: TraceDocument = {
    text,
    ...frame,
    faults,
    id: read('id', parseText) ?? null,
    problem: read('problem', parseText) ?? null,
    template: read('template', parseText) ?? null,
    instance: read('instance', parseText) ?? null,
    split: read('split', (raw) => oneOf(raw, SPLITS)) ?? null,
    target: read('target', parseNumber) ?? null,
    answer: read<number | null>('answer', (raw) => (raw === NO_ANSWER ? { value: null } : parseNumber(raw))),
    correct: read('correct', parseBoolean) ?? null,
    truncated: read('truncated', parseBoolean) ?? false,
    decoding: read('decoding', parseDecoding) ?? null,
    model: read('model', parseText) ?? null,
    run: read('run', parseText) ?? null,
    excluded: read('excluded', parseBoolean) ?? false,
    pivots: pivotLines.flatMap((at) => {
      const pivot = readValue(text, at, parsePivot, faults);
      return pivot ? [{ ...pivot, at }] : [];
    }),
    promptIds: read('prompt_ids', ids) ?? [],
    completionIds: read('completion_ids', ids) ?? [],
  };
  if (frame.header.length > 0) {
    checkRequired(frame, values, faults);
    checkPivots(document, values, vocab, faults);
  }
  faults.sort((a, b) => a.start - b.start);
  return document;
}

/**
 * Reads a document that must be whole, to train on or to compute with.
 * @param file for messages
 * @throws InputError `file:line` for the first fault
 */
export function parseTraceDocumentStrictly(
  file: string,
  text: string,
  options: ParseOptions = {},
): WholeTraceDocument {
  const document = parseTraceDocument(text, options);
  const [fault] = document.faults;
  if (fault) throw new InputError(`${file}:${fault.line}`, fault.what, fault.remedy);
  return document as WholeTraceDocument;
}

function readValue<T>(
  text: string,
  line: HeaderLine,
  parse: (raw: string) => Parsed<T>,
  faults: DocumentFault[],
): T | undefined {
  const parsed = parse(text.slice(line.valueStart, line.valueEnd));
  if ('value' in parsed) return parsed.value;
  const { what, remedy, at, length } = parsed.fault;
  const start = at === undefined ? line.valueStart : line.valueStart + at;
  const end = length === undefined ? line.valueEnd : start + length;
  faults.push({
    line: line.line,
    start: start === end ? line.start : start,
    end,
    what: `"${line.key}" ${what}`,
    remedy,
  });
  return undefined;
}

function checkRequired(frame: Frame, values: ReadonlyMap<string, HeaderLine>, faults: DocumentFault[]): void {
  const missing = REQUIRED.filter((key) => !values.has(key));
  if (missing.length === 0) return;
  const names = missing.map((key) => `"${key}"`).join(', ');
  const remedy = 'Restore it: undo the change, or write the document anew.';
  // At the line that closes the header, so that a line which is only broken comes first.
  const last = frame.header.at(-1)!;
  const closed = frame.headerEnd === last.next && frame.bodyStart > frame.headerEnd;
  const at = closed
    ? { ...last, line: last.line + 1, start: frame.headerEnd, end: frame.headerEnd + FENCE.length }
    : last;
  faults.push(faultAt(at, `the header lacks ${names}`, remedy));
}

function checkPivots(
  document: TraceDocument,
  values: ReadonlyMap<string, HeaderLine>,
  vocab: number | undefined,
  faults: DocumentFault[],
): void {
  const { promptIds, completionIds, pivots } = document;
  const prompt = values.get('prompt_ids');
  if (!prompt || !values.has('completion_ids')) return;
  const broken = faults.some((fault) => /^"(prompt|completion)_ids"/.test(fault.what));
  if (broken) return;
  if (promptIds.length === 0) {
    faults.push(faultAt(prompt, '"prompt_ids" has no ids', 'Restore its token ids.'));
    return;
  }
  const total = promptIds.length + completionIds.length;
  const seen = new Map<string, number>();
  for (const { at, token, desired, undesired } of pivots) {
    const same = `${token} ${desired} ${undesired}`;
    const first = seen.get(same);
    if (token < promptIds.length || token >= total) {
      const where = token < total ? 'in the prompt' : 'past the end';
      const remedy =
        completionIds.length === 0
          ? 'Remove the line: the completion has no tokens.'
          : `Give a token of the completion, ${promptIds.length} .. ${total - 1}.`;
      faults.push(faultAt(at, `the pivot's token ${token} is ${where}`, remedy));
    } else if (first !== undefined) {
      faults.push(faultAt(at, `the pivot stands in line ${first} already`, 'Remove one of the two.'));
    } else if (vocab !== undefined && Math.max(desired, undesired) >= vocab) {
      const id = Math.max(desired, undesired);
      faults.push(faultAt(at, `the model has no token ${id}`, `Give ids in 0 .. ${vocab - 1}.`));
    }
    seen.set(same, first ?? at.line);
  }
}
