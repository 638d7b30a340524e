import { extractAnswer } from '../../data/answers.ts';
import { collect } from '../../data/jsonl.ts';
import type { Decoding, Trace } from '../../data/records.ts';
import { type ReferenceTrace, readReferenceTraces } from '../../data/reference.ts';
import { readTraces } from '../../data/traces.ts';
import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';

/**
 * The files that hold a source of traces: traces.jsonl, or the two of the reference code, of which either may be named.
 * @throws InputError for a .json file that is not called as the reference calls them
 */
export function tracesFiles(source: string): { traces: string; sampled: string | null } {
  if (!source.endsWith('.json')) return { traces: source, sampled: null };
  const name = /^(.*?)_(?:non_)?greedy\.json$/s.exec(source)?.[1];
  if (name !== undefined) return { traces: `${name}_greedy.json`, sampled: `${name}_non_greedy.json` };
  const what = 'is neither JSONL nor called NAME_greedy.json';
  throw new InputError(source, what, 'Give traces.jsonl, or the two files that the reference code wrote.');
}

/**
 * Traces of a file in either format. Those of the reference code keep the verdicts that it gave.
 * @throws InputError for a broken record, or two files that do not correspond
 */
export async function readAnyTraces(model: Model, source: string): Promise<Trace[]> {
  const { traces: file, sampled } = tracesFiles(source);
  const options = { vocab: model.config.vocabSize };
  if (sampled === null) return collect(readTraces(file, options));
  const greedy = await readReferenceTraces(file, options);
  const others = await readReferenceTraces(sampled, options);
  if (others.length !== greedy.length) {
    const what = `has ${others.length} records where ${file} has ${greedy.length}`;
    throw new InputError(sampled, what, 'Give the two files of one run.');
  }
  const traces = greedy.flatMap((trace, i) =>
    trace === null ? [] : [asTrace(model, trace, i, { strategy: 'greedy' })],
  );
  const more = others.flatMap((trace, i) =>
    trace === null ? [] : [asTrace(model, trace, i, { strategy: 'sample' })],
  );
  return [...traces, ...more];
}

function asTrace(model: Model, trace: ReferenceTrace, index: number, decoding: Decoding): Trace {
  const { template_id, instance_id, target, prompt_ids, completion_ids, correct } = trace;
  const problem_id = `reference-${index + 1}`;
  const text = model.tokenizer.decode(completion_ids, { skipSpecialTokens: true });
  return {
    id: `${problem_id}/${decoding.strategy}`,
    problem_id,
    ...(template_id !== undefined && { template_id }),
    ...(instance_id !== undefined && { instance_id }),
    ...{ target, prompt_ids, completion_ids, decoding, text, answer: extractAnswer(text), correct },
    truncated: false,
  };
}
