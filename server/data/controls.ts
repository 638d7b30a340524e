import { InputError } from '../errors.ts';
import { Fields } from './fields.ts';
import { readJsonl } from './jsonl.ts';
import type { ControlItem } from './records.ts';

/**
 * Reads side-effect items: `prompt` and `answer` (a text or a list of accepted texts), or `prompt`, `choices` and
 * `label` (index of the right choice). Fields that the product does not know are kept.
 *
 * @throws InputError `path:line` for a broken item
 */
export async function readControls(path: string): Promise<ControlItem[]> {
  const items: ControlItem[] = [];
  for await (const { where, record } of readJsonl(path)) items.push(parseControl(new Fields(where, record)));
  return items;
}

function parseControl(fields: Fields): ControlItem {
  const base = { ...fields.record, prompt: fields.string('prompt') };
  if (fields.has('suite')) fields.string('suite');
  if (fields.has('compare')) fields.oneOf('compare', ['text', 'trivia']);
  const open = fields.has('answer');
  if (open === fields.has('choices')) {
    const what = open ? 'has both "answer" and "choices"' : 'has neither "answer" nor "choices"';
    throw new InputError(fields.where, what, 'Give "answer", or "choices" with "label".');
  }
  return open ? { ...base, answer: answers(fields) } : { ...base, ...choices(fields) };
}

function answers(fields: Fields): string | string[] {
  const list = Array.isArray(fields.record.answer) ? fields.strings('answer') : [fields.string('answer')];
  if (list.length === 0) fields.fail('answer', 'is an empty array', 'Give at least one answer.');
  if (list.some((text) => text.trim() === ''))
    fields.fail('answer', 'is blank', 'Give the text to compare with.');
  return fields.record.answer as string | string[];
}

function choices(fields: Fields): { choices: string[]; label: number } {
  const list = fields.strings('choices');
  if (list.length < 2) fields.fail('choices', `has ${list.length}`, 'Give two choices or more.');
  if (list.includes('')) fields.fail('choices', 'has an empty choice', 'Give a text for each choice.');
  return { choices: list, label: fields.integer('label', 0, list.length) };
}

/** Items by suite (`suite` field; items without one form `controls`). */
export function bySuite<T extends { suite?: unknown }>(items: readonly T[]): Map<string, T[]> {
  const suites = new Map<string, T[]>();
  for (const item of items) {
    const name = typeof item.suite === 'string' ? item.suite : 'controls';
    suites.set(name, [...(suites.get(name) ?? []), item]);
  }
  return suites;
}
