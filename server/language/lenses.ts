import type { CodeLens } from 'vscode-languageserver-types';
import { quoteToken } from '../data/token-display.ts';
import type { DocumentPivotLine } from '../data/trace-document.ts';
import type { Branch } from '../protocol/traces.ts';
import { type ModelFacts, noFacts } from './hover.ts';
import { commandTo } from './names.ts';
import type { OpenTrace } from './open-trace.ts';

const STATUS_ICON = {
  auto: '$(question)',
  accepted: '$(check)',
  edited: '$(edit)',
  rejected: '$(x)',
} as const;

/** Lenses above every pivot, and one above the header. */
export function codeLenses(trace: OpenTrace, facts: ModelFacts = noFacts): CodeLens[] {
  const { uri, document } = trace;
  if (document.header.length === 0) return [];
  const { excluded } = document;
  const top = { start: { line: 0, character: 0 }, end: { line: 0, character: 3 } };
  const title = excluded ? '$(circle-slash) excluded from training: include' : 'exclude from training';
  const exclude = { range: top, command: commandTo(title, 'exclude', { uri, excluded: !excluded }) };
  return [exclude, ...trace.placedPivots.flatMap((pivot) => pivotLenses(trace, pivot, facts))];
}

function pivotLenses(trace: OpenTrace, pivot: DocumentPivotLine, facts: ModelFacts): CodeLens[] {
  const { status, token } = pivot;
  const range = trace.pivotRange(pivot);
  const argument = { uri: trace.uri, token };
  const lens = (title: string, command: Parameters<typeof commandTo>[1]): CodeLens => ({
    range,
    command: commandTo(title, command, argument),
  });
  const known = facts.branches(token);
  const answers = known === null || known === 'pending' ? '' : `: ${answersLabel(trace, known)}`;
  const label = `${STATUS_ICON[status]} ${pivotLabel(trace, pivot)}${answers}`;
  return [
    lens(`${label}: show branches`, 'branches'),
    ...(status === 'accepted' ? [] : [lens('accept', 'accept')]),
    ...(status === 'rejected'
      ? [lens('remove', 'remove')]
      : [
          lens('reject', 'reject'),
          lens('move', 'move'),
          lens('swap', 'swap'),
          lens('desired token…', 'desired'),
        ]),
  ];
}

/** `" 4" gives 36 ✗, " 3" gives 27 ✓`: undesired and desired, with the answers that follow. */
function answersLabel(trace: OpenTrace, branches: readonly Branch[]): string {
  const side = (role: Branch['role']) => branches.find((branch) => branch.role === role);
  return (['undesired', 'desired'] as const)
    .map(side)
    .filter((branch) => branch !== undefined)
    .map(({ token, answer, correct, truncated }) => {
      const mark = correct === null ? '' : correct ? ' ✓' : ' ✗';
      const said = answer === null ? (truncated ? 'no end' : 'no answer') : `${answer}${mark}`;
      return `${tokenLabel(trace, token.id)} gives ${said}`;
    })
    .join(', ');
}

/** `" 4" → " 3"`: undesired and desired; ids where there is no tokenizer. Short enough for a lens. */
export function pivotLabel(
  trace: OpenTrace,
  { undesired, desired }: { undesired: number; desired: number },
): string {
  return `${tokenLabel(trace, undesired)} → ${tokenLabel(trace, desired)}`;
}

const LABEL_LENGTH = 24;

/** A token for a title: quoted, cut where it is long; its id without a tokenizer. */
export function tokenLabel(trace: OpenTrace, id: number): string {
  const text = trace.tokenText(id);
  if (text === '') return `#${id}`;
  const characters = [...text];
  return quoteToken(
    characters.length > LABEL_LENGTH ? `${characters.slice(0, LABEL_LENGTH - 1).join('')}…` : text,
  );
}
