import { type CompletionItem, CompletionItemKind } from 'vscode-languageserver-types';
import type { DocumentPivotLine } from '../data/trace-document.ts';
import { HEADER_KEYS, type HeaderKey } from '../data/trace-header.ts';
import type { Position, Range } from '../protocol/message.ts';
import type { OpenTrace } from './open-trace.ts';

/** What every key of a header means. */
const ABOUT: Readonly<Record<HeaderKey, string>> = {
  trace: "The document's format, 1.",
  id: "The trace's id, as in its run's traces.jsonl.",
  problem: 'The problem that the trace works on.',
  template: 'The template that the problem is an instance of.',
  instance: "The problem's instance of its template.",
  split: 'The part of the problem set: train, val or test.',
  target: 'The right answer.',
  answer:
    'The answer of the completion: its last number up to the answer sentence; `none` where it has no number.',
  correct: 'Whether the answer is the target.',
  truncated: 'Whether the completion ended at the token limit.',
  decoding: 'How it was decoded: `greedy`, or `sample` with temperature, top_p, top_k and seed.',
  model: 'The model folder, relative to this file.',
  run: 'The run folder that the trace came from, relative to this file.',
  excluded: '`true` takes the trace out of training.',
  pivot:
    'After the tokens before `token`, `desired` leads to the right answer and `undesired` to a wrong one. `token` counts ' +
    'prompt and completion ids from 0. `status`: auto (located, not reviewed), accepted, edited, or rejected, which is not ' +
    'trained on. What follows # is derived.',
  prompt_ids: 'Token ids of the prompt. They are the truth; the text below is derived from them.',
  completion_ids: 'Token ids of the completion. They are the truth; the text below is derived from them.',
};

const isKey = (key: string): key is HeaderKey => (HEADER_KEYS as readonly string[]).includes(key);

/** What a header says at a position: about a key, and on a pivot's line the pivot. */
export function headerHover(
  trace: OpenTrace,
  position: Position,
): { text: string; range: Range; pivot: DocumentPivotLine | null } | null {
  const at = trace.offsetAt(position);
  const line = trace.document.header.find(({ start, end }) => at >= start && at <= end);
  if (!line || !isKey(line.key)) return null;
  const pivot = trace.document.pivots.find((one) => one.at === line) ?? null;
  const range = trace.range({ start: line.start, end: line.start + line.key.length });
  return { text: `**${line.key}**: ${ABOUT[line.key]}`, range, pivot };
}

const VALUES: Partial<Record<HeaderKey, readonly string[]>> = {
  split: ['train', 'val', 'test'],
  correct: ['true', 'false'],
  truncated: ['true', 'false'],
  excluded: ['true', 'false'],
  decoding: ['greedy', 'sample'],
};

/** Keys that the header lacks, and the values of those that have few. */
export function headerCompletion(trace: OpenTrace, position: Position): CompletionItem[] {
  const { document } = trace;
  const at = trace.offsetAt(position);
  if (at < document.headerStart || at > document.headerEnd) return [];
  const line = document.header.find(({ start, end }) => at >= start && at <= end);
  if (line && isKey(line.key) && at >= line.valueStart) {
    return (VALUES[line.key] ?? []).map((label) => ({ label, kind: CompletionItemKind.Value }));
  }
  const typed = trace.text.slice(line?.start ?? at, at);
  if (!/^\w*$/.test(typed)) return [];
  const there = new Set(document.header.map(({ key }) => key));
  return HEADER_KEYS.filter((key) => key === 'pivot' || !there.has(key)).map((key, order) => ({
    label: key,
    kind: CompletionItemKind.Property,
    documentation: { kind: 'markdown', value: ABOUT[key] },
    insertText:
      key === 'pivot' ? 'pivot: token= undesired= desired= method=human status=accepted' : `${key}: `,
    sortText: String(order).padStart(2, '0'),
  }));
}
