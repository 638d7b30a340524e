import { InputError } from '../errors.ts';
import { parseTarget } from './answers.ts';
import { Fields, UniqueIds } from './fields.ts';
import { type JsonlLine, readJsonl } from './jsonl.ts';
import type { Problem, Split } from './records.ts';
import { assignSplits, SPLITS, type SplitShares } from './splits.ts';

export interface ProblemOptions {
  /**
   * How a question becomes a prompt; must contain `{question}`. Records with a `prompt` of their own ignore it.
   * Default: DEFAULT_TEMPLATE, and in a chat the question alone.
   */
  template?: string;
  /** Few-shot examples, put before every rendered question as they are. InputError for records with their own `prompt`. */
  fewShot?: string;
  /** Renders a user's turn by the model's chat template. InputError for records with their own `prompt`. */
  chat?: (turn: string) => string;
  /** Seed of the split of files that have none. Default 0. */
  splitSeed?: string | number;
  /** Shares of the split of files that have none. Default: the paper's 52 / 8 / 40 %. */
  splitShares?: SplitShares;
}

export type ProblemFormat = 'own' | 'gsm8k' | 'gsm-symbolic';

export interface ProblemSet {
  problems: Problem[];
  /** What the file was taken for, by its first record. */
  format: ProblemFormat;
  /** Whether the records brought their split or got it by seed, per template. */
  splitFrom: 'file' | 'seed';
}

/** The shape of the usual chain-of-thought prompt for GSM8K (Wei et al., arXiv 2201.11903). */
export const DEFAULT_TEMPLATE = 'Q: {question}\nA:';

/**
 * Reads a problem set: own JSONL (`prompt`, or `question` put into the template; `answer` or `target`), GSM8K
 * (`question`, `answer` that ends in `#### n`) or GSM-Symbolic instances (template id = `original_id`).
 * Fields that the product does not know are kept.
 *
 * @throws InputError `path:line` for a broken record, a duplicate id, an answer without a number, or a split that only
 *   some records have
 */
export function readProblems(path: string, options: ProblemOptions = {}): Promise<ProblemSet> {
  return asProblems(readJsonl(path), options);
}

/** The problems of records that stand in a file or are made from one. InputError as `readProblems`. */
export async function asProblems(
  lines: AsyncIterable<JsonlLine>,
  options: ProblemOptions = {},
): Promise<ProblemSet> {
  const template = options.template ?? (options.chat ? '{question}' : DEFAULT_TEMPLATE);
  if (!template.includes('{question}')) {
    throw new InputError('prompt template', 'has no {question}', 'Put {question} where the question goes.');
  }
  const problems: Problem[] = [];
  const ids = new UniqueIds();
  let format: ProblemFormat | undefined;
  let splitInFile: boolean | undefined;
  for await (const { where, line, record } of lines) {
    const fields = new Fields(where, record);
    format ??= detect(fields);
    const problem: Problem = {
      ...record,
      ...identity(fields, format, line),
      ...prompt(fields, template, options),
      ...solution(fields),
    };
    ids.add(problem.id, where);
    const hasSplit = fields.has('split');
    splitInFile ??= hasSplit;
    if (hasSplit !== splitInFile) {
      fields.fail(
        'split',
        hasSplit ? 'is given here only' : 'is missing here only',
        'Give every record a split, or none.',
      );
    }
    if (hasSplit) problem.split = fields.oneOf('split', SPLITS);
    problems.push(problem);
  }
  if (!splitInFile) {
    const splits = assignSplits(problems, options.splitSeed ?? 0, options.splitShares);
    for (const problem of problems) problem.split = splits.get(problem.id) as Split;
  }
  return { problems, format: format!, splitFrom: splitInFile ? 'file' : 'seed' };
}

function detect(fields: Fields): ProblemFormat {
  if (fields.has('original_id') && fields.has('instance') && fields.has('question')) return 'gsm-symbolic';
  const answer = fields.record.answer;
  const bare = fields.has('question') && !fields.has('prompt') && !fields.has('target');
  return bare && typeof answer === 'string' && /####[^\n]*\d/.test(answer) ? 'gsm8k' : 'own';
}

function identity(
  fields: Fields,
  format: ProblemFormat,
  line: number,
): Pick<Problem, 'id' | 'template_id' | 'instance_id'> {
  if (format === 'gsm-symbolic') {
    // `id` numbers the templates here, so it is the same in every instance of one.
    const template_id = fields.id('original_id');
    const instance_id = fields.id('instance');
    return { id: `${template_id}/${instance_id}`, template_id, instance_id };
  }
  const template = fields.has('template_id') ? { template_id: fields.id('template_id') } : {};
  const instance = fields.has('instance_id') ? { instance_id: fields.id('instance_id') } : {};
  return {
    id: fields.has('id') ? fields.id('id') : `${format === 'gsm8k' ? 'gsm8k' : 'line'}-${line}`,
    ...template,
    ...instance,
  };
}

function prompt(
  fields: Fields,
  template: string,
  { fewShot, chat }: ProblemOptions,
): Pick<Problem, 'prompt' | 'add_special_tokens'> {
  if (!fields.has('prompt')) {
    const question = fields.string('question');
    const asked = (fewShot ?? '') + template.replaceAll('{question}', () => question);
    return chat ? { prompt: chat(asked), add_special_tokens: false } : { prompt: asked };
  }
  if (fewShot || chat) {
    const what = `is given, and ${chat ? 'a chat template' : 'few-shot examples'} too`;
    fields.fail('prompt', what, 'Drop one of them, or give "question" instead of "prompt".');
  }
  const text = fields.string('prompt');
  if (text === '') fields.fail('prompt', 'is empty', 'Give the text that the model sees.');
  const special = fields.has('add_special_tokens')
    ? { add_special_tokens: fields.boolean('add_special_tokens') }
    : {};
  return { prompt: text, ...special };
}

function solution(fields: Fields): Pick<Problem, 'answer' | 'target'> {
  const given = ['answer', 'target'].filter((name) => fields.has(name));
  if (given.length === 0) fields.fail('answer', 'is missing', 'Add "answer" or "target" to the record.');
  const numbers = given.map((name) => number(fields, name));
  if (numbers.length === 2 && numbers[0] !== numbers[1]) {
    fields.fail('target', `is ${numbers[1]} while the answer is ${numbers[0]}`, 'Correct one of them.');
  }
  return { answer: String(fields.record[given[0]!]), target: numbers[0]! };
}

function number(fields: Fields, name: string): number {
  const value = fields.record[name];
  if (typeof value === 'number') return value;
  const target = parseTarget(fields.string(name));
  if (target === null) fields.fail(name, 'has no number', 'Give a text whose last number is the answer.');
  return target;
}
