/**
 * Files of the reference implementation of CCA (arXiv 2512.16914). It keeps prefixes as text and re-encodes traces
 * (see the compatibility notes on its quirks), so ids read here are only as exact as the tokenizer's round trip.
 */
import { InputError } from '../errors.ts';
import { parseTarget } from './answers.ts';
import { Fields } from './fields.ts';
import { readJson } from './files.ts';
import type { JsonObject } from './jsonl.ts';
import { checkPrefix, type Encode, parseChoice } from './pairs.ts';
import type { Pair } from './records.ts';
import { parsePlace } from './traces.ts';

/** One record of a `_greedy.json` or `_non_greedy.json` file. */
export interface ReferenceTrace {
  prompt: string;
  prompt_ids: number[];
  completion_ids: number[];
  /** The reference's text of prompt and completion. */
  reasoning_trace: string;
  target: number;
  correct: boolean;
  template_id?: string;
  instance_id?: string;
}

/**
 * Reads a localisation file: a JSON array of `prefix` (text), `desired_token`, `undesired_token` (ids), `template_id`,
 * `instance_id`.
 *
 * @param encode prefix text to ids
 * @throws InputError naming file and index of a broken record
 */
export async function readLocalization(
  path: string,
  encode: Encode,
  options: { vocab?: number } = {},
): Promise<Pair[]> {
  return (await readRecords(path)).map((fields, index) => {
    const { desired_token, undesired_token, ...rest } = fields.record;
    return {
      ...rest,
      ...parsePlace(fields),
      id: `imported-${index + 1}`,
      prefix: checkPrefix(fields, 'prefix', encode(fields.string('prefix'))),
      ...parseChoice(fields, 'desired_token', 'undesired_token', options.vocab),
      method: 'imported',
      status: 'auto',
    };
  });
}

/**
 * Reads a trace file: `prompt`, `prompt_len`, `target`, `generated_tokens` (prompt and completion), `reasoning_trace`,
 * `correct_answer`, `template_id`, `instance_id`. The two files of a run correspond by index.
 *
 * @returns one entry per record; null where sampling found no counterpart (null tokens)
 * @throws InputError naming file and index of a broken record
 */
export async function readReferenceTraces(
  path: string,
  options: { vocab?: number } = {},
): Promise<(ReferenceTrace | null)[]> {
  return (await readRecords(path)).map((fields: Fields) => {
    if (!fields.has('generated_tokens')) return null;
    const ids = fields.tokenIds('generated_tokens', options.vocab);
    const length = fields.integer('prompt_len', 1, ids.length + 1);
    const target = fields.record.target;
    const number = typeof target === 'number' ? target : parseTarget(fields.string('target'));
    if (number === null)
      fields.fail('target', 'has no number', 'Give a text whose last number is the answer.');
    return {
      ...parsePlace(fields),
      prompt: fields.string('prompt'),
      prompt_ids: ids.slice(0, length),
      completion_ids: ids.slice(length),
      reasoning_trace: fields.string('reasoning_trace'),
      target: number,
      correct: fields.boolean('correct_answer'),
    };
  });
}

async function readRecords(path: string): Promise<Fields[]> {
  const records = await readJson(path);
  if (!Array.isArray(records))
    throw new InputError(path, 'is not a JSON array', 'Give the file that the reference wrote.');
  if (records.length === 0) throw new InputError(path, 'has no records', 'Give a file with records.');
  return records.map((record: unknown, index) => {
    const where = `${path}[${index}]`;
    if (typeof record !== 'object' || record === null || Array.isArray(record)) {
      throw new InputError(where, 'is not a JSON object', 'Give the file that the reference wrote.');
    }
    return new Fields(where, record as JsonObject);
  });
}
