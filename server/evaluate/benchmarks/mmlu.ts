import { type Doc, readMmluDocs } from '../../data/benchmark-docs.ts';
import { strip } from '../python.ts';
import { argmax, type ChoiceTask, mean } from './task.ts';

const LETTERS = ['A', 'B', 'C', 'D'];

/** MMLU (Hendrycks et al., arXiv 2009.03300) as the harness's mmlu_SUBJECT, version 1, with the usual 5 examples. */
export const mmlu: ChoiceTask = {
  name: 'mmlu',
  version: 1,
  definition: 'lm-evaluation-harness mmlu_SUBJECT (group mmlu, version 2)',
  data: 'CSV as published (the file name is the subject), JSONL of question, subject, choices, answer, or a folder of these',
  output: 'multiple_choice',
  metrics: [mean('acc')],
  shots: 5,
  sampler: 'first',
  read: readMmluDocs,
  part: (doc) => doc.subject as string,
  description: (doc) =>
    `The following are multiple choice questions (with answers) about ${(doc.subject as string).replaceAll('_', ' ')}.\n\n`,
  text: (doc) => {
    const choices = (doc.choices as string[]).map((choice, i) => `${LETTERS[i]}. ${choice}\n`);
    return `${strip(doc.question as string)}\n${choices.join('')}Answer:`;
  },
  delimiter: ' ',
  answer: (doc) => LETTERS[doc.answer as number]!,
  target: (doc) => doc.answer as number,
  choices: () => LETTERS,
  score: (logLikelihoods, doc: Doc) => ({ acc: Number(argmax(logLikelihoods) === doc.answer) }),
};
