import { type Doc, readAnswerDocs, readChoiceDocs } from '../../data/benchmark-docs.ts';
import { strip } from '../python.ts';
import { argmax, type ChoiceTask, type GenerationTask, mean } from './task.ts';

const own = {
  shots: 0,
  sampler: 'random',
  text: (doc: Doc) => doc.prompt as string,
} as const;

/** One's own multiple choice; choices follow the prompt as they are. acc_norm is by characters, acc_bytes by bytes. */
export const multipleChoice: ChoiceTask = {
  ...own,
  name: 'multiple_choice',
  version: 1,
  definition: 'multiple_choice of lm-evaluation-harness with an empty target_delimiter',
  data: 'JSONL of prompt, choices, label',
  output: 'multiple_choice',
  metrics: [mean('acc'), mean('acc_norm'), mean('acc_bytes')],
  read: readChoiceDocs,
  delimiter: '',
  answer: (doc) => (doc.choices as string[])[doc.label as number]!,
  target: (doc) => doc.label as number,
  choices: (doc) => doc.choices as string[],
  score: (logLikelihoods, doc) => {
    const choices = doc.choices as string[];
    const best = (length: (choice: string) => number) =>
      Number(argmax(logLikelihoods.map((ll, i) => ll / length(choices[i]!))) === doc.label);
    return {
      acc: best(() => 1),
      acc_norm: best((choice) => [...choice].length),
      acc_bytes: best((choice) => Buffer.byteLength(choice)),
    };
  },
};

const answers = (doc: Doc): string[] => [doc.answer as string | string[]].flat();

/** One's own open questions: the completion up to the end of the line, white space at its ends aside. */
export const exactMatch: GenerationTask = {
  ...own,
  name: 'exact_match',
  version: 1,
  definition: 'generate_until of lm-evaluation-harness with exact_match',
  data: 'JSONL of prompt, answer (a text or a list)',
  output: 'generate_until',
  metrics: [mean('exact_match')],
  read: readAnswerDocs,
  delimiter: ' ',
  answer: (doc) => answers(doc)[0]!,
  target: answers,
  until: ['\n'],
  filters: [{ name: 'remove_whitespace', apply: strip }],
  score: (filtered, doc) => ({ exact_match: Number(answers(doc).includes(filtered)) }),
};
