/** One line of a samples file, with the fields and in the form that lm-evaluation-harness writes (--log_samples). */
import { createHash } from 'node:crypto';
import type { Doc } from '../../data/benchmark-docs.ts';
import type { Likelihood } from '../likelihood.ts';
import { str } from '../python.ts';
import type { MetricValue } from './task.ts';

/** Numbers and truth values are texts there, as Python prints them. */
export type Response = string | readonly [logLikelihood: string, greedy: string];

export interface Sample {
  doc_id: number;
  doc: Doc;
  target: string;
  /** By request: the prompt, and the continuation or the decoding settings. */
  arguments: Record<string, Record<string, unknown>>;
  /** By request, by repetition (of which there is one). */
  resps: Response[][];
  filtered_resps: Response[];
  filter: string;
  metrics: string[];
  /** SHA-256 of the document's JSON, of the first prompt and of the target, in hexadecimal. */
  doc_hash: string;
  prompt_hash: string;
  target_hash: string;
  /** The value of each metric, by its name. */
  [metric: string]: unknown;
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

export function makeSample(
  id: number,
  doc: Doc,
  target: string | number | readonly string[],
  requests: readonly (readonly unknown[])[],
  responses: readonly Response[],
  outcome: { filter: string; filtered: readonly Response[]; values: Record<string, MetricValue> },
): Sample {
  const named = requests.map((args, i) => [
    `gen_args_${i}`,
    Object.fromEntries(args.map((value, j) => [`arg_${j}`, value])),
  ]);
  return {
    doc_id: id,
    doc,
    target: str(target),
    arguments: Object.fromEntries(named),
    resps: responses.map((response) => [response]),
    filtered_resps: [...outcome.filtered],
    filter: outcome.filter,
    metrics: Object.keys(outcome.values),
    doc_hash: sha256(JSON.stringify(doc, null, 2)),
    prompt_hash: sha256(String(requests[0]![0])),
    target_hash: sha256(str(target)),
    ...outcome.values,
  };
}

/** A float and a truth value as Python prints them. */
export function likelihoodResponse({ logLikelihood, greedy }: Likelihood): Response {
  return [floatText(logLikelihood), greedy ? 'True' : 'False'];
}

export const floatText = (value: number): string =>
  Number.isInteger(value) ? `${value}.0` : String(value).replace(/e-(\d)$/, 'e-0$1');
