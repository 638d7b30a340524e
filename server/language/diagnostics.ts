import { type Diagnostic, DiagnosticSeverity } from 'vscode-languageserver-types';
import { extractAnswer, findAnswer } from '../data/answers.ts';
import { quoteToken } from '../data/token-display.ts';
import type { OpenTrace } from './open-trace.ts';
import type { Stretch } from './token-map.ts';

const SOURCE = 'Circuit Amplifier';
type Code =
  | 'header'
  | 'edited-text'
  | 'pivot'
  | 'unknown-token'
  | 'model'
  | 'wrong-answer'
  | 'no-answer'
  | 'truncated';

/** What can be told of a document only with its surroundings. */
export interface Surroundings {
  /** Why its model cannot be read, with a remedy; null where it can, or nobody has tried. */
  modelProblem: string | null;
}

/** What is wrong with a document, and with its trace. */
export function diagnostics(
  trace: OpenTrace,
  { modelProblem }: Surroundings = { modelProblem: null },
): Diagnostic[] {
  const { document } = trace;
  const found: Diagnostic[] = document.faults.map(({ start, end, what, remedy }) =>
    make(trace, { start, end }, DiagnosticSeverity.Error, 'header', `${sentence(what)} ${remedy}`),
  );
  if (document.header.length === 0) return found;
  if (modelProblem !== null) {
    found.push(make(trace, headerPlace(trace, 'model'), DiagnosticSeverity.Warning, 'model', modelProblem));
  }
  return [...found, ...textFindings(trace), ...pivotFindings(trace), ...outcome(trace)];
}

function make(
  trace: OpenTrace,
  place: Stretch,
  severity: DiagnosticSeverity,
  code: Code,
  message: string,
): Diagnostic {
  return { range: trace.range(place), severity, code, source: SOURCE, message };
}

const sentence = (what: string) => `${what[0]!.toUpperCase()}${what.slice(1)}.`;

/** A key's line, or the first line of the document. */
function headerPlace(trace: OpenTrace, key: string): Stretch {
  const { header, headerStart, text } = trace.document;
  const line = header.find((one) => one.key === key);
  if (line) return { start: line.start, end: line.valueEnd };
  return { start: 0, end: text.slice(0, headerStart).trimEnd().length };
}

/** A body that is no longer the text of its tokens. */
function textFindings(trace: OpenTrace): Diagnostic[] {
  const mismatch = trace.aligned?.mismatch;
  if (!mismatch) return [];
  const { at, expected, found, token } = mismatch;
  const says =
    expected === '' ? 'the tokens end here' : `from token ${token} on the tokens say ${quoteToken(expected)}`;
  const stands = found === '' ? 'the text ends' : `the text has ${quoteToken(found)}`;
  const lineEnd = trace.text.slice(at).search(/[\r\n]|$/);
  const message = `The text was changed: ${says}, ${stands}. Token ids are what is trained on; undo the change, or write the text anew from its tokens.`;
  return [
    make(
      trace,
      { start: at, end: at + Math.max(lineEnd, 0) },
      DiagnosticSeverity.Warning,
      'edited-text',
      message,
    ),
  ];
}

/** Pivots that can be read but hardly mean what they say. */
function pivotFindings(trace: OpenTrace): Diagnostic[] {
  const { reader, document } = trace;
  return trace.placedPivots.flatMap(({ at, token, desired, undesired }) => {
    const place = { start: at.start, end: at.valueEnd };
    const unknown = reader && [desired, undesired].find((id) => id >= reader.vocabSize);
    if (reader && unknown !== undefined && unknown !== null) {
      const message = `The tokenizer has no token ${unknown}. Give ids in 0 .. ${reader.vocabSize - 1}.`;
      return [make(trace, place, DiagnosticSeverity.Error, 'unknown-token', message)];
    }
    const own = document.completionIds[token - document.promptIds.length]!;
    if (own === desired || own === undesired) return [];
    const shown = reader ? `${quoteToken(trace.tokenText(own))} (${own})` : own;
    const message = `The trace has ${shown} at token ${token}, which is neither the desired nor the undesired token. Check that the pivot is at the right token.`;
    return [make(trace, place, DiagnosticSeverity.Information, 'pivot', message)];
  });
}

/** How the trace ended. */
function outcome(trace: OpenTrace): Diagnostic[] {
  const { document, text, aligned } = trace;
  const { completion } = trace.parts;
  const end = completion.start + text.slice(completion.start).trimEnd().length;
  // Its last line, so that there is something to underline.
  const last = { start: Math.max(completion.start, text.lastIndexOf('\n', end - 1) + 1), end };
  const found: Diagnostic[] = [];
  if (document.truncated) {
    const message = 'The completion was cut at the token limit. Generate with a higher limit.';
    found.push(make(trace, last, DiagnosticSeverity.Warning, 'truncated', message));
  }
  if (document.answer === null) {
    const target = document.target === null ? '' : `; the target is ${document.target}`;
    const message = `The completion has no number${target}.`;
    found.push(make(trace, last, DiagnosticSeverity.Warning, 'no-answer', message));
  } else if (document.correct === false) {
    const words = text.slice(completion.start, completion.end);
    // A special token's own text may hold a number, which the answer was read without.
    const there = aligned && extractAnswer(words) === document.answer ? findAnswer(words) : null;
    const place = there && {
      start: completion.start + there.start,
      end: completion.start + there.end,
    };
    const answer = document.answer === undefined ? 'The answer is wrong' : `The answer is ${document.answer}`;
    const message = `${answer}; the target is ${document.target ?? 'not said'}.`;
    found.push(make(trace, place ?? last, DiagnosticSeverity.Warning, 'wrong-answer', message));
  }
  return found;
}
