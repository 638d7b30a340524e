import { Fields, UniqueIds } from './fields.ts';
import { readJsonl } from './jsonl.ts';
import type { Pair } from './records.ts';
import { parsePlace, type TokenOptions } from './traces.ts';

/** Turns text into token ids exactly as the model's tokenizer does for a prompt (special tokens included). */
export type Encode = (text: string) => number[];
/** Turns token ids into text. */
export type Decode = (ids: number[]) => string;

const METHODS = ['prefix', 'branching', 'human', 'imported'] as const satisfies readonly Pair['method'][];
const STATUSES = ['auto', 'accepted', 'edited', 'rejected'] as const satisfies readonly Pair['status'][];

/**
 * Streams a file of pairs (written with `JsonlWriter<Pair>`). Fields that the product does not know are kept. Pairs
 * that come from elsewhere may lack `id` (then `pair-<line>`), `method` (imported) and `status` (auto).
 *
 * @throws InputError `path:line` and the field for a broken record or a duplicate id
 */
export async function* readPairs(path: string, options: TokenOptions = {}): AsyncGenerator<Pair> {
  const ids = new UniqueIds();
  for await (const { where, line, record } of readJsonl(path, options)) {
    const fields = new Fields(where, record);
    const vocab = options.vocab;
    const pair: Pair = {
      ...record,
      ...parsePlace(fields),
      ...(fields.has('problem_id') && { problem_id: fields.id('problem_id') }),
      ...(fields.has('trace') && { trace: fields.id('trace') }),
      id: fields.has('id') ? fields.id('id') : `pair-${line}`,
      prefix: checkPrefix(fields, 'prefix', fields.tokenIds('prefix', vocab)),
      ...parseChoice(fields, 'desired', 'undesired', vocab),
      method: fields.has('method') ? fields.oneOf('method', METHODS) : 'imported',
      status: fields.has('status') ? fields.oneOf('status', STATUSES) : 'auto',
    };
    ids.add(pair.id, where);
    yield pair;
  }
}

/** A prefix must have a last position: that is where masks act. */
export function checkPrefix(fields: Fields, name: string, prefix: number[]): number[] {
  if (prefix.length === 0) fields.fail(name, 'has no tokens', 'Give the tokens before the pivot.');
  return prefix;
}

/** The two tokens of a pair, from the fields of these names. */
export function parseChoice(
  fields: Fields,
  desiredName: string,
  undesiredName: string,
  vocab: number | undefined,
): Pick<Pair, 'desired' | 'undesired'> {
  const desired = fields.integer(desiredName, 0, vocab);
  const undesired = fields.integer(undesiredName, 0, vocab);
  if (desired === undesired) {
    fields.fail(
      undesiredName,
      `is the desired token too (${desired})`,
      'Give two different tokens, or drop the pair.',
    );
  }
  return { desired, undesired };
}
