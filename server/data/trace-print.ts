import type { Pair, Trace } from './records.ts';
import { quoteToken } from './token-display.ts';
import { FORMAT_VERSION, NO_ANSWER, printDecoding, printIds, printPivot, printText } from './trace-header.ts';

/** What printing needs of a tokenizer. */
export interface TokenTexts {
  /** The text of ids, special tokens by their own text. */
  decode(ids: readonly number[]): string;
  /** One token for display. */
  tokenText(id: number): string;
}

export interface PrintOptions {
  /** Model and run folder, relative to where the document will be, with slashes. */
  model?: string;
  run?: string;
}

/** Ids of prompt and completion. */
export const traceIds = (trace: Trace): number[] => [...trace.prompt_ids, ...trace.completion_ids];

/** Whether a pair is a pivot of a trace's own tokens, so that a document can hold it. */
export function liesOn(pair: Pick<Pair, 'prefix'>, ids: readonly number[], promptLength: number): boolean {
  const { prefix } = pair;
  if (prefix.length < promptLength || prefix.length >= ids.length) return false;
  return prefix.every((id, i) => id === ids[i]);
}

/**
 * The document of a trace. Pairs that do not lie on its tokens are left out (`liesOn`), repeated ones stand once.
 * @param pairs pairs whose prefix was cut from this trace
 */
export function printTraceDocument(
  trace: Trace,
  pairs: readonly Pair[],
  tokens: TokenTexts,
  { model, run }: PrintOptions = {},
): string {
  const ids = traceIds(trace);
  const optional = (key: string, value: string | undefined) =>
    value === undefined ? [] : [`${key}: ${printText(value)}`];
  const pivots = pairs
    .filter((pair) => liesOn(pair, ids, trace.prompt_ids.length))
    .sort((a, b) => a.prefix.length - b.prefix.length)
    .map((pair) => {
      const { undesired, desired, method, status } = pair;
      const pivot = { token: pair.prefix.length, undesired, desired, method, status };
      return `pivot: ${printPivot(pivot, pivotComment(pivot, tokens))}`;
    });
  const lines = [
    '---',
    `trace: ${FORMAT_VERSION}`,
    `id: ${printText(trace.id)}`,
    `problem: ${printText(trace.problem_id)}`,
    ...optional('template', trace.template_id),
    ...optional('instance', trace.instance_id),
    ...optional('split', trace.split),
    `target: ${trace.target}`,
    `answer: ${trace.answer ?? NO_ANSWER}`,
    `correct: ${trace.correct}`,
    `truncated: ${trace.truncated}`,
    `decoding: ${printDecoding(trace.decoding)}`,
    ...optional('model', model),
    ...optional('run', run),
    ...(trace.excluded ? ['excluded: true'] : []),
    ...new Set(pivots),
    `prompt_ids: ${printIds(trace.prompt_ids)}`,
    `completion_ids: ${printIds(trace.completion_ids)}`.trimEnd(),
    '---',
  ];
  return `${lines.join('\n')}\n${tokens.decode(ids)}`;
}

/** The derived comment of a pivot's line: `" 4" -> " 3"`, undesired and desired. */
export function pivotComment(
  { undesired, desired }: { undesired: number; desired: number },
  tokens: Pick<TokenTexts, 'tokenText'>,
): string {
  return `${quoteToken(tokens.tokenText(undesired))} -> ${quoteToken(tokens.tokenText(desired))}`;
}
