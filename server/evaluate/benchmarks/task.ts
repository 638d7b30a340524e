/** What a benchmark is: how a document becomes requests, and what the answers are worth. */
import type { Doc } from '../../data/benchmark-docs.ts';

/** How values of documents become one figure. */
export type Aggregation = 'mean' | 'weighted_perplexity' | 'bits_per_byte';

export interface Metric {
  name: string;
  aggregation: Aggregation;
  higherIsBetter: boolean;
}

/** A document's value: a score, or a log-likelihood with the units (words, bytes, tokens) that it is shared over. */
export type MetricValue = number | readonly [logLikelihood: number, units: number];

interface Common {
  /** As lm-evaluation-harness names it, where it has the task. */
  name: string;
  /** Version of the harness's definition that this one equals; of our own for other tasks. */
  version: number;
  /** Where the definition is from. */
  definition: string;
  /** What the data file holds, for the help and messages. */
  data: string;
  metrics: readonly Metric[];
  /** Worked examples unless told otherwise. */
  shots: number;
  /** How the harness picks them: anew for every document by Python's generator, or the first ones of the file. */
  sampler: 'random' | 'first';
  read(file: string): Promise<Doc[]>;
  /** The part of a group of tasks that a document belongs to: MMLU's subjects. */
  part?(doc: Doc): string;
  /** A line before everything else. */
  description?(doc: Doc): string;
  /** The question as the model sees it. */
  text(doc: Doc): string;
  /** Between a question and its answer. */
  delimiter: string;
  /** The answer of a worked example. */
  answer(doc: Doc): string;
  /** What is right, as the samples tell it. */
  target(doc: Doc): string | number | readonly string[];
}

/** Greedy completions up to a stop text. */
export interface GenerationTask extends Common {
  output: 'generate_until';
  until: readonly string[];
  /** Ways to read a completion; each is scored by itself. */
  filters: readonly { name: string; apply(completion: string): string }[];
  score(filtered: string, doc: Doc): Record<string, number>;
}

/** Log-likelihoods of choices after the same context. */
export interface ChoiceTask extends Common {
  output: 'multiple_choice';
  choices(doc: Doc): readonly string[];
  score(logLikelihoods: readonly number[], doc: Doc): Record<string, number>;
}

/** Log-likelihood of whole texts. */
export interface TextTask extends Common {
  output: 'loglikelihood_rolling';
  /** Words and UTF-8 bytes that a text counts as. */
  count(doc: Doc): { words: number; bytes: number };
}

export type BenchmarkTask = GenerationTask | ChoiceTask | TextTask;

export const mean = (name: string): Metric => ({ name, aggregation: 'mean', higherIsBetter: true });

/** Index of the first largest value (numpy's argmax). */
export function argmax(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
