import { type Doc, readQuestionDocs } from '../../data/benchmark-docs.ts';
import { strip } from '../python.ts';
import { type GenerationTask, mean } from './task.ts';

/** A filter's word for "no match" in the harness. */
const INVALID = '[invalid]';

/** Text that the metric strikes out of answers: commas, dollar signs, all before the last "#### ", a full stop at the end. */
function bare(text: string): string {
  return text
    .replace(/,/g, '')
    .replace(/\$/g, '')
    .replace(/[\s\S]*#### /g, '')
    .replace(/\.(?=\n?$)/g, '')
    .toLowerCase();
}

/** GSM8K (Cobbe et al., arXiv 2110.14168) as the harness's gsm8k, version 3: 5 worked examples, greedy, two filters. */
export const gsm8k: GenerationTask = {
  name: 'gsm8k',
  version: 3,
  definition: 'lm-evaluation-harness gsm8k',
  data: 'JSONL of question and answer: GSM8K, or GSM-Symbolic instances',
  output: 'generate_until',
  metrics: [mean('exact_match')],
  shots: 5,
  sampler: 'random',
  read: readQuestionDocs,
  text: (doc) => `Question: ${doc.question}\nAnswer:`,
  delimiter: ' ',
  answer: (doc) => doc.answer as string,
  target: (doc) => doc.answer as string,
  until: ['Question:', '</s>', '<|im_end|>'],
  filters: [
    { name: 'strict-match', apply: (text) => strip(/#### (-?[0-9.,]+)/.exec(text)?.[1] ?? INVALID) },
    {
      name: 'flexible-extract',
      apply: (text) => strip(text.match(/-?[$0-9.,]{2,}|-?[0-9]+/g)?.at(-1) ?? INVALID),
    },
  ],
  score: (filtered: string, doc: Doc) => ({
    exact_match: Number(bare(filtered) === bare(doc.answer as string)),
  }),
};
