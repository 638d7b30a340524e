import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { type BenchmarkParams, benchmark } from '../../server/engine/jobs/benchmark.ts';
import { Models } from '../../server/engine/models.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { scoreContinuations } from '../../server/evaluate/likelihood.ts';
import { Runner } from '../../server/generate/forward.ts';
import { Model } from '../../server/model/model.ts';
import { fixture, scratch } from '../cli/built.ts';

const root = scratch();
const models = new Models();

function write(name: string, text: string): string {
  fs.writeFileSync(path.join(root, name), text);
  return path.join(root, name);
}
const jsonl = (name: string, records: object[]) =>
  write(name, records.map((record) => `${JSON.stringify(record)}\n`).join(''));

const params = (name: string, given: Partial<BenchmarkParams>): BenchmarkParams => ({
  model: { folder: fixture('llama-tied'), device: 'cpu', threads: 1 },
  out: path.join(root, name),
  seed: 0,
  fresh: false,
  task: 'gsm8k',
  data: '',
  fewShot: null,
  shots: 0,
  shotSeed: 1234,
  limit: null,
  patch: null,
  chat: null,
  settings: { batch: 8, maxTokens: 12, maxLength: null },
  ...given,
});

const score = (given: BenchmarkParams) =>
  benchmark(models)(given, { signal: neverAborted, emit: () => undefined });

/** Asks to stop once this many documents are scored. */
async function interrupt(given: BenchmarkParams, after: number): Promise<void> {
  const signal = { aborted: false };
  const run = benchmark(models)(given, {
    signal,
    emit: (event) => {
      if (event.event === 'progress' && event.done >= after) signal.aborted = true;
    },
  });
  await expect(run).rejects.toBeInstanceOf(Cancelled);
}

const questions = Array.from({ length: 150 }, (_, i) => ({
  question: `How many are ${i} and ${(i * 7) % 10}?`,
  answer: `So many.\n#### ${i}`,
}));
const choices = Array.from({ length: 150 }, (_, i) => ({
  prompt: `The answer ${i} is`,
  choices: [' a', ' the one', ' of them all'],
  label: i % 3,
}));

describe('an interrupted benchmark', () => {
  test.each([
    ['gsm8k', jsonl('questions.jsonl', questions)],
    ['multiple_choice', jsonl('choices.jsonl', choices)],
  ] as const)('%s goes on and leaves the bytes of one that was not interrupted', async (task, data) => {
    const whole = params(`${task}-whole`, { task, data });
    const parts = params(`${task}-parts`, { task, data });
    const report = await score(whole);
    const samples = (given: BenchmarkParams) => path.join(given.out, `samples_${task}.jsonl`);
    for (const after of [3, 70]) {
      await interrupt(parts, after);
      const kept = fs.readFileSync(samples(parts), 'utf8');
      expect(kept.split('\n').length).toBeGreaterThan(after);
      expect(fs.readFileSync(samples(whole), 'utf8').startsWith(kept)).toBe(true);
    }
    const resumed = await score(parts);
    expect(fs.readFileSync(samples(parts))).toEqual(fs.readFileSync(samples(whole)));
    expect(resumed.tasks).toEqual(report.tasks);
  });

  test('is not gone on with other documents or settings', async () => {
    const data = jsonl('changing.jsonl', questions.slice(0, 4));
    const given = params('changing', { data });
    await score(given);
    await expect(score({ ...given, shotSeed: 1 })).rejects.toBeInstanceOf(InputError);
    jsonl('changing.jsonl', questions.slice(0, 5));
    await expect(score(given)).rejects.toBeInstanceOf(InputError);
  });
});

describe('documents', () => {
  test('MMLU as published: CSV files of a folder, by subject, with the group above them', async () => {
    fs.mkdirSync(path.join(root, 'mmlu', 'test'), { recursive: true });
    fs.mkdirSync(path.join(root, 'mmlu', 'dev'), { recursive: true });
    for (const [subject, count] of [
      ['anatomy', 3],
      ['world_religions', 5],
    ] as const) {
      const rows = (n: number) =>
        Array.from({ length: n }, (_, i) => `"What, ${i}?",a,b,c,d,${'ABCD'[i % 4]}\n`);
      write(`mmlu/test/${subject}_test.csv`, rows(count).join(''));
      write(`mmlu/dev/${subject}_dev.csv`, rows(2).join(''));
    }
    const [data, fewShot] = [path.join(root, 'mmlu', 'test'), path.join(root, 'mmlu', 'dev')];
    const { tasks } = await score(params('mmlu-run', { task: 'mmlu', data, fewShot, shots: 2 }));
    expect(Object.entries(tasks).map(([name, { n, version }]) => [name, n, version])).toEqual([
      ['mmlu', 8, 2],
      ['mmlu_anatomy', 3, 1],
      ['mmlu_world_religions', 5, 1],
    ]);
    const value = (name: string) => tasks[name]!.metrics['acc,none']!.value;
    expect(value('mmlu')).toBeCloseTo(
      (3 * value('mmlu_anatomy') + 5 * value('mmlu_world_religions')) / 8,
      12,
    );
    const [first] = fs
      .readFileSync(path.join(root, 'mmlu-run', 'samples_mmlu_anatomy.jsonl'), 'utf8')
      .split('\n');
    const { arguments: asked } = JSON.parse(first!);
    expect(asked.gen_args_0.arg_0).toBe(
      'The following are multiple choice questions (with answers) about anatomy.\n\n' +
        'What, 0?\nA. a\nB. b\nC. c\nD. d\nAnswer: A\n\nWhat, 1?\nA. a\nB. b\nC. c\nD. d\nAnswer: B\n\n' +
        'What, 0?\nA. a\nB. b\nC. c\nD. d\nAnswer:',
    );
  });

  test('TriviaQA and TruthfulQA as published', async () => {
    const trivia = write(
      'trivia.json',
      JSON.stringify({
        Data: [
          { Question: 'Who', QuestionId: 'q1', Answer: { Value: 'A Cat', Aliases: ['A Cat', 'Felis'] } },
        ],
      }),
    );
    const scored = await score(params('trivia', { task: 'triviaqa', data: trivia }));
    expect(Object.keys(scored.tasks.triviaqa!.metrics)).toEqual([
      'exact_match,remove_whitespace',
      'normalized_match,remove_whitespace',
    ]);
    const choices = { 'It is.': 1, 'It is not.': 0, 'No comment.': 0 };
    const file = write(
      'mc_task.json',
      JSON.stringify([{ question: 'Is it?', mc1_targets: choices, mc2_targets: choices }]),
    );
    const { tasks } = await score(params('truthful', { task: 'truthfulqa_mc2', data: file }));
    expect(tasks.truthfulqa_mc2!.metrics['acc,none']!.value).toBeGreaterThan(0);
    expect(tasks.truthfulqa_mc2!.metrics['acc,none']!.value).toBeLessThan(1);
  });

  test('a file of plain text is one document', async () => {
    const data = write('page.txt', 'One line.\nAnd one more.\n'.repeat(40));
    const { tasks } = await score(params('page', { task: 'text', data }));
    expect(tasks.text!.n).toBe(1);
    expect(tasks.text!.metrics['token_perplexity,none']!.value).toBeGreaterThan(1);
  });

  test.each([
    ['examples wanted and none given', { data: jsonl('q1.jsonl', questions.slice(0, 2)), shots: null }],
    [
      'too few examples',
      { data: jsonl('q2.jsonl', questions), fewShot: jsonl('q3.jsonl', questions.slice(0, 2)), shots: 5 },
    ],
    [
      'no room for a completion',
      { data: jsonl('q4.jsonl', questions), settings: { batch: 1, maxTokens: 300, maxLength: null } },
    ],
    ['a broken record', { data: jsonl('q5.jsonl', [{ question: 'a', answer: [] }]) }],
    [
      'labels that do not fit',
      {
        task: 'truthfulqa_mc1' as const,
        data: jsonl('t1.jsonl', [
          {
            question: 'a',
            mc1_targets: { choices: ['b'], labels: [1, 0] },
            mc2_targets: { choices: ['b'], labels: [1] },
          },
        ]),
      },
    ],
    ['shots of a text', { task: 'text' as const, data: jsonl('t2.jsonl', [{ text: 'a' }]), shots: 1 }],
  ])('%s: refused', async (name, given) => {
    await expect(score(params(`refused ${name}`, given))).rejects.toBeInstanceOf(InputError);
  });
});

describe('log-likelihoods', () => {
  test('do not depend on how much runs at a time', async () => {
    for (const name of ['llama-tied', 'gemma3']) {
      const model = await Model.load(fixture(name), { provider: 'cpu', threads: 1 });
      const runner = await Runner.create(model);
      const runners = { shared: runner, plain: runner };
      const ids = Array.from({ length: 90 }, (_, i) => 5 + ((i * 37) % 200));
      const groups = [
        [{ context: ids.slice(0, 40), ids: ids.slice(40, 90) }],
        [{ context: ids.slice(3, 5), ids: ids.slice(5, 60) }],
      ];
      const options = { maxLength: 200, signal: neverAborted };
      const whole = await scoreContinuations(runners, groups, options);
      const pieces = await scoreContinuations(runners, groups, {
        ...options,
        logitBytes: 4 * model.config.vocabSize * 17,
      });
      for (const [g, [one]] of whole.entries()) {
        expect(pieces[g]![0]!.logLikelihood).toBeCloseTo(one!.logLikelihood, 3);
        expect(pieces[g]![0]!.greedy).toBe(one!.greedy);
      }
      await model.release();
    }
  });

  test('cut at the beginning equal those of the rest alone', async () => {
    const model = await Model.load(fixture('llama-tied'), { provider: 'cpu', threads: 1 });
    const runner = await Runner.create(model);
    const ids = Array.from({ length: 60 }, (_, i) => 5 + ((i * 31) % 200));
    const options = { maxLength: 20, signal: neverAborted };
    const [cut, rest] = await scoreContinuations(
      { shared: runner, plain: runner },
      [
        [{ context: ids.slice(0, 55), ids: ids.slice(55) }],
        [{ context: ids.slice(39, 55), ids: ids.slice(55) }],
      ],
      options,
    );
    expect(cut![0]!.logLikelihood).toBeCloseTo(rest![0]!.logLikelihood, 4);
    await model.release();
  });
});
