/**
 * Benchmark files as the documents that lm-evaluation-harness sees: the fields of the data set's rows on the Hugging Face
 * hub. Files are read in the form in which the data sets were published, and as JSONL of those rows.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { readMmlu, readTruthfulChoices, triviaEntries } from './benchmarks.ts';
import { Fields } from './fields.ts';
import { readError, readText } from './files.ts';
import { type JsonObject, readJsonl } from './jsonl.ts';

/** One document of a benchmark. */
export type Doc = Readonly<JsonObject>;

/** Rows of a JSONL file, each looked at by `check`, which may complete it. */
async function rows(file: string, check: (fields: Fields) => JsonObject): Promise<Doc[]> {
  const docs: Doc[] = [];
  for await (const { where, record } of readJsonl(file)) docs.push(check(new Fields(where, record)));
  return docs;
}

/** A question with a worked answer: GSM8K, GSM-Symbolic instances, own JSONL. A number as the answer becomes a text. */
export function readQuestionDocs(file: string): Promise<Doc[]> {
  return rows(file, (fields) => {
    fields.string('question');
    const answer =
      typeof fields.record.answer === 'number' ? String(fields.record.answer) : fields.string('answer');
    return { ...fields.record, answer };
  });
}

const LETTERS = ['A', 'B', 'C', 'D'];

/**
 * MMLU: rows of question, subject, choices and answer (0 to 3, or a letter); or the published CSV files, whose subject is
 * their name. A folder gives all of its files.
 */
export async function readMmluDocs(source: string): Promise<Doc[]> {
  const docs: Doc[] = [];
  for (const file of await filesOf(source)) {
    const subject = path.parse(file).name.replace(/_(test|val|dev)$/, '');
    if (/\.csv$/i.test(file)) {
      for (const { question, choices, label } of await readMmlu(file))
        docs.push({ question, subject, choices, answer: label });
    } else docs.push(...(await rows(file, (fields) => mmluRow(fields, subject))));
  }
  return docs;
}

function mmluRow(fields: Fields, fallback: string): JsonObject {
  fields.string('question');
  const subject = fields.has('subject') ? fields.string('subject') : fallback;
  if (!/^\w+$/.test(subject))
    fields.fail('subject', `is ${JSON.stringify(subject)}`, 'Give letters, digits and underscores.');
  const choices = fields.strings('choices');
  if (choices.length !== 4) fields.fail('choices', `has ${choices.length}`, 'Give four choices.');
  const letter = LETTERS.indexOf(String(fields.record.answer));
  const answer = letter >= 0 ? letter : fields.integer('answer', 0, 4);
  return { ...fields.record, subject, answer };
}

async function filesOf(source: string): Promise<string[]> {
  try {
    if (!(await stat(source)).isDirectory()) return [source];
    const names = (await readdir(source)).filter((name) => /\.(csv|jsonl)$/i.test(name)).sort();
    if (names.length > 0) return names.map((name) => path.join(source, name));
  } catch (error) {
    throw readError(source, error);
  }
  throw new InputError(source, 'has no .csv or .jsonl file', 'Give the folder of the data set.');
}

/** Every file that a source of documents consists of. */
export const benchmarkFiles = filesOf;

/** TriviaQA: the published JSON (Data[]), or rows of question and answer.aliases. */
export async function readTriviaDocs(file: string): Promise<Doc[]> {
  if (/\.json$/i.test(file)) {
    return (await triviaEntries(file)).map((fields, index) => {
      const answer = fields.object('Answer');
      const list = (name: string) => (answer.has(name) ? answer.strings(name) : []);
      const value = answer.string('Value');
      const aliases = list('Aliases');
      return {
        question: fields.string('Question'),
        question_id: fields.has('QuestionId') ? fields.id('QuestionId') : String(index),
        answer: {
          aliases: aliases.length > 0 ? aliases : [value],
          normalized_aliases: list('NormalizedAliases'),
          value,
        },
      };
    });
  }
  return rows(file, (fields) => {
    fields.string('question');
    const answer = fields.object('answer');
    if (answer.strings('aliases').length === 0)
      answer.fail('aliases', 'is empty', 'Give at least one answer.');
    return fields.record;
  });
}

/** TruthfulQA's multiple choice: mc_task.json, or rows of question, mc1_targets and mc2_targets {choices, labels}. */
export async function readTruthfulDocs(file: string): Promise<Doc[]> {
  if (/\.json$/i.test(file)) {
    return (await readTruthfulChoices(file)).map(({ question, mc1, mc2 }) => ({
      question,
      mc1_targets: { choices: mc1.choices, labels: mc1.choices.map((_, i) => Number(i === mc1.label)) },
      mc2_targets: { choices: mc2.choices, labels: mc2.right.map(Number) },
    }));
  }
  return rows(file, (fields) => {
    fields.string('question');
    for (const name of ['mc1_targets', 'mc2_targets']) checkTargets(fields, name);
    return fields.record;
  });
}

function checkTargets(fields: Fields, name: string): void {
  const targets = fields.object(name);
  const choices = targets.strings('choices');
  const { labels } = targets.record;
  if (!Array.isArray(labels) || labels.length !== choices.length || labels.some((l) => l !== 0 && l !== 1)) {
    targets.fail('labels', 'is not a 0 or 1 for every choice', 'Give as many labels as choices.');
  }
  if (choices.length === 0 || choices.includes(''))
    targets.fail('choices', 'is empty or has an empty choice', 'Give texts.');
  const right = (labels as number[]).filter((l) => l === 1).length;
  if (right === 0 || (name === 'mc1_targets' && right > 1)) {
    const wanted = name === 'mc1_targets' ? 'one choice' : 'at least one choice';
    targets.fail('labels', `marks ${right} choices`, `Mark ${wanted} with 1.`);
  }
}

/** Texts for perplexity: JSONL whose records have the field, or any other file as one text. */
export async function readTextDocs(file: string, field: 'text' | 'page'): Promise<Doc[]> {
  if (!/\.jsonl$/i.test(file)) {
    const text = await readText(file);
    if (text === '') throw new InputError(file, 'is empty', 'Give a text.');
    return [{ [field]: text }];
  }
  return rows(file, (fields) => {
    if (fields.string(field) === '') fields.fail(field, 'is empty', 'Give a text.');
    return fields.record;
  });
}

/** Own multiple choice: prompt, choices (as they follow the prompt, a leading space included) and label. */
export function readChoiceDocs(file: string): Promise<Doc[]> {
  return rows(file, (fields) => {
    prompt(fields);
    const choices = fields.strings('choices');
    if (choices.length < 2 || choices.includes(''))
      fields.fail('choices', 'lacks two texts', 'Give two choices or more.');
    fields.integer('label', 0, choices.length);
    return fields.record;
  });
}

/** Own open questions: prompt, and answer as a text or a list of accepted texts. */
export function readAnswerDocs(file: string): Promise<Doc[]> {
  return rows(file, (fields) => {
    prompt(fields);
    const answers = Array.isArray(fields.record.answer)
      ? fields.strings('answer')
      : [fields.string('answer')];
    if (answers.length === 0 || answers.includes(''))
      fields.fail('answer', 'is empty', 'Give at least one answer.');
    return fields.record;
  });
}

function prompt(fields: Fields): void {
  if (fields.string('prompt') === '') fields.fail('prompt', 'is empty', 'Give the text that the model sees.');
}
