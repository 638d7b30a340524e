import { type CodeAction, CodeActionKind } from 'vscode-languageserver-types';
import type { Range } from '../protocol/message.ts';
import { type KnownScore, type ModelFacts, noFacts } from './hover.ts';
import { pivotLabel, tokenLabel } from './lenses.ts';
import { percent } from './markdown.ts';
import { commandTo } from './names.ts';
import type { OpenTrace } from './open-trace.ts';

/** Alternatives that are offered by name. */
const OFFERED = 5;

/** What can be done at a place: mends of what is broken there, then annotations of its token, then of the trace. */
export function codeActions(trace: OpenTrace, range: Range, facts: ModelFacts = noFacts): CodeAction[] {
  const { uri, document } = trace;
  if (document.header.length === 0) return [];
  const token = tokenOf(trace, range);
  const excluded = !document.excluded;
  const title = excluded ? 'Exclude this trace from training' : 'Include this trace in training';
  return [
    ...mends(trace, range),
    ...(token === null ? [] : annotations(trace, token, facts.score(token))),
    annotation(title, 'exclude', { uri, excluded }),
  ];
}

const annotation = (...args: Parameters<typeof commandTo>): CodeAction => ({
  title: args[0],
  kind: CodeActionKind.RefactorRewrite,
  command: commandTo(...args),
});

/** The completion's token at the start of a selection, or the one of a pivot's line in the header. */
function tokenOf(trace: OpenTrace, range: Range): number | null {
  const at = trace.offsetAt(range.start);
  const line = trace.placedPivots.find((pivot) => at >= pivot.at.start && at <= pivot.at.end);
  const token = line?.token ?? trace.tokenAt(range.start);
  return token === null || token < trace.document.promptIds.length ? null : token;
}

function annotations(trace: OpenTrace, token: number, score: KnownScore | null): CodeAction[] {
  const { uri, document } = trace;
  const pivot = trace.pivotAt(token);
  const own = document.completionIds[token - document.promptIds.length]!;
  const alternatives = (without: readonly number[]) =>
    (score?.top ?? []).filter(({ id }) => !without.includes(id)).slice(0, OFFERED);
  if (!pivot) {
    const shown = tokenLabel(trace, own);
    return [
      ...alternatives([own]).map(({ id, logprob }) =>
        annotation(
          `Mark ${shown} as a pivot: prefer ${tokenLabel(trace, id)} (${percent(logprob)})`,
          'mark',
          {
            uri,
            token,
            desired: id,
          },
        ),
      ),
      annotation(`Mark ${shown} as a pivot…`, 'mark', { uri, token }),
    ];
  }
  const label = pivotLabel(trace, pivot);
  const { status } = pivot;
  return [
    ...(status === 'accepted' ? [] : [annotation(`Accept the pivot ${label}`, 'accept', { uri, token })]),
    ...(status === 'rejected' ? [] : [annotation(`Reject the pivot ${label}`, 'reject', { uri, token })]),
    ...alternatives([pivot.desired, pivot.undesired]).map(({ id, logprob }) =>
      annotation(`Set the desired token to ${tokenLabel(trace, id)} (${percent(logprob)})`, 'desired', {
        uri,
        token,
        desired: id,
      }),
    ),
    annotation('Set the desired token…', 'desired', { uri, token }),
    annotation('Swap desired and undesired token', 'swap', { uri, token }),
    annotation('Move the pivot…', 'move', { uri, token }),
    annotation(`Remove the pivot ${label}`, 'remove', { uri, token }),
  ];
}

/** Quick fixes as edits: a broken pivot's line goes; a changed text is written anew from its tokens. */
function mends(trace: OpenTrace, range: Range): CodeAction[] {
  const { document, aligned, text, reader } = trace;
  const from = trace.offsetAt(range.start);
  const to = trace.offsetAt(range.end);
  const fix = (title: string, start: number, end: number, newText: string): CodeAction => ({
    title,
    kind: CodeActionKind.QuickFix,
    isPreferred: true,
    edit: {
      documentChanges: [
        {
          textDocument: { uri: trace.uri, version: trace.version },
          edits: [{ range: trace.range({ start, end }), newText }],
        },
      ],
    },
  });
  const faulty = new Set(document.faults.map(({ line }) => line));
  const lines = document.header
    .filter(({ key, line, start, end }) => key === 'pivot' && faulty.has(line) && start <= to && end >= from)
    .map(({ start, next }) => fix('Remove this pivot line', start, next, ''));
  if (!aligned?.mismatch || !reader || to < document.bodyStart) return lines;
  const { at } = aligned.mismatch;
  const whole = reader.decode(aligned.ids);
  // What comes before the first difference stays as it is, with its line ends.
  const rest = text.slice(document.bodyStart, at).replace(/\r\n?/g, '\n').length;
  const restored = whole.replace(/\r\n?/g, '\n').slice(rest).replaceAll('\n', document.eol);
  return [...lines, fix('Write the text anew from its tokens', at, text.length, restored)];
}
