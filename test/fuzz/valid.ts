/** Small valid files of every kind that the product reads: what the fuzzer damages. */
import fs from 'node:fs';
import path from 'node:path';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import type { Pair, Trace } from '../../server/data/records.ts';
import { printTraceDocument } from '../../server/data/trace-print.ts';

const FIXTURES = path.resolve(import.meta.dirname, '..', 'test', 'fixtures');

const jsonl = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** A kind of input: its file (or folder), and the command that reads it. */
export interface Kind {
  name: string;
  /** The file in a case's folder that is damaged; for a checkpoint, in the model's folder. */
  file: string;
  form: 'json' | 'jsonl' | 'csv' | 'text' | 'safetensors';
  /** The kind whose bad fields these are too. */
  like?: string;
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

/** Families with a checkpoint of their own; a case has the files of its kind's. */
export const FAMILIES = ['mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'olmo2', 'phi3'] as const;

const generate = (at: (name: string) => string, problems: string, ...more: string[]) => [
  ...['generate', ...model(at), '--problems', at(problems), '--samples', '1', ...short, ...more],
  ...out(at),
];
const evaluate = (at: (name: string) => string, controls: string) => [
  ...['evaluate', ...model(at), '--problems', at('problems.jsonl'), '--controls', at(controls)],
  ...[...short, ...out(at)],
];
const mask = (at: (name: string) => string, pairs: string) => [
  ...['mask', ...model(at), '--pairs', at(pairs), ...dcm, ...out(at)],
];
const localize = (at: (name: string) => string, traces: string) => [
  ...['localize', ...model(at), '--traces', at(traces), ...short, ...out(at)],
];

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
    command: (at) => generate(at, 'problems.jsonl'),
  },
  {
    name: 'traces',
    file: 'traces.jsonl',
    form: 'jsonl',
    command: (at) => localize(at, 'traces.jsonl'),
  },
  {
    name: 'pairs',
    file: 'pairs.jsonl',
    form: 'jsonl',
    command: (at) => mask(at, 'pairs.jsonl'),
  },
  {
    name: 'localisation of the reference',
    file: 'pairs.json',
    form: 'json',
    command: (at) => mask(at, 'pairs.json'),
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
    command: (at) => evaluate(at, 'controls.jsonl'),
  },
  {
    name: 'experiment',
    file: 'experiment.json',
    form: 'json',
    command: (at) => [
      ...['run', '--experiment', at('experiment.json'), '--limit', '1', '--max-tokens', '2'],
      ...['--until', 'generate'],
    ],
  },
  {
    name: 'manifest',
    file: 'run/manifest.json',
    form: 'json',
    command: (at) => [...generate(at, 'problems.jsonl').slice(0, -1), at('run')],
  },
  {
    name: 'journal',
    file: 'run/journal.jsonl',
    form: 'jsonl',
    command: (at) => [...generate(at, 'problems.jsonl').slice(0, -1), at('run')],
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
  {
    name: 'PTS pivots',
    file: 'pivots.jsonl',
    form: 'jsonl',
    command: (at) => mask(at, 'pivots.jsonl'),
  },
  {
    name: 'traces of the reference',
    file: 'reference_greedy.json',
    form: 'json',
    command: (at) => localize(at, 'reference_greedy.json'),
  },
  {
    name: 'sampled traces of the reference',
    file: 'reference_non_greedy.json',
    form: 'json',
    like: 'traces of the reference',
    command: (at) => localize(at, 'reference_greedy.json'),
  },
  { name: 'trace document', file: 'pivot.trace', form: 'text', command: (at) => mask(at, 'pivot.trace') },
  {
    name: 'template',
    file: 'templates/two.json',
    form: 'json',
    command: (at) => ['instances', '--templates', at('templates'), '--count', '2', '--out', at('new.jsonl')],
  },
  {
    name: 'TruthfulQA CSV',
    file: 'truthful.csv',
    form: 'csv',
    command: (at) => evaluate(at, 'truthful.csv'),
  },
  {
    name: 'worked examples',
    file: 'shots.jsonl',
    form: 'jsonl',
    like: 'gsm8k',
    command: (at) => generate(at, 'gsm8k.jsonl', '--few-shot', at('shots.jsonl')),
  },
  {
    name: 'chat template',
    file: 'chat/chat_template.jinja',
    form: 'text',
    command: (at) => [
      ...['generate', ...model(at, 'chat'), '--problems', at('gsm8k.jsonl'), '--samples', '1', '--chat'],
      ...[...short, ...out(at)],
    ],
  },
  ...FAMILIES.map(
    (name): Kind => ({
      name: `config of ${name}`,
      file: `${name}/config.json`,
      form: 'json',
      like: 'config of a family',
      command: score(name),
    }),
  ),
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
  for (const name of FAMILIES)
    fs.cpSync(path.join(FIXTURES, name), path.join(root, name), { recursive: true });
  fs.cpSync(path.join(FIXTURES, 'llama-tied'), path.join(root, 'chat'), { recursive: true });
  const turn = '{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}';
  write('chat/chat_template.jinja', `${turn}{% if add_generation_prompt %}assistant:{% endif %}`);
  write('shots.jsonl', jsonl([{ question: 'How many are 9?', answer: '#### 9' }]));
  const pivot = (positive: boolean) => ({
    ...{ model_id: 'm', query: 'How many?', pivot_context: 'How many are', pivot_token: ' a' },
    ...{ pivot_token_id: positive ? 70 : 80, prob_before: 0.5, prob_after: positive ? 0.9 : 0.1 },
    ...{ prob_delta: positive ? 0.4 : -0.4, is_positive: positive, task_type: 'math', dataset_id: 'd' },
    ...{ dataset_item_id: '1', timestamp: '2025-01-01T00:00:00' },
  });
  write('pivots.jsonl', jsonl([pivot(true), pivot(false)]));
  const referenceTrace = (i: number, sampled: boolean) => ({
    ...{ prompt: `How many are ${i}`, prompt_len: 3, target: `#### ${i}`, reasoning_trace: 'How many' },
    ...{ generated_tokens: [0, 40 + i, 60, sampled ? 70 : 71, 80, 81], correct_answer: sampled },
    ...{ template_id: i, instance_id: 0 },
  });
  for (const [name, sampled] of [
    ['reference_greedy.json', false],
    ['reference_non_greedy.json', true],
  ] as const) {
    write(name, JSON.stringify(range(2).map((i) => referenceTrace(i, sampled))));
  }
  write('pivot.trace', traceDocument(loadTokenizer(path.join(root, 'model'))));
  fs.mkdirSync(path.join(root, 'templates'));
  write('templates/one.json', JSON.stringify(template(1)));
  write('templates/two.json', JSON.stringify(template(2)));
  write(
    'truthful.csv',
    'Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n' +
      range(3)
        .map((i) => `Adversarial,C,"Is ${i} it?",Yes ${i},Yes; It is,No; Not it,none\n`)
        .join(''),
  );
  write('note.txt', 'The answer is 12.\n'.repeat(4));
  write(
    'experiment.json',
    JSON.stringify({
      ...{
        model: 'model',
        problems: { train: 'problems.jsonl', val: 'gsm8k.jsonl', test: 'gsm8k.jsonl' },
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

function traceDocument(tokenizer: ReturnType<typeof loadTokenizer>): string {
  const prompt_ids = tokenizer.encode('How many are 3 = ');
  const completion_ids = [70, 71, 72, 73];
  const trace: Trace = {
    ...{ id: 'a/sample-0', problem_id: 'a', target: 3, prompt_ids, completion_ids },
    ...{ decoding: { strategy: 'greedy' }, text: 'x', answer: null, correct: false, truncated: false },
  };
  const pair: Pair = {
    ...{ id: 'a', prefix: [...prompt_ids, 70], desired: 90, undesired: 71 },
    ...{ method: 'human', status: 'accepted' },
  };
  return printTraceDocument(trace, [pair], tokenizer);
}

/** In the form of GSM-Symbolic's. */
function template(id: number): object {
  return {
    question: 'Mia has 3 pears and gets 4. How many?',
    answer: '3+4=7\n#### 7',
    id_orig: id,
    id_shuffled: id,
    question_annotated:
      '{name,Mia} has {n,3} pears and gets {k,4}. How many?\n#init:\n- name = sample(names_female)\n- $n = range(2, 9)\n- $k = range(2, 9)\n#conditions:\n- n != k\n#answer: n+k',
    answer_annotated: '{n}+{k}={n+k}\n#### {n+k}',
  };
}

/** Commands that make the rest, in a folder with the valid files. */
export function preparations(at: (name: string) => string): string[][] {
  const of = (name: string) => kinds.find((kind) => kind.name === name)!.command(at);
  const to = (line: string[], folder: string) => [...line.slice(0, -1), at(folder)];
  return [to(of('problems'), 'run'), to(of('pairs'), 'masked'), to(of('problems'), 'traced')];
}
