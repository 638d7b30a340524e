import type { Tokenizer } from '../checkpoint/tokenizer.ts';
import { type DiffRun, diffCompletions } from '../inspect/diff.ts';
import type { OpenTrace } from '../language/open-trace.ts';
import type { OutputDiff } from '../protocol/traces.ts';

/**
 * Where two outputs differ, laid out over the document. Its own completion stands there; another one's tokens are put
 * where those of the document are that they are aligned with.
 * @param own the document's completion
 */
export function layOut(
  trace: OpenTrace,
  own: readonly number[],
  from: readonly number[],
  to: readonly number[],
  tokenizer: Tokenizer,
): Pick<OutputDiff, 'firstDivergence' | 'firstDivergenceAt' | 'divergence' | 'stretches'> {
  const place = placeIn(own, from, tokenizer);
  const tokens = trace.tokens!;
  const { promptLength, length } = tokens;
  /** Offset where a token of `from` begins. */
  const offset = (token: number) => {
    const at = promptLength + place(token);
    return at < length ? tokens.own(at).start : trace.parts.completion.end;
  };
  const { firstDivergence, runs } = diffCompletions(from, to, tokenizer);
  const stretches = runs.map(({ kind, text, a }) => {
    const start = offset(a.from);
    const end = kind === 'added' ? start : Math.max(start, offset(a.to));
    return { kind, text, range: trace.range({ start, end }) };
  });
  const divergence = firstDivergence === null ? null : offset(Math.min(firstDivergence, from.length));
  const firstDivergenceAt =
    divergence === null ? null : trace.range({ start: divergence, end: divergence }).start;
  return { firstDivergence, firstDivergenceAt, divergence: divergenceOf(), stretches };

  /** Both tokens where the outputs part, if the document has one of them there. */
  function divergenceOf(): NonNullable<OutputDiff['divergence']> | null {
    const at = firstDivergence ?? -1;
    const [left, right] = [from[at], to[at]];
    if (left === undefined || right === undefined) return null;
    for (let i = 0; i <= at; i++) if (own[i] !== from[i]) return null;
    const token = (id: number) => ({ id, text: tokenizer.tokenText(id) });
    return { token: promptLength + at, from: token(left), to: token(right) };
  }
}

/** Where tokens of `from` stand among the document's own. */
function placeIn(
  own: readonly number[],
  from: readonly number[],
  tokenizer: Tokenizer,
): (token: number) => number {
  if (own.length === from.length && own.every((id, i) => id === from[i])) return (token) => token;
  const { runs } = diffCompletions(own, from, tokenizer);
  return (token) => {
    const run = runs.find((one: DiffRun) => token >= one.b.from && token < one.b.to);
    if (!run) return own.length;
    return run.kind === 'same' ? run.a.from + (token - run.b.from) : run.a.from;
  };
}
