/** Small valid files of every kind that the product reads: what the fuzzer damages. */
import fs from 'node:fs';
import path from 'node:path';

const FIXTURES = path.resolve(import.meta.dirname, '..', 'test', 'fixtures');

const jsonl = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** A kind of input: its file (or folder), and the command that reads it. */
export interface Kind {
  name: string;
  /** The file in a case's folder that is damaged; for a checkpoint, in the model's folder. */
  file: string;
  form: 'json' | 'jsonl' | 'csv' | 'text' | 'safetensors';
  command(at: (name: string) => string): string[];
}

const model = (at: (name: string) => string, name = 'model') => [
  '--model',
  at(name),
  '--device',
  'cpu',
  '--threads',
  '1',
];
const short = ['--max-tokens', '2', '--batch', '4'];
const score =
  (name = 'model') =>
  (at: (name: string) => string) => ['score', ...model(at, name), '--text', 'The answer is 12.'];
const out = (at: (name: string) => string) => ['--out', at('out')];

function benchmark(task: string, file: string, form: Kind['form'] = 'jsonl'): Kind {
  const command: Kind['command'] = (at) => [
    ...['benchmark', ...model(at), '--task', task, '--data', at(file), '--shots', '0', ...short],
    ...out(at),
  ];
  return { name: task, file, form, command };
}

const dcm = ['--select', 'dcm', '--epochs', '1', '--lambda', '0.01'];

export const kinds: readonly Kind[] = [
  { name: 'weights', file: 'model/model.safetensors', form: 'safetensors', command: score() },
  { name: 'config', file: 'model/config.json', form: 'json', command: score() },
  { name: 'tokenizer', file: 'model/tokenizer.json', form: 'json', command: score() },
  { name: 'generation config', file: 'model/generation_config.json', form: 'json', command: score() },
  { name: 'tokenizer config', file: 'model/tokenizer_config.json', form: 'json', command: score() },
  {
    name: 'shard',
    file: 'sharded/model-00002-of-00002.safetensors',
    form: 'safetensors',
    command: score('sharded'),
  },
  { name: 'index', file: 'sharded/model.safetensors.index.json', form: 'json', command: score('sharded') },
  {
    name: 'problems',
    file: 'problems.jsonl',
    form: 'jsonl',
    command: (at) => [
      'generate',
      ...model(at),
      '--problems',
      at('problems.jsonl'),
      '--samples',
      '1',
      ...short,
      ...out(at),
    ],
  },
  {
    name: 'traces',
    file: 'traces.jsonl',
    form: 'jsonl',
    command: (at) => ['localize', ...model(at), '--traces', at('traces.jsonl'), ...short, ...out(at)],
  },
  {
    name: 'pairs',
    file: 'pairs.jsonl',
    form: 'jsonl',
    command: (at) => ['mask', ...model(at), '--pairs', at('pairs.jsonl'), ...dcm, ...out(at)],
  },
  {
    name: 'localisation of the reference',
    file: 'pairs.json',
    form: 'json',
    command: (at) => ['mask', ...model(at), '--pairs', at('pairs.json'), ...dcm, ...out(at)],
  },
  {
    name: 'mask',
    file: 'mask.json',
    form: 'json',
    command: (at) => [
      ...['amplify', ...model(at), '--pairs', at('pairs.jsonl'), '--mask', at('mask.json'), '--steps', '1'],
      ...['--problems', at('problems.jsonl'), ...short, ...out(at)],
    ],
  },
  {
    name: 'patch',
    file: 'patch.safetensors',
    form: 'safetensors',
    command: (at) => [...score()(at), '--patch', at('patch.safetensors')],
  },
  {
    name: 'controls',
    file: 'controls.jsonl',
    form: 'jsonl',
    command: (at) => [
      ...['evaluate', ...model(at), '--problems', at('problems.jsonl'), '--controls', at('controls.jsonl')],
      ...[...short, ...out(at)],
    ],
  },
  {
    name: 'experiment',
    file: 'experiment.json',
    form: 'json',
    command: (at) => ['run', '--experiment', at('experiment.json'), '--limit', '1', '--max-tokens', '2'],
  },
  {
    name: 'manifest',
    file: 'run/manifest.json',
    form: 'json',
    command: (at) => [
      'generate',
      ...model(at),
      '--problems',
      at('problems.jsonl'),
      '--samples',
      '1',
      ...short,
      '--out',
      at('run'),
    ],
  },
  {
    name: 'journal',
    file: 'run/journal.jsonl',
    form: 'jsonl',
    command: (at) => [
      'generate',
      ...model(at),
      '--problems',
      at('problems.jsonl'),
      '--samples',
      '1',
      ...short,
      '--out',
      at('run'),
    ],
  },
  {
    name: 'text',
    file: 'note.txt',
    form: 'text',
    command: (at) => ['score', ...model(at), '--file', at('note.txt')],
  },
  benchmark('gsm8k', 'gsm8k.jsonl'),
  benchmark('mmlu', 'mmlu.csv', 'csv'),
  benchmark('triviaqa', 'trivia.json', 'json'),
  benchmark('truthfulqa_mc1', 'mc_task.json', 'json'),
  benchmark('multiple_choice', 'choices.jsonl'),
];

/** Writes everything but what commands make: mask, patch, traces, run folder. */
export function writeValid(root: string): void {
  fs.cpSync(path.join(FIXTURES, 'llama-tied'), path.join(root, 'model'), { recursive: true });
  fs.cpSync(path.join(FIXTURES, 'llama-untied-hd'), path.join(root, 'sharded'), { recursive: true });
  const write = (name: string, text: string) => fs.writeFileSync(path.join(root, name), text);
  const problems = range(4).map((i) => ({ id: `p${i}`, prompt: `How many are ${i} = `, answer: String(i) }));
  const pairs = range(4).map((i) => ({
    ...{
      id: `pair${i}`,
      prefix: [0, 20 + i, 40, 60 + i],
      desired: 70 + i,
      undesired: 90,
      method: 'imported',
      status: 'auto',
    },
  }));
  const located = range(3).map((i) => ({
    ...{
      prefix: `How many are ${i}`,
      desired_token: 70,
      undesired_token: 80 + i,
      template_id: i,
      instance_id: 0,
    },
  }));
  const choices = range(3).map((i) => ({ prompt: `It ${i} is`, choices: [' a', ' the'], label: i % 2 }));
  const marks = { 'It is.': 1, 'It is not.': 0 };
  write('problems.jsonl', jsonl(problems));
  write('pairs.jsonl', jsonl(pairs));
  write('pairs.json', JSON.stringify(located));
  write('choices.jsonl', jsonl(choices));
  write('controls.jsonl', jsonl([...choices, { prompt: 'He is', answer: 'x', suite: 'recall' }]));
  write(
    'gsm8k.jsonl',
    jsonl(range(3).map((i) => ({ question: `How many are ${i}?`, answer: `So.\n#### ${i}` }))),
  );
  write(
    'mmlu.csv',
    range(3)
      .map((i) => `"What, ${i}?",a,b,c,d,${'ABC'[i]}\n`)
      .join(''),
  );
  write(
    'trivia.json',
    JSON.stringify({
      Data: range(2).map((i) => ({
        Question: `Who ${i}`,
        QuestionId: `q${i}`,
        Answer: { Value: 'A', Aliases: ['A'] },
      })),
    }),
  );
  write('mc_task.json', JSON.stringify([{ question: 'Is it?', mc1_targets: marks, mc2_targets: marks }]));
  write('note.txt', 'The answer is 12.\n'.repeat(4));
  write(
    'experiment.json',
    JSON.stringify({
      ...{
        model: 'model',
        problems: 'problems.jsonl',
        controls: ['controls.jsonl'],
        out: 'out',
        seed: 1,
        device: 'cpu',
        threads: 1,
      },
      ...{
        preset: 'default',
        limit: 1,
        settings: { generate: { samples: 1, maxTokens: 2 }, amplify: { steps: 1 } },
      },
    }),
  );
}

/** Commands that make the rest, in a folder with the valid files. */
export function preparations(at: (name: string) => string): string[][] {
  const of = (name: string) => kinds.find((kind) => kind.name === name)!.command(at);
  const to = (line: string[], folder: string) => [...line.slice(0, -1), at(folder)];
  return [to(of('problems'), 'run'), to(of('pairs'), 'masked'), to(of('problems'), 'traced')];
}
