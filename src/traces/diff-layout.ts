import type { Position, Range } from '../../server/protocol/message.ts';
import type { DiffStretch, OutputDiff, OutputSide } from '../../server/protocol/traces.ts';
import { isEmpty } from './ranges.ts';

/** A piece of an addition, shown after a place in the document. */
export interface AddedPiece {
  at: Position;
  /** One line, cut to length. */
  text: string;
  /** The whole addition. */
  whole: string;
}

export interface DiffLayout {
  removed: Range[];
  /** Drawn as decorations: the editor does not wrap these. */
  added: AddedPiece[];
  /** Drawn as inlay hints, which it does. */
  hints: AddedPiece[];
}

/** Characters of a line with its additions that hardly need wrapping. */
const FITS = 100;
/** Characters of a hint, at most. */
const HINT = 800;
/** Characters of a piece where text goes on behind it, and of the last one. */
const INLINE = 60;
const AT_END = 160;

/**
 * Where the tokens of a diff are shown. Additions to a line that would have to be wrapped are hints, where there are any.
 * Otherwise one in place of removed lines is laid beside them, line by line, and one within a line begins at its place and
 * goes on at the line's end. What does not fit is counted, and is in the diff editor.
 * @param lineLength UTF-16 units of a document line
 * @param hints whether the editor shows inlay hints
 */
export function layoutDiff(
  stretches: readonly DiffStretch[],
  lineLength: (line: number) => number,
  hints: boolean,
): DiffLayout {
  const layout: DiffLayout = { removed: [], added: [], hints: [] };
  const lengths = new Map<number, number>();
  for (const { kind, text, range } of stretches) {
    const { line } = range.start;
    if (kind === 'added') lengths.set(line, (lengths.get(line) ?? lineLength(line)) + text.length);
  }
  stretches.forEach((stretch, i) => {
    if (stretch.kind === 'removed' && !isEmpty(stretch.range)) layout.removed.push(stretch.range);
    if (stretch.kind !== 'added' || stretch.text === '') return;
    if (hints && lengths.get(stretch.range.start.line)! > FITS) {
      const text = oneLine(clipped(stretch.text, HINT));
      layout.hints.push({ at: stretch.range.start, text, whole: stretch.text });
      return;
    }
    const before = stretches[i - 1];
    layout.added.push(...pieces(stretch, before?.kind === 'removed' ? before.range : null, lineLength));
  });
  return layout;
}

function pieces(
  stretch: DiffStretch,
  replaced: Range | null,
  lineLength: (line: number) => number,
): AddedPiece[] {
  const places = slots(stretch.range.start, replaced, lineLength);
  const out: AddedPiece[] = [];
  let rest = stretch.text;
  places.forEach((at, i) => {
    if (rest === '') return;
    const taken = i === places.length - 1 ? rest.length : cut(rest, INLINE);
    const piece = rest.slice(0, taken);
    const goesOn = taken < rest.length && !piece.endsWith('\n');
    out.push({ at, text: `${oneLine(clipped(piece, AT_END))}${goesOn ? ' …' : ''}`, whole: stretch.text });
    rest = rest.slice(taken);
  });
  return out;
}

/** Places for an addition's pieces: the ends of the removed lines, its own place, the end of its line. */
function slots(at: Position, replaced: Range | null, lineLength: (line: number) => number): Position[] {
  const places: Position[] = [];
  for (let line = replaced?.start.line ?? at.line; line < at.line; line++) {
    places.push({ line, character: lineLength(line) });
  }
  places.push(at);
  const end = lineLength(at.line);
  if (end > at.character) places.push({ line: at.line, character: end });
  return places;
}

/** Length of a piece that others follow: up to a line break, else to a word's end within `most` characters. */
function cut(text: string, most: number): number {
  const lineBreak = text.indexOf('\n');
  if (lineBreak >= 0 && lineBreak < most && lineBreak < text.length - 1) return lineBreak + 1;
  if (text.length <= most) return text.length;
  const word = text.lastIndexOf(' ', most);
  return word > most / 2 ? word : whole(text, most);
}

function clipped(text: string, most: number): string {
  if (text.length <= most) return text;
  const length = whole(text, most);
  return `${text.slice(0, length)}… (${text.length - length} more characters)`;
}

/** A length at which no surrogate pair is parted. */
const whole = (text: string, length: number): number =>
  /[\uD800-\uDBFF]/.test(text[length - 1] ?? '') ? length - 1 : length;

const oneLine = (text: string): string => text.replace(/\r\n|\r|\n/g, '⏎').replaceAll('\t', '⇥');

const answerOf = (side: OutputSide): string => (side.answer === null ? 'no answer' : String(side.answer));
const markOf = (side: OutputSide): string =>
  side.truncated && side.answer === null ? ' …' : side.correct === null ? '' : side.correct ? ' ✓' : ' ✗';

/** `36 ✗ → 27 ✓` */
export const verdict = ({ from, to }: Pick<OutputDiff, 'from' | 'to'>): string =>
  `${answerOf(from)}${markOf(from)} → ${answerOf(to)}${markOf(to)}`;

const inWords = (side: OutputSide): string =>
  `${answerOf(side)}${side.correct === null ? '' : side.correct ? ', right' : ', wrong'}`;

/** The diff in words, for screen readers. */
export function spoken(diff: OutputDiff, from: string, to: string): string {
  if (diff.firstDivergence === null) return `${from} and ${to} give the same output, ${inWords(diff.from)}.`;
  const count = (kind: DiffStretch['kind']) =>
    diff.stretches.filter((stretch) => stretch.kind === kind).reduce((sum, { text }) => sum + text.length, 0);
  return (
    `${from} against ${to}: outputs part at token ${diff.firstDivergence}; ${count('removed')} characters removed, ` +
    `${count('added')} added. Answer ${inWords(diff.from)}; then ${inWords(diff.to)}.`
  );
}
