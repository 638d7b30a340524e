import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { pairRuns } from '../../server/evaluate/paired.ts';
import { scratch } from '../cli/built.ts';

const root = scratch();

function folder(name: string, files: Record<string, object[]>): string {
  const target = path.join(root, name);
  fs.mkdirSync(target);
  for (const [file, records] of Object.entries(files)) {
    fs.writeFileSync(path.join(target, file), records.map((r) => `${JSON.stringify(r)}\n`).join(''));
  }
  return target;
}

const sample = (i: number, values: Record<string, unknown>) => ({
  doc_id: i,
  doc: { question: `q${i}`, original_id: i % 3 },
  filter: 'none',
  doc_hash: `hash${i}`,
  filtered_resps: [`says ${JSON.stringify(values)}`],
  metrics: Object.keys(values),
  ...values,
});
/** What is paired of two runs. */
const pairOf = async (a: string, b: string) => {
  const all = await pairRuns([
    { folder: a, patched: false },
    { folder: b, patched: false },
  ]);
  return all.flatMap(({ name, paired }) => (paired ? [{ name, ...paired }] : []));
};
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

test('accuracies: flips, exact McNemar, intervals, templates; documents of one run only are counted and left out', async () => {
  const a = folder('a', {
    'samples_gsm8k.jsonl': range(40).map((i) => sample(i, { exact_match: Number(i < 10) })),
  });
  // 10..17 gained, 0 and 1 lost; document 39 is missing, 99 is new, and the order differs.
  const right = (i: number) => Number((i >= 2 && i < 18) || i === 99);
  const b = folder('b', {
    'samples_gsm8k.jsonl': [99, ...range(39).reverse()].map((i) => sample(i, { exact_match: right(i) })),
  });
  const [one, ...others] = await pairOf(a, b);
  expect(others).toEqual([]);
  if (one?.kind !== 'accuracy') throw new Error(`is ${one?.kind}`);
  expect([one.name, one.n, one.unpaired]).toEqual(['gsm8k exact_match', 39, 2]);
  const { comparison } = one;
  expect([comparison.gained, comparison.lost]).toEqual([8, 2]);
  // 2 P(X <= 2) of 10 fair coins: 2 (1 + 10 + 45) / 1024.
  expect(comparison.p).toBeCloseTo(112 / 1024, 12);
  expect(comparison.gain).toBeCloseTo(6 / 39, 12);
  expect(comparison.interval.low).toBeLessThan(6 / 39);
  expect(comparison.templateInterval).not.toBeNull();
  expect(one.templates.map(({ template, n, gained, lost }) => [template, n, gained, lost])).toEqual([
    ['0', 13, 2, 1],
    ['1', 13, 3, 1],
    ['2', 13, 3, 0],
  ]);
  expect(one.flips.filter(({ kind }) => kind === 'right-to-wrong').map(({ id }) => id)).toEqual(['0', '1']);
});

test('scores that are shares, and log-likelihoods over units', async () => {
  const share = (shift: number) => range(30).map((i) => sample(i, { acc: 0.3 + shift + (i % 5) / 100 }));
  const text = (factor: number) =>
    range(30).map((i) =>
      sample(i, { word_perplexity: [-factor * (i + 1), i + 1], token_perplexity: [-i, i + factor] }),
    );
  const a = folder('c', { 'samples_truthfulqa_mc2.jsonl': share(0), 'samples_text.jsonl': text(3) });
  const b = folder('d', { 'samples_truthfulqa_mc2.jsonl': share(0.1), 'samples_text.jsonl': text(2) });
  const paired = await pairOf(a, b);
  // Numbers of tokens differ, so perplexities by token are not compared.
  expect(paired.map(({ name, kind }) => [name, kind])).toEqual([
    ['text word_perplexity', 'nats'],
    ['truthfulqa_mc2 acc', 'score'],
  ]);
  const [nats, score] = paired as [
    Extract<(typeof paired)[0], { a: number }>,
    Extract<(typeof paired)[0], { a: number }>,
  ];
  expect([nats.a, nats.b, nats.difference]).toEqual([3, 2, -1]);
  expect(nats.interval).toEqual({ low: -1, high: -1 });
  expect(score.difference).toBeCloseTo(0.1, 12);
  expect(score.interval.low).toBeCloseTo(0.1, 12);
});

test('evaluations: the patched model where there is one; equal documents pair one to one', async () => {
  const answer = (model: string, i: number, correct: boolean) => ({
    model,
    suite: 'test',
    doc_id: i,
    doc: { id: `p${i % 4}`, template_id: `t${i % 2}` },
    correct,
    text: String(correct),
  });
  const a = folder('e', { 'evaluate-samples.jsonl': range(8).map((i) => answer('base', i, false)) });
  const b = folder('f', {
    'evaluate-samples.jsonl': [
      ...range(8).map((i) => answer('base', i, false)),
      ...range(8).map((i) => answer('amplified', i, i < 3)),
    ],
  });
  const [one] = await pairOf(a, b);
  if (one?.kind !== 'accuracy') throw new Error(`is ${one?.kind}`);
  expect([one.name, one.n, one.unpaired, one.comparison.gained, one.templates.length]).toEqual([
    'test',
    8,
    0,
    3,
    2,
  ]);
});

test('sides: what both answered; suites of one run, and those without a common document, unpaired', async () => {
  const answer = (model: string, suite: string, i: number, correct: boolean) => ({
    model,
    suite,
    doc_id: i,
    doc: suite === 'test' || suite === 'unseen' ? { id: `p${i}`, target: i } : { prompt: `q${i}`, suite },
    correct,
    text: '',
  });
  const both = (suite: string, from: number, to: number, right: number) =>
    ['base', 'amplified'].flatMap((model) =>
      range(to)
        .slice(from)
        .map((i) => answer(model, suite, i, i < (model === 'base' ? from + 1 : right))),
    );
  const a = folder('sides-a', {
    'evaluate-samples.jsonl': [
      ...both('sort', 0, 4, 4),
      ...both('test', 0, 10, 5),
      ...both('unseen', 0, 4, 2),
    ],
  });
  const b = folder('sides-b', {
    'evaluate-samples.jsonl': [
      ...both('test', 5, 15, 13),
      ...both('unseen', 4, 8, 8),
      // Two suites of one name are told apart by what is in them.
      answer('base', 'test', 0, true),
    ].map((record, i, all) =>
      i < all.length - 1 ? record : { ...record, doc: { prompt: 'q', suite: 'test' } },
    ),
  });
  const rows = await pairRuns([
    { folder: a, patched: true },
    { folder: b, patched: true },
  ]);
  expect(rows.map(({ role, name, a, b, paired }) => [role, name, a, b, paired?.n ?? null])).toEqual([
    // p5 .. p9: of the base model none, and p5.
    ['target', 'test', { value: 0, n: 5, base: 0 }, { value: 1, n: 5, base: 0.2 }, 5],
    ['set', 'unseen', { value: 0.5, n: 4, base: 0.25 }, { value: 1, n: 4, base: 0.25 }, null],
    ['control', 'sort', { value: 1, n: 4, base: 0.25 }, null, null],
  ]);
});

test('the base model’s answers do not stand for a patched model that has none yet', async () => {
  const answers = range(4).map((i) => ({
    model: 'base',
    suite: 'test',
    doc_id: i,
    doc: { id: `p${i}`, target: 1 },
    correct: true,
    text: '',
  }));
  const a = folder('base-only', { 'evaluate-samples.jsonl': answers });
  expect((await pairOf(a, a)).map(({ n }) => n)).toEqual([4]);
  const patched = { folder: a, patched: true };
  expect(await pairRuns([patched, patched])).toEqual([]);
});

test('a broken samples file is named with its line', async () => {
  const a = folder('g', { 'samples_text.jsonl': [{ doc: {}, filter: 'none', metrics: 'acc' }] });
  await expect(pairOf(a, a)).rejects.toThrow(/samples_text\.jsonl:1/);
});
