/**
 * GSM-Symbolic annotated templates (Mirzadeh et al., arXiv 2410.05229; apple/ml-gsm-symbolic), read from the user's
 * disk and parsed; instances.ts fills them in.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.ts';
import { Fields } from './fields.ts';
import { readError, readJson } from './files.ts';
import type { JsonObject } from './jsonl.ts';
import { mentions, RANDOM } from './symbolic/evaluate.ts';
import { type Expression, ExpressionError, parseExpression } from './symbolic/syntax.ts';

/** An expression with its source, for messages. */
export interface Formula {
  text: string;
  tree: Expression;
}

/** A text with the expressions that go into it. */
export type Pattern = (string | Formula)[];

export interface Assignment {
  names: string[];
  formula: Formula;
  /** Calls nothing random: the same variables give the same value. */
  fixed: boolean;
}

/** A parsed template. */
export interface SymbolicTemplate {
  path: string;
  /** Number of the original question in the GSM8K test set. */
  id_orig: string;
  id_shuffled: string;
  original_question: string;
  original_answer: string;
  question: Pattern;
  solution: Pattern;
  init: Assignment[];
  /** Each with the number of assignments after which all its variables are known. */
  conditions: { formula: Formula; after: number }[];
  answer: Formula;
}

/**
 * The template files of a source: the file itself, or those of a folder (*.json, in the order of their names).
 * @throws InputError for a folder without any
 */
export async function templateFiles(source: string): Promise<string[]> {
  try {
    if (!(await stat(source)).isDirectory()) return [source];
    const names = (await readdir(source)).filter((name) => name.endsWith('.json')).sort();
    if (names.length > 0) return names.map((name) => join(source, name));
  } catch (error) {
    throw readError(source, error);
  }
  throw new InputError(source, 'has no templates (*.json)', 'Name the folder that they are in.');
}

/**
 * Reads one template file: question, answer, id_orig, id_shuffled, question_annotated (slots `{name,default}`, then
 * `#init:`, `#conditions:`, `#answer:`), answer_annotated.
 *
 * @throws InputError naming file and expression for anything that cannot be read; nothing in a template is executed
 */
export async function readTemplate(path: string): Promise<SymbolicTemplate> {
  const json = await readJson(path);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InputError(path, 'is not a JSON object', 'Give a template of GSM-Symbolic.');
  }
  const fields = new Fields(path, json as JsonObject);
  const annotated = fields.string('question_annotated');
  const parts = /^(.*?)#init:(.*?)(?:#conditions:(.*?))?#answer\s*[:=](.*)$/s.exec(annotated);
  if (!parts)
    fields.fail('question_annotated', 'lacks #init: or #answer:', 'Give a template of GSM-Symbolic.');
  const [, question, init, conditions = '', answer] = parts as unknown as string[];
  const assignments = lines(init!).map((line) => parseAssignment(path, line));
  const known = new Map<string, number>();
  assignments.forEach(({ names }, i) => {
    for (const name of names) known.set(name, i + 1);
  });
  return {
    path,
    id_orig: fields.id('id_orig'),
    id_shuffled: fields.id('id_shuffled'),
    original_question: fields.string('question'),
    original_answer: fields.string('answer'),
    question: parsePattern(path, question!.trim(), true),
    solution: parsePattern(path, fields.string('answer_annotated').trim(), false),
    init: assignments,
    conditions: lines(conditions).map((line) => {
      const formula = parseFormula(path, line);
      const after = Math.max(0, ...[...mentions(formula.tree)].map((name) => known.get(name) ?? 0));
      return { formula, after };
    }),
    // Some templates put the expression in braces.
    answer: parseFormula(path, answer!.trim().replace(/^\{(.*)\}$/s, '$1')),
  };
}

function lines(section: string): string[] {
  return section
    .split('\n')
    .map((line) => line.trim().replace(/^-(?=\s|\$|\w)\s*/, ''))
    .filter((line) => line !== '');
}

function parseAssignment(path: string, line: string): Assignment {
  const match = /^((?:\$?\w+\s*,\s*)*\$?\w+)\s*=(?!=)(.*)$/s.exec(line);
  if (!match) throw failure(path, line, 'is no assignment');
  const formula = parseFormula(path, match[2]!);
  const names = match[1]!.split(',').map((name) => name.trim().replace('$', ''));
  return { names, formula, fixed: ![...mentions(formula.tree)].some((name) => RANDOM.has(name)) };
}

function parseFormula(path: string, source: string): Formula {
  const text = source.trim();
  try {
    return { text, tree: parseExpression(text) };
  } catch (error) {
    throw error instanceof ExpressionError ? failure(path, text, error.message) : error;
  }
}

/** A slot of a question is `{name,default}`: what stands before the first comma counts. */
function parsePattern(path: string, text: string, question: boolean): Pattern {
  return text.split(/(\{[^{}]*\})/).map((part, i) => {
    if (i % 2 === 0) return part;
    const inside = part.slice(1, -1);
    return parseFormula(path, question ? inside.split(',')[0]! : inside);
  });
}

/** What is wrong with an expression of a template. */
export function failure(path: string, expression: string, what: string): InputError {
  return new InputError(
    path,
    `the expression "${expression}" ${what}`,
    'Correct the template, or leave it out.',
  );
}
