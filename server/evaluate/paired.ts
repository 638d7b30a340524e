/** Two models that answered the same documents in runs of their own, document by document. */
import fs from 'node:fs';
import path from 'node:path';
import { Fields } from '../data/fields.ts';
import { readJsonl } from '../data/jsonl.ts';
import { Rng } from '../random.ts';
import { type Comparison, compareOutcomes } from './compare.ts';
import { type Interval, meanBootstrap, ratioBootstrap } from './statistics.ts';

/** A document that one model got right and the other wrong. */
export interface PairedFlip {
  id: string;
  template?: string;
  kind: 'wrong-to-right' | 'right-to-wrong';
  a: string;
  b: string;
}

export interface PairedTemplate {
  template: string;
  n: number;
  a: number;
  b: number;
  gained: number;
  lost: number;
}

/** One figure of two runs over the documents that both have. */
export type Paired = {
  /** Task and metric of a benchmark, or the suite of an evaluation. */
  name: string;
  n: number;
  /** Documents that only one of the runs has. */
  unpaired: number;
} & (
  | {
      /** Right or wrong: `base` is the first run, `amplified` the second. */
      kind: 'accuracy';
      comparison: Comparison;
      templates: PairedTemplate[];
      flips: PairedFlip[];
    }
  | {
      /** A score per document, or nats per word or byte of text (less is better); 95 % bootstrap over documents. */
      kind: 'score' | 'nats';
      a: number;
      b: number;
      difference: number;
      interval: Interval;
    }
);

/** What a document was worth: right or wrong, a score, or a log-likelihood over some units. */
type Value = boolean | number | readonly [number, number];

interface Answer {
  id: string;
  value: Value;
  text: string;
  template?: string;
}

/** Answers by the document and its occurrence, by figure. */
type Answers = Map<string, Map<string, Answer>>;

/**
 * Every figure that both runs have samples of, from `samples_TASK.jsonl` of benchmarks and `evaluate-samples.jsonl` of
 * evaluations (there the patched model where there is one).
 * @param folders run folders
 * @param seed of the bootstrap
 */
export async function pairRuns(folders: readonly [string, string], seed = 0): Promise<Paired[]> {
  const [a, b] = (await Promise.all(folders.map(readAnswers))) as [Answers, Answers];
  return [...a.keys()].flatMap((name) => {
    const other = b.get(name);
    return other ? pair(name, a.get(name)!, other, seed) : [];
  });
}

function pair(name: string, a: Map<string, Answer>, b: Map<string, Answer>, seed: number): Paired[] {
  const keys = [...a.keys()].filter((key) => b.has(key));
  if (keys.length === 0) return [];
  const left = keys.map((key) => a.get(key)!);
  const right = keys.map((key) => b.get(key)!);
  const head = { name, n: keys.length, unpaired: a.size + b.size - 2 * keys.length };
  const first = left[0]!.value;
  if (typeof first === 'boolean') return [{ ...head, ...accuracies(left, right, seed) }];
  const rng = new Rng(seed).fork('bootstrap');
  if (typeof first === 'number') {
    const differences = right.map(({ value }, i) => (value as number) - (left[i]!.value as number));
    const mean = (answers: Answer[]) =>
      answers.reduce((sum, { value }) => sum + (value as number), 0) / answers.length;
    const [ours, theirs] = [mean(left), mean(right)];
    const interval = meanBootstrap(differences, rng);
    return [{ ...head, kind: 'score', a: ours, b: theirs, difference: theirs - ours, interval }];
  }
  const units = left.map(({ value }) => (value as [number, number])[1]);
  // Tokens of two tokenizers are not the same thing.
  if (right.some(({ value }, i) => (value as [number, number])[1] !== units[i])) return [];
  const total = units.reduce((sum, n) => sum + n, 0);
  const nats = (answers: Answer[]) => answers.map(({ value }) => -(value as [number, number])[0]);
  const [ours, theirs] = [nats(left), nats(right)];
  const rate = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / total;
  const interval = ratioBootstrap(
    theirs.map((v, i) => v - ours[i]!),
    units,
    rng,
  );
  const [x, y] = [rate(ours), rate(theirs)];
  return [{ ...head, kind: 'nats', a: x, b: y, difference: y - x, interval }];
}

function accuracies(left: Answer[], right: Answer[], seed: number) {
  const outcomes = (answers: Answer[]) =>
    answers.map(({ value, text }) => ({ correct: value as boolean, text }));
  const templates = left.map(({ template }) => template);
  const comparison = compareOutcomes(outcomes(left), outcomes(right), seed, templates);
  const byTemplate = new Map<string, PairedTemplate>();
  const flips: PairedFlip[] = [];
  for (const [i, { id, value, text, template }] of left.entries()) {
    const other = right[i]!;
    const [gained, lost] = [!value && other.value, value && !other.value].map(Number) as [number, number];
    if (template !== undefined) {
      const row = byTemplate.get(template) ?? { template, n: 0, a: 0, b: 0, gained: 0, lost: 0 };
      byTemplate.set(template, row);
      row.n++;
      row.a += Number(value);
      row.b += Number(other.value);
      row.gained += gained;
      row.lost += lost;
    }
    if (gained || lost) {
      const kind = gained ? ('wrong-to-right' as const) : ('right-to-wrong' as const);
      flips.push({ id, ...(template !== undefined && { template }), kind, a: text, b: other.text });
    }
  }
  const shares = [...byTemplate.values()].map((row) => ({ ...row, a: row.a / row.n, b: row.b / row.n }));
  return { kind: 'accuracy' as const, comparison, templates: shares, flips };
}

async function readAnswers(folder: string): Promise<Answers> {
  const answers: Answers = new Map();
  const seen = new Map<string, number>();
  const add = (name: string, key: string, answer: Answer) => {
    const count = seen.get(`${name} ${key}`) ?? 0;
    seen.set(`${name} ${key}`, count + 1);
    const own = answers.get(name) ?? new Map<string, Answer>();
    answers.set(name, own.set(`${key} ${count}`, answer));
  };
  for (const file of fs.readdirSync(folder).sort()) {
    const task = /^samples_(.+)\.jsonl$/.exec(file)?.[1];
    if (task === undefined) continue;
    for await (const { where, record } of readJsonl(path.join(folder, file), lenient))
      addSample(task, new Fields(where, record), add);
  }
  const evaluated = path.join(folder, 'evaluate-samples.jsonl');
  if (fs.existsSync(evaluated)) await addEvaluated(evaluated, add);
  return answers;
}

/** A run that was interrupted may have no document yet, or a torn last line. */
const lenient = { allowEmpty: true, onTorn: () => undefined };

type Add = (name: string, key: string, answer: Answer) => void;

function addSample(task: string, fields: Fields, add: Add): void {
  const { record } = fields;
  const doc = fields.object('doc').record;
  const template = doc.original_id ?? doc.template_id;
  const filter = fields.string('filter') === 'none' ? '' : `,${record.filter}`;
  for (const metric of fields.strings('metrics')) {
    // The same log-likelihoods again, in other units.
    if (metric === 'bits_per_byte') continue;
    const score = Array.isArray(record[metric]) ? null : fields.number(metric);
    // Scores of 0 and 1 are right and wrong; a share of probability is neither.
    const graded = score !== null && task !== 'truthfulqa_mc2';
    add(`${task} ${metric}${filter}`, fields.string('doc_hash'), {
      id: fields.id('doc_id'),
      value: graded ? score === 1 : (score ?? (record[metric] as [number, number])),
      text: answerText(record),
      ...(template !== undefined && { template: String(template) }),
    });
  }
}

/** A completion; of choices the place of the most likely one. */
function answerText({ filtered_resps }: Record<string, unknown>): string {
  const responses = Array.isArray(filtered_resps) ? (filtered_resps as (string | [string, string])[]) : [''];
  if (typeof responses[0] === 'string') return responses[0];
  const scores = responses.map((response) => Number(response[0]));
  return `choice ${scores.indexOf(Math.max(...scores))}`;
}

async function addEvaluated(file: string, add: Add): Promise<void> {
  let patched = false;
  for await (const { record } of readJsonl(file, lenient)) patched ||= record.model === 'amplified';
  for await (const { where, record } of readJsonl(file, lenient)) {
    if (patched !== (record.model === 'amplified')) continue;
    const fields = new Fields(where, record);
    const doc = fields.object('doc').record;
    add(fields.string('suite'), JSON.stringify(doc), {
      id: String(doc.id ?? record.doc_id),
      value: fields.boolean('correct'),
      text: fields.string('text'),
      ...(doc.template_id !== undefined && { template: String(doc.template_id) }),
    });
  }
}
