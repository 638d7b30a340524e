/** Readers of published benchmarks (MMLU, TriviaQA, TruthfulQA) into neutral records; prompts are made elsewhere. */
import { parse } from 'csv-parse/sync';
import { InputError } from '../errors.ts';
import { Fields } from './fields.ts';
import { readJson, readText } from './files.ts';
import type { JsonObject } from './jsonl.ts';

/** A question with its choices, one of them right. */
export interface ChoiceQuestion {
  id: string;
  question: string;
  choices: string[];
  /** Index of the right choice. */
  label: number;
}

/** A question with every accepted answer. */
export interface RecallQuestion {
  id: string;
  question: string;
  answers: string[];
}

/** A TruthfulQA question of the generation task. */
export interface TruthfulQuestion {
  id: string;
  /** Adversarial or Non-Adversarial. */
  type: string;
  category: string;
  question: string;
  best: string;
  correct: string[];
  incorrect: string[];
  source: string;
}

/** A TruthfulQA question of the multiple-choice task: one right choice (mc1), and several (mc2). */
export interface TruthfulChoices {
  id: string;
  question: string;
  mc1: { choices: string[]; label: number };
  mc2: { choices: string[]; right: boolean[] };
}

const LETTERS = ['A', 'B', 'C', 'D'];

/**
 * MMLU (hendrycks/test): CSV without a header; question, A, B, C, D, answer letter.
 *
 * @throws InputError `path:line` for a row of another shape
 */
export async function readMmlu(path: string): Promise<ChoiceQuestion[]> {
  const rows = parseCsv(path, await readText(path));
  return rows.map(({ cells, where }, index) => {
    const [question, a, b, c, d, letter] = cells;
    const label = LETTERS.indexOf(letter?.trim() ?? '');
    if (cells.length !== 6 || label < 0) {
      const what = cells.length === 6 ? `has the answer "${letter}"` : `has ${cells.length} columns`;
      throw new InputError(
        where,
        what,
        'Give rows of question, A, B, C, D and the letter of the answer, without a header.',
      );
    }
    return { id: String(index), question: question!, choices: [a!, b!, c!, d!], label };
  });
}

/** The records of TriviaQA's JSON: Data[]. */
export async function triviaEntries(path: string): Promise<Fields[]> {
  return entries(path, (await readJson(path)) as { Data?: unknown }, 'Data');
}

/** TriviaQA's JSON: Data[].Question, Data[].Answer.{Value, Aliases, NormalizedAliases}. */
export async function readTriviaQa(path: string): Promise<RecallQuestion[]> {
  return (await triviaEntries(path)).map((fields, index) => {
    const answer = fields.object('Answer');
    const lists = ['Aliases', 'NormalizedAliases'].map((name) =>
      answer.has(name) ? answer.strings(name) : [],
    );
    return {
      id: fields.has('QuestionId') ? fields.id('QuestionId') : String(index),
      question: fields.string('Question'),
      answers: [...new Set([answer.string('Value'), ...lists.flat()])],
    };
  });
}

const TRUTHFUL_COLUMNS = [
  'Type',
  'Category',
  'Question',
  'Best Answer',
  'Correct Answers',
  'Incorrect Answers',
  'Source',
];

/** TruthfulQA.csv: Type, Category, Question, Best Answer, Correct Answers, Incorrect Answers, Source; lists split at ";". */
export async function readTruthfulQa(path: string): Promise<TruthfulQuestion[]> {
  const [header, ...rows] = parseCsv(path, await readText(path));
  // Columns are found by name: later editions of the file have more of them.
  const columns = TRUTHFUL_COLUMNS.map((name) => {
    const column = header!.cells.indexOf(name);
    if (column < 0)
      throw new InputError(header!.where, `has no column "${name}"`, 'Give TruthfulQA.csv with its header.');
    return column;
  });
  if (rows.length === 0) throw new InputError(path, 'has no rows', 'Give TruthfulQA.csv with its questions.');
  return rows.map(({ cells, where }, index) => {
    if (cells.length !== header!.cells.length) {
      throw new InputError(
        where,
        `has ${cells.length} columns, the header ${header!.cells.length}`,
        'Mend the row.',
      );
    }
    const [type, category, question, best, correct, incorrect, source] = columns.map((c) =>
      cells[c]!.trim(),
    ) as [string, string, string, string, string, string, string];
    return {
      id: String(index),
      type,
      category,
      question,
      best,
      correct: list(correct),
      incorrect: list(incorrect),
      source,
    };
  });
}

/** TruthfulQA's mc_task.json: question, mc1_targets and mc2_targets as {choice: 0 or 1}. */
export async function readTruthfulChoices(path: string): Promise<TruthfulChoices[]> {
  const records = entries(path, { mc_task: await readJson(path) }, 'mc_task');
  return records.map((fields, index) => {
    const mc1 = targets(fields, 'mc1_targets');
    const mc2 = targets(fields, 'mc2_targets');
    const right = mc1.right.filter(Boolean).length;
    if (right !== 1) fields.fail('mc1_targets', `has ${right} right choices`, 'Mark one choice with 1.');
    return {
      id: String(index),
      question: fields.string('question'),
      mc1: { choices: mc1.choices, label: mc1.right.indexOf(true) },
      mc2,
    };
  });
}

function targets(fields: Fields, name: string): { choices: string[]; right: boolean[] } {
  const marks = Object.entries(fields.object(name).record);
  if (marks.length < 2 || marks.some(([, mark]) => mark !== 0 && mark !== 1)) {
    fields.fail(
      name,
      'is not a list of choices with 0 or 1',
      'Give {choice: 0 or 1} for two choices or more.',
    );
  }
  return { choices: marks.map(([choice]) => choice), right: marks.map(([, mark]) => mark === 1) };
}

function list(cell: string): string[] {
  return cell
    .split(';')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function entries(path: string, container: { [name: string]: unknown } | null, name: string): Fields[] {
  const records = container?.[name];
  if (!Array.isArray(records) || records.length === 0) {
    throw new InputError(path, `has no array of questions (${name})`, 'Give the file as it was published.');
  }
  return records.map((record: unknown, index) => {
    const where = `${path} ${name}[${index}]`;
    if (typeof record !== 'object' || record === null || Array.isArray(record)) {
      throw new InputError(where, 'is not a JSON object', 'Give the file as it was published.');
    }
    return new Fields(where, record as JsonObject);
  });
}

function parseCsv(path: string, text: string): { cells: string[]; where: string }[] {
  let rows: { record: string[]; info: { lines: number } }[];
  try {
    // With info, `lines` is the line that a record ends on.
    // A row past this is no question but a file of another kind.
    const limits = { max_record_size: 2 ** 20 } as const;
    const options = { info: true, relax_column_count: true, skip_empty_lines: true, ...limits } as const;
    rows = parse(text, options) as unknown as typeof rows;
  } catch (error) {
    const { lines, message } = error as { lines?: number; message: string };
    throw new InputError(
      lines ? `${path}:${lines}` : path,
      `is not valid CSV (${message})`,
      'Mend or replace the file.',
    );
  }
  if (rows.length === 0) throw new InputError(path, 'has no rows', 'Give a CSV file with rows.');
  return rows.map(({ record, info }) => ({ cells: record, where: `${path}:${info.lines}` }));
}
