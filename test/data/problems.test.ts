import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readControls } from '../../server/data/controls.ts';
import { DEFAULT_TEMPLATE, readProblems } from '../../server/data/problems.ts';
import { assignSplits } from '../../server/data/splits.ts';
import { InputError } from '../../server/errors.ts';
import { Rng } from '../../server/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'problems-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const file = (...records: object[]): string => {
  const path = join(folder, `${count++}.jsonl`);
  writeFileSync(path, records.map((r) => `${JSON.stringify(r)}\n`).join(''));
  return path;
};

const duck = {
  question: 'A hen lays 2 eggs a day. How many in $& 3 days?',
  answer: 'It lays <<2*3=6>>6.\n#### 6',
};
const symbolic = (original_id: number, instance: number, answer: string) => ({
  id: 0,
  instance,
  question: `How much is ${answer}?`,
  answer: `It is.\n#### ${answer}`,
  original_id,
  original_question: 'q',
  original_answer: 'a #### 1',
  canary: 'c',
});

describe('readProblems', () => {
  it('reads GSM8K, question verbatim in the template, few-shot examples before it', async () => {
    const set = await readProblems(file(duck, duck), { fewShot: 'Q: 1+1?\nA: 2.\n\n' });
    expect(set).toMatchObject({ format: 'gsm8k', splitFrom: 'seed' });
    expect(set.problems.map((p) => p.id)).toEqual(['gsm8k-1', 'gsm8k-2']);
    expect(set.problems[0]).toMatchObject({
      prompt: `Q: 1+1?\nA: 2.\n\nQ: ${duck.question}\nA:`,
      answer: duck.answer,
      target: 6,
      question: duck.question,
    });
  });

  it('reads GSM-Symbolic instances: the template is original_id, other fields are kept', async () => {
    const path = file(symbolic(7, 0, '1,000'), symbolic(7, 1, '32.5'), symbolic(8, 0, '3'));
    const set = await readProblems(path, { template: 'Solve. {question} Go:' });
    expect(set.format).toBe('gsm-symbolic');
    expect(set.problems.map((p) => [p.id, p.template_id, p.instance_id, p.target])).toEqual([
      ['7/0', '7', '0', 1000],
      ['7/1', '7', '1', 32.5],
      ['8/0', '8', '0', 3],
    ]);
    expect(set.problems[2]).toMatchObject({
      prompt: 'Solve. How much is 3? Go:',
      canary: 'c',
      original_id: 8,
    });
  });

  it('reads own JSONL: prompt or question, answer or target, split, unknown fields', async () => {
    const set = await readProblems(
      file(
        {
          id: 'a',
          prompt: 'P {question}',
          answer: 'so 5',
          template_id: 3,
          instance_id: 4,
          split: 'test',
          note: [1],
        },
        { id: 2, question: 'Q', target: '12', split: 'train' },
        { question: 'Q', target: 0, split: 'val' },
        { prompt: 'P', answer: 'it is 7', target: 7, split: 'val' },
      ),
    );
    expect(set).toEqual({
      format: 'own',
      splitFrom: 'file',
      problems: [
        {
          id: 'a',
          prompt: 'P {question}',
          answer: 'so 5',
          target: 5,
          template_id: '3',
          instance_id: '4',
          split: 'test',
          note: [1],
        },
        {
          id: '2',
          question: 'Q',
          prompt: DEFAULT_TEMPLATE.replace('{question}', 'Q'),
          answer: '12',
          target: 12,
          split: 'train',
        },
        { id: 'line-3', question: 'Q', prompt: 'Q: Q\nA:', answer: '0', target: 0, split: 'val' },
        { id: 'line-4', prompt: 'P', answer: 'it is 7', target: 7, split: 'val' },
      ],
    });
  });

  it('reads what it wrote as the same problems', async () => {
    const { problems } = await readProblems(file(symbolic(7, 0, '1'), symbolic(7, 1, '2')));
    const again = await readProblems(file(...problems.map(({ original_id, ...own }) => own)));
    expect(again.problems).toEqual(problems.map(({ original_id, ...own }) => own));
    expect(again).toMatchObject({ format: 'own', splitFrom: 'file' });
  });

  it.each([
    [
      'a second record with an id',
      [
        { id: 1, prompt: 'a', answer: '1' },
        { id: '1', prompt: 'b', answer: '2' },
      ],
      ':2: id "1" stands at',
    ],
    ['no answer', [{ prompt: 'a' }], ':1: field "answer" is missing'],
    ['an answer without a number', [{ prompt: 'a', answer: 'none' }], ':1: field "answer" has no number'],
    [
      'answer and target that disagree',
      [{ prompt: 'a', answer: '1', target: 2 }],
      ':1: field "target" is 2 while',
    ],
    ['neither prompt nor question', [{ answer: '1' }], ':1: field "question" is missing'],
    ['an empty prompt', [{ prompt: '', answer: '1' }], ':1: field "prompt" is empty'],
    ['a prompt that is no text', [{ prompt: 3, answer: '1' }], ':1: field "prompt" is a number'],
    [
      'an unknown split',
      [{ prompt: 'a', answer: '1', split: 'dev' }],
      ':1: field "split" is "dev". Give one of train, val, test.',
    ],
    [
      'a split missing in one record',
      [
        { prompt: 'a', answer: '1', split: 'val' },
        { prompt: 'a', answer: '1' },
      ],
      ':2: field "split" is missing here only',
    ],
    [
      'an odd template id',
      [{ prompt: 'a', answer: '1', template_id: {} }],
      ':1: field "template_id" is an object',
    ],
  ])('refuses %s, naming the line', async (_, records, message) => {
    const path = file(...records);
    const error = await readProblems(path).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain(path + message);
  });

  it('refuses options that cannot work', async () => {
    await expect(readProblems(file(duck), { template: 'no slot' })).rejects.toThrow(
      'prompt template: has no {question}',
    );
    await expect(readProblems(file({ prompt: 'a', answer: '1' }), { fewShot: 'x' })).rejects.toThrow(
      /few-shot examples too/,
    );
  });

  const real = process.env.CCA_GSM8K ?? 'data/gsm8k_test.jsonl';
  it.runIf(existsSync(real))('reads the real GSM8K test set', async () => {
    const { problems, format } = await readProblems(real);
    expect(format).toBe('gsm8k');
    expect(problems).toHaveLength(1319);
    expect(problems[0]!.target).toBe(18);
    expect(problems.every((p) => Number.isFinite(p.target))).toBe(true);
  });
});

describe('assignSplits', () => {
  const items = (templates: number, instances: number) =>
    Array.from({ length: templates * instances }, (_, i) => ({
      id: `${i}`,
      template_id: `${i % templates}`,
    }));
  const sizes = (splits: Map<string, string>, ids: Iterable<string> = splits.keys()) => {
    const counts = { train: 0, val: 0, test: 0 };
    for (const id of ids) counts[splits.get(id) as 'train']++;
    return counts;
  };

  it('gives every template of 50 the split of the paper: 26 / 4 / 20', () => {
    const all = items(100, 50);
    const splits = assignSplits(all, 1);
    for (let t = 0; t < 100; t++) {
      const ids = all.filter((i) => i.template_id === `${t}`).map((i) => i.id);
      expect(sizes(splits, ids)).toEqual({ train: 26, val: 4, test: 20 });
    }
  });

  it.each([1, 2, 3, 7])(
    'keeps the shares of the whole with %d instances a template, each within two',
    (n) => {
      const all = items(100, n);
      const splits = assignSplits(all, 1);
      expect(sizes(splits)).toEqual({ train: 52 * n, val: 8 * n, test: 40 * n });
      for (let t = 0; t < 100; t++) {
        const { train, test } = sizes(
          splits,
          all.filter((i) => i.template_id === `${t}`).map((i) => i.id),
        );
        expect(Math.abs(train - 0.52 * n)).toBeLessThan(2);
        expect(Math.abs(test - 0.4 * n)).toBeLessThan(2);
      }
    },
  );

  it('depends on ids and seed, not on the order of the file', () => {
    const all = items(10, 50);
    const splits = assignSplits(all, 'a');
    expect(assignSplits(new Rng(0).shuffle([...all]), 'a')).toEqual(splits);
    const other = assignSplits(all, 'b');
    const moved = all.filter((i) => other.get(i.id) !== splits.get(i.id)).length;
    expect(moved).toBeGreaterThan(150); // two independent splits differ in 1 - (0.52^2 + 0.08^2 + 0.4^2) = 56 % of 500
  });

  it('splits items without a template as one group, and takes other shares', () => {
    const all = Array.from({ length: 200 }, (_, i) => ({ id: `${i}` }));
    expect(sizes(assignSplits(all, 0))).toEqual({ train: 104, val: 16, test: 80 });
    expect(sizes(assignSplits(all, 0, { train: 0, val: 0, test: 1 }))).toEqual({
      train: 0,
      val: 0,
      test: 200,
    });
    expect(() => assignSplits(all, 0, { train: 0.5, val: 0, test: 0.1 })).toThrow(RangeError);
  });
});

describe('readControls', () => {
  it('reads open recall and multiple choice', async () => {
    const items = [
      { prompt: 'Capital of France?', answer: 'Paris', suite: 'recall', extra: 1 },
      { prompt: 'Colour?', answer: ['grey', 'gray'] },
      { prompt: '2+2?', choices: [' 3', ' 4'], label: 1 },
    ];
    expect(await readControls(file(...items))).toEqual(items);
  });

  it.each([
    ['neither', { prompt: 'a' }, 'has neither "answer" nor "choices"'],
    ['both', { prompt: 'a', answer: 'b', choices: ['c', 'd'], label: 0 }, 'has both "answer" and "choices"'],
    ['no prompt', { answer: 'b' }, 'field "prompt" is missing'],
    ['an empty answer list', { prompt: 'a', answer: [] }, 'field "answer" is an empty array'],
    ['a blank answer', { prompt: 'a', answer: ['x', ' '] }, 'field "answer" is blank'],
    ['an answer that is a number', { prompt: 'a', answer: 3 }, 'field "answer" is a number'],
    ['one choice', { prompt: 'a', choices: ['x'], label: 0 }, 'field "choices" has 1'],
    ['an empty choice', { prompt: 'a', choices: ['x', ''], label: 0 }, 'field "choices" has an empty choice'],
    ['no label', { prompt: 'a', choices: ['x', 'y'] }, 'field "label" is missing'],
    [
      'a label past the choices',
      { prompt: 'a', choices: ['x', 'y'], label: 2 },
      'field "label" is 2. Give an integer in 0 .. 1.',
    ],
  ])('refuses %s', async (_, record, message) => {
    const path = file({ prompt: 'fine', answer: 'x' }, record);
    await expect(readControls(path)).rejects.toThrow(InputError);
    await expect(readControls(path)).rejects.toThrow(`${path}:2: ${message}`);
  });
});
