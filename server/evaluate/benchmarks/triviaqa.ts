import { type Doc, readTriviaDocs } from '../../data/benchmark-docs.ts';
import { matchesTrivia } from '../normalize.ts';
import { strip } from '../python.ts';
import { type GenerationTask, mean } from './task.ts';

const aliases = (doc: Doc): string[] => (doc.answer as { aliases: string[] }).aliases;

/** Python's string.punctuation. */
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
const bare = (text: string): string => text.toLowerCase().replace(PUNCTUATION, '');

/**
 * TriviaQA without context (Joshi et al., arXiv 1705.03551) as the harness's triviaqa, version 3: exact_match with any
 * alias, case and punctuation aside. normalized_match is beside it: the match of TriviaQA's own script, which also drops
 * articles.
 */
export const triviaqa: GenerationTask = {
  name: 'triviaqa',
  version: 3,
  definition: 'lm-evaluation-harness triviaqa; normalized_match: the evaluation script of TriviaQA',
  data: 'JSON as published (Data), or JSONL of question and answer.aliases',
  output: 'generate_until',
  metrics: [mean('exact_match'), mean('normalized_match')],
  shots: 0,
  sampler: 'random',
  read: readTriviaDocs,
  text: (doc) => `Question: ${doc.question}?\nAnswer:`,
  delimiter: ' ',
  answer: (doc) => aliases(doc)[0]!,
  target: aliases,
  until: ['\n', '.', ','],
  filters: [{ name: 'remove_whitespace', apply: strip }],
  score: (filtered, doc) => ({
    exact_match: Number(aliases(doc).some((alias) => bare(alias) === bare(filtered))),
    normalized_match: Number(matchesTrivia(filtered, aliases(doc))),
  }),
};
