import {
  type DocumentSymbol,
  type FoldingRange,
  FoldingRangeKind,
  SymbolKind,
} from 'vscode-languageserver-types';
import { extractAnswer, findAnswer } from '../data/answers.ts';
import type { OpenTrace } from './open-trace.ts';
import type { Stretch } from './token-map.ts';

/** Steps that are listed, at most. */
const MOST_STEPS = 500;
const NAME_LENGTH = 80;

/** The outline: problem, steps of the completion, answer. */
export function documentSymbols(trace: OpenTrace): DocumentSymbol[] {
  const { document, text } = trace;
  if (document.header.length === 0) return [];
  const { prompt, completion } = trace.parts;
  const symbols: DocumentSymbol[] = [];
  if (prompt.end > prompt.start) {
    const name = document.problem === null ? 'Problem' : `Problem ${document.problem}`;
    symbols.push(symbol(trace, oneLine(name), firstLine(text, prompt), SymbolKind.String, prompt));
  }
  if (completion.end === completion.start) return symbols;
  const steps = stepsOf(text, completion).slice(0, MOST_STEPS);
  const words = text.slice(completion.start, completion.end);
  const found = trace.aligned && extractAnswer(words) === document.answer ? findAnswer(words) : null;
  const answer = found && { start: completion.start + found.start, end: completion.start + found.end };
  const children = steps.map((step) =>
    symbol(trace, oneLine(text.slice(step.start, step.end)), '', SymbolKind.Event, step),
  );
  symbols.push({
    ...symbol(
      trace,
      'Completion',
      `${steps.length} step${steps.length === 1 ? '' : 's'}`,
      SymbolKind.Function,
      completion,
    ),
    children,
  });
  const { target, correct } = document;
  const verdict = correct === null ? '' : correct ? 'right' : `wrong, target ${target ?? 'not said'}`;
  if (document.answer !== undefined) {
    const name = document.answer === null ? 'No answer' : `Answer ${document.answer}`;
    const place = answer ?? { start: completion.end, end: completion.end };
    symbols.push(symbol(trace, name, verdict, SymbolKind.Number, place));
  }
  return symbols;
}

function symbol(
  trace: OpenTrace,
  name: string,
  detail: string,
  kind: SymbolKind,
  place: Stretch,
): DocumentSymbol {
  const range = trace.range(place);
  return { name, detail, kind, range, selectionRange: range };
}

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/** Lines of the completion, and sentences within a line; blank ones are none. */
function stepsOf(text: string, { start, end }: Stretch): Stretch[] {
  const steps: Stretch[] = [];
  for (const { 0: line, index } of text.slice(start, end).matchAll(/[^\r\n]+/g)) {
    for (const { segment, index: at } of sentences.segment(line)) {
      const from = start + index + at + (segment.length - segment.trimStart().length);
      const content = segment.trim();
      if (content !== '') steps.push({ start: from, end: from + content.length });
      if (steps.length >= MOST_STEPS) return steps;
    }
  }
  return steps;
}

const firstLine = (text: string, { start, end }: Stretch) =>
  oneLine(/\S[^\r\n]*/.exec(text.slice(start, end))?.[0] ?? '');

/** A symbol's name must not be empty, and is shown on one line. */
function oneLine(text: string): string {
  const characters = [...text.replace(/[\s\p{Cc}]+/gu, ' ').trim()];
  const cut = characters.length > NAME_LENGTH ? [...characters.slice(0, NAME_LENGTH - 1), '…'] : characters;
  return cut.length > 0 ? cut.join('') : '·';
}

/** The header, the lines of token ids in it, and a prompt of several lines. */
export function foldingRanges(trace: OpenTrace): FoldingRange[] {
  const { document } = trace;
  const { header } = document;
  if (header.length === 0) return [];
  const folds: FoldingRange[] = [];
  const fold = (start: number, end: number, kind: FoldingRange['kind'] & string, shown?: string) => {
    if (end > start) {
      folds.push({ startLine: start, endLine: end, kind, ...(shown && { collapsedText: shown }) });
    }
  };
  const line = (offset: number) => trace.range({ start: offset, end: offset }).start.line;
  fold(
    header[0]!.line - 2,
    line(document.headerEnd),
    FoldingRangeKind.Region,
    `--- ${document.id ?? ''}`.trim(),
  );
  const ids = header.filter(({ key }) => key === 'prompt_ids' || key === 'completion_ids');
  if (ids.length > 0) fold(ids[0]!.line - 1, ids.at(-1)!.line - 1, FoldingRangeKind.Region);
  const { prompt } = trace.parts;
  if (prompt.end > prompt.start) fold(line(prompt.start), line(prompt.end - 1), FoldingRangeKind.Region);
  return folds;
}
