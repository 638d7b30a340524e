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

/** What a figure is of: test problems, a further problem set, a control suite, a benchmark's task. */
export type SuiteRole = 'target' | 'set' | 'control' | 'task';

/**
 * One run's answers, to the documents that both have where there are any: a share of right ones, a mean score, or nats
 * per word or byte (less is better).
 */
export interface Side {
  value: number;
  n: number;
  /** The same of the base model, where the run scored one beside its own. */
  base: number | null;
}

/** One figure of two runs; null: a run has no answers for it. */
export interface ComparedSuite {
  /** Suite of an evaluation; task and metric of a benchmark. */
  name: string;
  role: SuiteRole;
  unit: 'accuracy' | 'score' | 'nats';
  a: Side | null;
  b: Side | null;
  /** Over the documents that both runs have; null where they have none in common. */
  paired: Paired | null;
}

/** One figure of two runs over the documents that both have. */
export type Paired = {
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
      /** A score per document, or nats per word or byte of text; 95 % bootstrap over documents. */
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
  /** What the base model's answer to the same document was worth. */
  base?: boolean;
  text: string;
  template?: string;
}

/** Answers by the document and its occurrence. */
interface Suite {
  role: SuiteRole;
  answers: Map<string, Answer>;
}

/** Suites by role and name. */
type Suites = Map<string, Suite & { name: string }>;

/** A run folder. `patched`: its own answers are those of a patched model, and not the base model's where it has none yet. */
export interface AnsweredRun {
  folder: string;
  patched: boolean;
}

/**
 * Every figure that either run has answers for, from `samples_TASK.jsonl` of benchmarks and `evaluate-samples.jsonl` of
 * evaluations (there the patched model where there is one), paired where both have answered the same documents.
 * @param seed of the bootstrap
 */
export async function pairRuns(
  runs: readonly [AnsweredRun, AnsweredRun],
  seed = 0,
): Promise<ComparedSuite[]> {
  const [a, b] = (await Promise.all(runs.map(readAnswers))) as [Suites, Suites];
  const compared = [...new Set([...a.keys(), ...b.keys()])].map((key): ComparedSuite => {
    const [left, right] = [a.get(key), b.get(key)];
    const { name, role, answers } = (left ?? right)!;
    const common = [...(left?.answers.keys() ?? [])].filter((document) => right?.answers.has(document));
    const side = (suite: Suite | undefined) => {
      if (!suite) return null;
      return sideOf(
        common.length > 0
          ? common.map((document) => suite.answers.get(document)!)
          : [...suite.answers.values()],
      );
    };
    const paired = common.length > 0 ? pair(left!.answers, right!.answers, common, seed) : null;
    return { name, role, unit: unitOf(first(answers)), a: side(left), b: side(right), paired };
  });
  const order: SuiteRole[] = ['target', 'set', 'control', 'task'];
  return compared.sort((x, y) => order.indexOf(x.role) - order.indexOf(y.role));
}

const first = (answers: Map<string, Answer>): Answer => answers.values().next().value!;

function unitOf({ value }: Answer): ComparedSuite['unit'] {
  if (typeof value === 'boolean') return 'accuracy';
  return typeof value === 'number' ? 'score' : 'nats';
}

function sideOf(all: readonly Answer[]): Side {
  const mean = (values: (boolean | number)[]) =>
    values.reduce<number>((sum, v) => sum + +v, 0) / values.length;
  const bases = all.flatMap(({ base }) => base ?? []);
  return {
    value: unitOf(all[0]!) === 'nats' ? rateOf(all) : mean(all.map(({ value }) => value as boolean | number)),
    n: all.length,
    base: bases.length > 0 ? mean(bases) : null,
  };
}

/** Nats per unit over all documents. */
function rateOf(answers: readonly Answer[]): number {
  const values = answers.map(({ value }) => value as [number, number]);
  return values.reduce((sum, [l]) => sum - l, 0) / values.reduce((sum, [, n]) => sum + n, 0);
}

/** @param keys of the documents that both have, one or more */
function pair(
  a: Map<string, Answer>,
  b: Map<string, Answer>,
  keys: readonly string[],
  seed: number,
): Paired | null {
  const left = keys.map((key) => a.get(key)!);
  const right = keys.map((key) => b.get(key)!);
  const head = { n: keys.length, unpaired: a.size + b.size - 2 * keys.length };
  const unit = unitOf(left[0]!);
  if (unit === 'accuracy') return { ...head, ...accuracies(left, right, seed) };
  const rng = new Rng(seed).fork('bootstrap');
  if (unit === 'score') {
    const differences = right.map(({ value }, i) => (value as number) - (left[i]!.value as number));
    const mean = (answers: Answer[]) =>
      answers.reduce((sum, { value }) => sum + (value as number), 0) / answers.length;
    const [ours, theirs] = [mean(left), mean(right)];
    const interval = meanBootstrap(differences, rng);
    return { ...head, kind: 'score', a: ours, b: theirs, difference: theirs - ours, interval };
  }
  const sizes = left.map(({ value }) => (value as [number, number])[1]);
  // Tokens of two tokenizers are not the same thing.
  if (right.some(({ value }, i) => (value as [number, number])[1] !== sizes[i])) return null;
  const nats = (answers: Answer[]) => answers.map(({ value }) => -(value as [number, number])[0]);
  const [ours, theirs] = [nats(left), nats(right)];
  const interval = ratioBootstrap(
    theirs.map((v, i) => v - ours[i]!),
    sizes,
    rng,
  );
  const [x, y] = [rateOf(left), rateOf(right)];
  return { ...head, kind: 'nats', a: x, b: y, difference: y - x, interval };
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

async function readAnswers({ folder, patched }: AnsweredRun): Promise<Suites> {
  const suites: Suites = new Map();
  const add = collector(suites);
  for (const file of fs.readdirSync(folder).sort()) {
    const task = /^samples_(.+)\.jsonl$/.exec(file)?.[1];
    if (task === undefined) continue;
    for await (const { where, record } of readJsonl(path.join(folder, file), lenient))
      addSample(task, new Fields(where, record), add);
  }
  const evaluated = path.join(folder, 'evaluate-samples.jsonl');
  if (!fs.existsSync(evaluated)) return suites;
  const models = { base: new Map() as Suites, amplified: new Map() as Suites };
  const collect = { base: collector(models.base), amplified: collector(models.amplified) };
  for await (const { where, record } of readJsonl(evaluated, lenient)) {
    const into = record.model === 'amplified' ? collect.amplified : collect.base;
    addEvaluated(new Fields(where, record), into);
  }
  if (!patched && models.amplified.size === 0) return new Map([...suites, ...models.base]);
  for (const [key, { answers }] of models.amplified) {
    const base = models.base.get(key)?.answers;
    for (const [document, answer] of answers) {
      const value = base?.get(document)?.value;
      if (typeof value === 'boolean') answer.base = value;
    }
  }
  return new Map([...suites, ...models.amplified]);
}

/** Puts answers into their suites; equal documents are told apart by their occurrence. */
function collector(suites: Suites): Add {
  const seen = new Map<string, number>();
  return (role, name, key, answer) => {
    const place = `${role} ${name}`;
    const count = seen.get(`${place} ${key}`) ?? 0;
    seen.set(`${place} ${key}`, count + 1);
    const own = suites.get(place) ?? { name, role, answers: new Map<string, Answer>() };
    suites.set(place, own);
    own.answers.set(`${key} ${count}`, answer);
  };
}

/** A run that was interrupted may have no document yet, or a torn last line. */
const lenient = { allowEmpty: true, onTorn: () => undefined };

type Add = (role: SuiteRole, name: string, key: string, answer: Answer) => void;

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
    add('task', `${task} ${metric}${filter}`, fields.string('doc_hash'), {
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

/** A problem is completed and has a number as its target; anything else is a control item. */
const isProblem = ({ target, suite }: Record<string, unknown>) =>
  typeof target === 'number' && suite === undefined;

function addEvaluated(fields: Fields, add: Add): void {
  const { record: doc } = fields.object('doc');
  const suite = fields.string('suite');
  const role = !isProblem(doc) ? 'control' : suite === 'test' ? 'target' : 'set';
  add(role, suite, JSON.stringify(doc), {
    id: String(doc.id ?? fields.record.doc_id),
    value: fields.boolean('correct'),
    text: fields.string('text'),
    ...(doc.template_id !== undefined && { template: String(doc.template_id) }),
  });
}
