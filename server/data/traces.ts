import { Fields, UniqueIds } from './fields.ts';
import { type JsonlOptions, readJsonl } from './jsonl.ts';
import type { Decoding, Trace } from './records.ts';
import { SPLITS } from './splits.ts';

export interface TokenOptions extends JsonlOptions {
  /** Number of rows of the model's embedding; ids must lie below it when given. */
  vocab?: number;
}

/**
 * Streams a file of traces (written with `JsonlWriter<Trace>`). Fields that the product does not know are kept;
 * `truncated` may be missing and is then false.
 *
 * @throws InputError `path:line` and the field for a broken record or a duplicate id
 */
export async function* readTraces(path: string, options: TokenOptions = {}): AsyncGenerator<Trace> {
  const ids = new UniqueIds();
  for await (const { where, record } of readJsonl(path, options)) {
    const trace = parseTrace(new Fields(where, record), options.vocab);
    ids.add(trace.id, where);
    yield trace;
  }
}

function parseTrace(fields: Fields, vocab: number | undefined): Trace {
  const prompt_ids = fields.tokenIds('prompt_ids', vocab);
  if (prompt_ids.length === 0)
    fields.fail('prompt_ids', 'is an empty array', 'Give the tokens of the prompt.');
  if (fields.record.answer === undefined)
    fields.fail('answer', 'is missing', 'Give the number, or null for no answer.');
  return {
    ...fields.record,
    ...parsePlace(fields),
    id: fields.id('id'),
    problem_id: fields.id('problem_id'),
    target: fields.number('target'),
    prompt_ids,
    completion_ids: fields.tokenIds('completion_ids', vocab),
    decoding: parseDecoding(fields.object('decoding')),
    text: fields.string('text'),
    answer: fields.has('answer') ? fields.number('answer') : null,
    correct: fields.boolean('correct'),
    truncated: fields.has('truncated') && fields.boolean('truncated'),
  };
}

/** The optional fields that say which problem a record belongs to. */
export function parsePlace(fields: Fields): Pick<Trace, 'template_id' | 'instance_id' | 'split'> {
  return {
    ...(fields.has('template_id') && { template_id: fields.id('template_id') }),
    ...(fields.has('instance_id') && { instance_id: fields.id('instance_id') }),
    ...(fields.has('split') && { split: fields.oneOf('split', SPLITS) }),
  };
}

function parseDecoding(fields: Fields): Decoding {
  const strategy = fields.oneOf('strategy', ['greedy', 'sample']);
  if (strategy === 'sample') fields.number('temperature');
  if (fields.has('temperature') && fields.number('temperature') < 0) {
    fields.fail('temperature', 'is negative', 'Give a temperature >= 0.');
  }
  if (fields.has('top_p') && !(fields.number('top_p') > 0 && fields.number('top_p') <= 1)) {
    fields.fail('top_p', `is ${fields.record.top_p}`, 'Give a number above 0, at most 1.');
  }
  if (fields.has('top_k')) fields.integer('top_k', 0);
  if (fields.has('seed')) fields.integer('seed', 0);
  return fields.record as unknown as Decoding;
}
