import type { Hover } from 'vscode-languageserver-types';
import type { DocumentPivotLine } from '../data/trace-document.ts';
import type { Position } from '../protocol/message.ts';
import type { Alternative, Branch, ScoredToken } from '../protocol/traces.ts';
import { headerHover } from './header.ts';
import { codeBlock, percent, tokenCell, tokenCode } from './markdown.ts';
import type { OpenTrace } from './open-trace.ts';

/** What the model thought of a token, and what it would have put in its place, most probable first. */
export interface KnownScore extends Pick<ScoredToken, 'id' | 'logprob' | 'rank' | 'entropy'> {
  top: readonly Alternative[];
}

/** What the model says of a document's tokens, as far as it has been asked. */
export interface ModelFacts {
  score(token: number): KnownScore | null;
  /** Completions of a pivot's two tokens; pending while they are made. */
  branches(token: number): readonly Branch[] | 'pending' | null;
}

export const noFacts: ModelFacts = { score: () => null, branches: () => null };

/** Characters of a branch that are shown, from its start. */
const BRANCH_LENGTH = 600;

/** What is known of the token at a position; of a header's key or pivot in the header. Null where there is neither. */
export function hover(trace: OpenTrace, position: Position, facts: ModelFacts = noFacts): Hover | null {
  const header = headerHover(trace, position);
  const line = header?.pivot;
  if (header && !line) return markdown([header.text], header.range);
  if (line) return markdown([header.text, ...pivotSection(trace, line, facts)], header.range);
  const token = trace.tokenAt(position);
  if (token === null) return null;
  const { range } = trace.tokenRange(token);
  const pivot = trace.pivotAt(token);
  return markdown(
    [
      tokenSection(trace, token),
      ...scoreSection(facts.score(token)),
      ...(pivot ? pivotSection(trace, pivot, facts) : []),
    ],
    range,
  );
}

/** Index of the pivot that a hover at a position tells of; null for none. */
export function pivotUnder(trace: OpenTrace, position: Position): number | null {
  const header = headerHover(trace, position);
  if (header) return header.pivot?.token ?? null;
  const token = trace.tokenAt(position);
  return token !== null && trace.pivotAt(token) ? token : null;
}

const markdown = (sections: readonly string[], range: Hover['range'] & object): Hover => ({
  contents: { kind: 'markdown', value: sections.join('\n\n') },
  range,
});

function tokenSection(trace: OpenTrace, token: number): string {
  const { id, text } = trace.tokenRange(token);
  const map = trace.tokens!;
  const part = token < map.promptLength ? 'prompt' : 'completion';
  const head = `**${tokenCode(text)}** id ${id}, token ${token} of ${map.length}, ${part}`;
  const { start, end } = map.range(token);
  const sharing = map.at(start).filter((other) => other !== token);
  if (sharing.length === 0 || end === start) return head;
  const others = sharing.map((other) => `${tokenCode(map.tokenText(other))} (${other})`).join(', ');
  return `${head}\n\nThe character is shared with ${others}.`;
}

function scoreSection(score: KnownScore | null): string[] {
  if (!score || score.logprob === null) return [];
  const figures = [
    `probability ${percent(score.logprob)}`,
    `rank ${score.rank}${score.rank === 1 ? ' (greedy)' : ''}`,
    `surprisal ${nats(-score.logprob)}`,
    `entropy ${nats(score.entropy ?? 0)}`,
  ].join(' · ');
  if (score.top.length === 0) return [figures];
  const rows = score.top.map(({ id, text, logprob }, i) => {
    const own = id === score.id ? ' ←' : '';
    return `| ${i + 1} | ${tokenCell(text)}${own} | ${id} | ${percent(logprob)} |`;
  });
  return [figures, ['| | token | id | probability |', '|--:|:--|--:|--:|', ...rows].join('\n')];
}

/** Without the sign of a zero. */
const nats = (value: number) =>
  `${(value + 0).toFixed(value < 0.1 ? 4 : 2).replace(/^-(0\.0+)$/, '$1')} nats`;

function pivotSection(trace: OpenTrace, pivot: DocumentPivotLine, facts: ModelFacts): string[] {
  const token = (id: number) => (trace.reader ? `${tokenCode(trace.tokenText(id))} (${id})` : `token ${id}`);
  const head = `**Pivot**: ${token(pivot.desired)} desired over ${token(pivot.undesired)}; ${PROVENANCE[pivot.method]}, ${
    STATUS[pivot.status]
  }`;
  const known = facts.branches(pivot.token) ?? [];
  if (known === 'pending') return ['---', head, '*Completing from both tokens: hover again in a moment.*'];
  const branches = known.map((branch) => {
    const answer = branch.answer === null ? 'no answer' : `answer ${branch.answer}`;
    const verdict = branch.correct === null ? '' : branch.correct ? ', right' : ', wrong';
    const cut = branch.truncated ? ', cut at the token limit' : '';
    const text = branch.text.length > BRANCH_LENGTH ? `${branch.text.slice(0, BRANCH_LENGTH)}…` : branch.text;
    return `After ${tokenCode(branch.token.text)} (${branch.role}): ${answer}${verdict}${cut}\n${codeBlock(text)}`;
  });
  return ['---', head, ...branches];
}

const PROVENANCE = {
  prefix: 'where two traces part',
  branching: 'located by branching',
  human: 'marked by hand',
  imported: 'imported',
} as const;

const STATUS = {
  auto: 'not reviewed',
  accepted: 'accepted',
  edited: 'changed by hand',
  rejected: 'rejected: not trained on',
} as const;
