/** Edits of a document's annotations as the smallest text edits of its header that make them. */
import { InputError } from '../errors.ts';
import type { Pair } from './records.ts';
import type { DocumentPivotLine, TraceDocument } from './trace-document.ts';
import { HEADER_KEYS, type HeaderKey, type PivotFields, printPivot } from './trace-header.ts';
import { pivotComment, type TokenTexts } from './trace-print.ts';

/** Replaces the text from `start` to `end` (UTF-16 offsets). */
export interface TextEdit {
  start: number;
  end: number;
  newText: string;
}

type Tokens = Pick<TokenTexts, 'tokenText'>;

/** Takes all edits at once; they do not overlap. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const backwards = edits.toSorted((a, b) => b.start - a.start);
  return backwards.reduce(
    (now, { start, end, newText }) => now.slice(0, start) + newText + now.slice(end),
    text,
  );
}

/**
 * Marks a token of the completion as a pivot by hand: the trace's own token is undesired there. A pivot that stands
 * there already gets the desired token and is accepted.
 * @param tokens writes the derived comment; null leaves it out
 */
export function markPivot(
  document: TraceDocument,
  token: number,
  desired: number,
  tokens: Tokens | null,
): TextEdit[] {
  const own = ownToken(document, token);
  if (pivotsAt(document, token).length > 0) return setDesired(document, token, desired, tokens);
  if (desired === own) {
    throw new InputError(
      `token ${token}`,
      `${desired} is the token that the trace has there`,
      'Choose another token, to be preferred over it.',
    );
  }
  const pivot: PivotFields = { token, undesired: own, desired, method: 'human', status: 'accepted' };
  return [insertLine(document, `pivot: ${printPivot(pivot, comment(pivot, tokens))}`, 'pivot', token)];
}

/** Every pivot at a token. */
export function setStatus(
  document: TraceDocument,
  token: number,
  status: 'accepted' | 'rejected',
  tokens: Tokens | null,
): TextEdit[] {
  return existing(document, token).flatMap((pivot) => rewrite(document, pivot, { status }, tokens));
}

export function removePivots(document: TraceDocument, token: number): TextEdit[] {
  return existing(document, token).map(({ at }) => ({ start: at.start, end: at.next, newText: '' }));
}

/** Desired becomes undesired and the other way round. */
export function swapPivot(document: TraceDocument, token: number, tokens: Tokens | null): TextEdit[] {
  const [pivot] = existing(document, token);
  const { desired, undesired } = pivot;
  return rewrite(document, pivot, { desired: undesired, undesired: desired, status: edited(pivot) }, tokens);
}

/** Another desired token; the undesired one as desired swaps the two. */
export function setDesired(
  document: TraceDocument,
  token: number,
  desired: number,
  tokens: Tokens | null,
): TextEdit[] {
  const [pivot] = existing(document, token);
  if (desired === pivot.undesired) return swapPivot(document, token, tokens);
  const status = desired === pivot.desired ? 'accepted' : edited(pivot);
  return rewrite(document, pivot, { desired, status }, tokens);
}

/**
 * Moves a pivot to another token of the completion. The side that the trace's own token had, undesired or desired, gets
 * the trace's token there; the other side stays.
 */
export function movePivot(
  document: TraceDocument,
  token: number,
  to: number,
  tokens: Tokens | null,
): TextEdit[] {
  const [pivot] = existing(document, token);
  if (to === token) return [];
  const own = ownToken(document, to);
  const side = pivot.desired === tokenAt(document, token) ? 'desired' : 'undesired';
  const moved: PivotFields = { ...pivot, token: to, [side]: own, status: edited(pivot) };
  if (moved.desired === moved.undesired) {
    throw new InputError(
      `token ${to}`,
      `the trace has the pivot's ${side === 'desired' ? 'undesired' : 'desired'} token ${own} there`,
      'Set another token first, or mark the place anew.',
    );
  }
  if (pivotsAt(document, to).length > 0) {
    throw new InputError(`token ${to}`, 'is a pivot already', 'Remove one of the two.');
  }
  const line = printPivot(moved, comment(moved, tokens), pivot.others);
  const others = document.pivots.filter((other) => other !== pivot);
  const before = others.filter((other) => other.at.start < pivot.at.start);
  const after = others.filter((other) => other.at.start > pivot.at.start);
  const inPlace = before.every((other) => other.token < to) && after.every((other) => other.token > to);
  if (inPlace) return rewrite(document, pivot, moved, tokens);
  return [
    { start: pivot.at.start, end: pivot.at.next, newText: '' },
    insertLine({ ...document, pivots: others }, `pivot: ${line}`, 'pivot', to),
  ];
}

/** Takes the trace out of training, or back in. */
export function setExcluded(document: TraceDocument, excluded: boolean): TextEdit[] {
  const line = document.header.find((one) => one.key === 'excluded');
  if (!line) return excluded ? [insertLine(document, 'excluded: true', 'excluded')] : [];
  if (excluded) return minimal(document.text, line.valueStart, line.valueEnd, 'true');
  return [{ start: line.start, end: line.next, newText: '' }];
}

/** The trace's token at an index of the completion. @throws InputError for an index outside it */
function ownToken(document: TraceDocument, token: number): number {
  const { promptIds, completionIds } = document;
  const own = completionIds[token - promptIds.length];
  if (own !== undefined) return own;
  const last = promptIds.length + completionIds.length - 1;
  throw new InputError(
    `token ${token}`,
    'is not part of the completion',
    `Choose one of ${promptIds.length} .. ${last}.`,
  );
}

const tokenAt = ({ promptIds, completionIds }: TraceDocument, token: number) =>
  token < promptIds.length ? promptIds[token] : completionIds[token - promptIds.length];

const pivotsAt = (document: TraceDocument, token: number) =>
  document.pivots.filter((pivot) => pivot.token === token);

function existing(document: TraceDocument, token: number): [DocumentPivotLine, ...DocumentPivotLine[]] {
  const [first, ...rest] = pivotsAt(document, token);
  if (!first) throw new InputError(`token ${token}`, 'is no pivot', 'Mark it as one first.');
  return [first, ...rest];
}

/** A pivot that was set by hand stays accepted when the same hand changes it. */
const edited = (pivot: PivotFields): Pair['status'] => (pivot.method === 'human' ? 'accepted' : 'edited');

const comment = (pivot: PivotFields, tokens: Tokens | null) => (tokens ? pivotComment(pivot, tokens) : '');

function rewrite(
  document: TraceDocument,
  pivot: DocumentPivotLine,
  change: Partial<PivotFields>,
  tokens: Tokens | null,
): TextEdit[] {
  const next = { ...pivot, ...change };
  const same = next.desired === pivot.desired && next.undesired === pivot.undesired;
  const shown = tokens || !same ? comment(next, tokens) : pivot.comment;
  const { valueStart, valueEnd } = pivot.at;
  return minimal(document.text, valueStart, valueEnd, printPivot(next, shown, pivot.others));
}

/** A new line at its place in the order of keys, and of tokens among pivots. */
function insertLine(document: TraceDocument, content: string, key: HeaderKey, token?: number): TextEdit {
  const rank = (name: string) => (HEADER_KEYS as readonly string[]).indexOf(name);
  const later = document.pivots.find((pivot) => token !== undefined && pivot.token > token);
  const before = document.header.findLast(
    (line) => line.key !== '' && rank(line.key) <= rank(key) && rank(line.key) >= 0,
  );
  if (later) return { start: later.at.start, end: later.at.start, newText: content + document.eol };
  const at = before?.next ?? document.headerStart;
  const torn = before !== undefined && before.next === before.end;
  return { start: at, end: at, newText: torn ? document.eol + content : content + document.eol };
}

/** The replacement of a stretch without what both ends have in common; none where nothing changes. */
function minimal(text: string, start: number, end: number, newText: string): TextEdit[] {
  const old = text.slice(start, end);
  if (old === newText) return [];
  const shortest = Math.min(old.length, newText.length);
  let head = 0;
  while (head < shortest && old[head] === newText[head]) head++;
  if (isHighSurrogate(old, head - 1)) head--;
  let tail = 0;
  while (tail < shortest - head && old.at(-1 - tail) === newText.at(-1 - tail)) tail++;
  if (tail > 0 && isLowSurrogate(old, old.length - tail)) tail--;
  return [{ start: start + head, end: end - tail, newText: newText.slice(head, newText.length - tail) }];
}

const isHighSurrogate = (text: string, at: number) => at >= 0 && (text.charCodeAt(at) & 0xfc00) === 0xd800;
const isLowSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xdc00;
