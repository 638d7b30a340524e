/** Control suites: own JSONL, and published benchmarks with the usual prompts. */
import path from 'node:path';
import { readMmlu, readTriviaQa, readTruthfulChoices, readTruthfulQa } from '../../data/benchmarks.ts';
import { bySuite, readControls } from '../../data/controls.ts';
import { Fields } from '../../data/fields.ts';
import { readJson, readText } from '../../data/files.ts';
import { readJsonl } from '../../data/jsonl.ts';
import type { ControlItem } from '../../data/records.ts';
import { Rng } from '../../random.ts';

/** A file of control items. Items that do not name a suite belong to the suite `name`. */
export interface ControlsRef {
  path: string;
  name: string;
}

/**
 * The items of several files, each with its suite.
 * @param limit items of every file at most; null for all
 */
export async function loadControls(
  files: readonly ControlsRef[],
  limit: number | null,
): Promise<ControlItem[]> {
  const items: ControlItem[] = [];
  for (const { path: file, name } of files) {
    const read = (await readAny(file)).slice(0, limit ?? undefined);
    items.push(...read.map((item) => ({ suite: name, ...item })));
  }
  return items;
}

const LETTERS = ['A', 'B', 'C', 'D'];

/** Items of a file by what it looks like: TruthfulQA.csv, MMLU's CSV, TriviaQA's and TruthfulQA's JSON, or own JSONL. */
async function readAny(file: string): Promise<ControlItem[]> {
  const extension = path.extname(file).toLowerCase();
  if (extension === '.csv') {
    const head = (await readText(file)).split('\n', 1)[0]!;
    return head.includes('Best Answer') ? truthfulItems(file) : mmluItems(file);
  }
  if (extension !== '.json') return readControls(file);
  const content = await readJson(file);
  return Array.isArray(content) ? truthfulChoiceItems(file) : triviaItems(file);
}

async function mmluItems(file: string): Promise<ControlItem[]> {
  return (await readMmlu(file)).map(({ id, question, choices, label }) => ({
    id,
    prompt: `${question}\n${choices.map((c, i) => `${LETTERS[i]}. ${c}\n`).join('')}Answer:`,
    choices: LETTERS.map((letter) => ` ${letter}`),
    label,
  }));
}

async function triviaItems(file: string): Promise<ControlItem[]> {
  return (await readTriviaQa(file)).map(({ id, question, answers }) => ({
    id,
    prompt: `Question: ${question}\nAnswer:`,
    answer: answers,
    compare: 'trivia' as const,
  }));
}

/** The best answer against the incorrect ones (mc1 of the CSV edition). */
async function truthfulItems(file: string): Promise<ControlItem[]> {
  return (await readTruthfulQa(file)).map(({ id, question, best, incorrect }) => ({
    id,
    prompt: `Q: ${question}\nA:`,
    choices: [best, ...incorrect].map((choice) => ` ${choice}`),
    label: 0,
  }));
}

async function truthfulChoiceItems(file: string): Promise<ControlItem[]> {
  return (await readTruthfulChoices(file)).map(({ id, question, mc1 }) => ({
    id,
    prompt: `Q: ${question}\nA:`,
    choices: mc1.choices.map((choice) => ` ${choice}`),
    label: mc1.label,
  }));
}

/** A control item as a text: its prompt with the answer. */
function itemText(item: ControlItem): string {
  if (Array.isArray(item.choices)) {
    const { prompt, choices, label } = item as Extract<ControlItem, { choices: string[] }>;
    return prompt + choices[label];
  }
  const { prompt, answer } = item as Extract<ControlItem, { answer: unknown }>;
  const text = typeof answer === 'string' ? answer : answer[0]!;
  return /\s$/.test(prompt) || /^\s/.test(text) ? prompt + text : `${prompt} ${text}`;
}

/**
 * Plain texts to stay close to the base model on: JSONL with `text`, or control items in any format (prompt and answer).
 * @throws InputError for a broken record
 */
export async function loadText(files: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const file of files) {
    if (await hasText(file)) {
      for await (const { where, record } of readJsonl(file))
        texts.push(new Fields(where, record).string('text'));
    } else texts.push(...(await readAny(file)).map(itemText));
  }
  return texts;
}

async function hasText(file: string): Promise<boolean> {
  if (/\.(csv|json)$/i.test(file)) return false;
  for await (const { record } of readJsonl(file)) return record.text !== undefined;
  return false;
}

/** Control items for their three uses; no item serves two. */
export interface ControlSplit {
  /** Plain text that training stays close to the base model on. */
  text: string[];
  /** Watched while training. */
  guard: ControlItem[];
  /** Score the result. */
  test: ControlItem[];
}

/** Splits every suite by seed: a fifth as text and a fifth to watch, where they are wanted, the rest to score. */
export function splitControls(
  items: readonly ControlItem[],
  seed: number,
  wanted: { text: boolean; guard: boolean },
): ControlSplit {
  const split: ControlSplit = { text: [], guard: [], test: [] };
  for (const [suite, all] of bySuite(items)) {
    const left = new Rng(seed)
      .fork('controls')
      .fork(suite)
      .shuffle([...all]);
    const fifth = Math.ceil(all.length / 5);
    if (wanted.text) split.text.push(...left.splice(0, fifth).map(itemText));
    if (wanted.guard) split.guard.push(...left.splice(0, fifth));
    split.test.push(...left);
  }
  return split;
}
