import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { build, cca, fixture, result, scratch } from './built.ts';
import { DECODING, tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);
const tokenizer = loadTokenizer(task.model);
const bos = tokenizer.bosTokenId!;
const read = (...names: string[]) => JSON.parse(fs.readFileSync(at(...names), 'utf8'));
const lines = (...names: string[]) =>
  fs
    .readFileSync(at(...names), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  await build();
  const questions = [1, 2, 3].map((n) => ({ question: `How many are ${n}?`, answer: `#### ${n}` }));
  fs.writeFileSync(at('questions.jsonl'), questions.map((one) => `${JSON.stringify(one)}\n`).join(''));
});

const generate = (out: string, ...more: string[]) => [
  ...['generate', '--model', task.model, '--problems', at('questions.jsonl'), '--samples', '1'],
  ...['--max-tokens', '4', '--out', at(out), ...more],
];

test('questions go through the chat template, with one token at the start, and the manifest says so', async () => {
  await result(generate('chat', '--chat', '--system', 'Be brief.'));
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'How many are 1?' },
  ];
  const expected = tokenizer.encode(tokenizer.renderChat(messages, { addGenerationPrompt: true }), {
    addSpecialTokens: false,
  });
  const { prompt_ids: ids } = lines('chat', 'traces.jsonl').find(
    (trace) => trace.decoding.strategy === 'greedy' && trace.problem_id === 'gsm8k-1',
  );
  expect(ids).toEqual(expected);
  expect(ids.filter((id: number) => id === bos)).toEqual([bos]);
  expect(read('chat', 'manifest.json').stages.generate.chat).toEqual({ system: 'Be brief.', date: null });
  const other = await cca(generate('chat', '--chat'));
  expect(other.code).toBe(2);
  expect(other.stderr).toMatch(/stages\.generate|generate.*chat/);
});

test('an experiment file asks by chat, and options take the place of its turns', async () => {
  const experiment = {
    model: task.model,
    problems: { train: 'questions.jsonl', val: 'questions.jsonl', test: 'questions.jsonl' },
    controls: [task.controls],
    chat: { system: 'From the file.' },
    settings: { generate: { samples: 1 } },
  };
  fs.writeFileSync(at('experiment.json'), JSON.stringify(experiment));
  const run = ['run', '--experiment', at('experiment.json'), '--until', 'generate', ...DECODING];
  await result([...run, '--out', at('file')]);
  await result([...run, '--out', at('given'), '--system', 'As given.']);
  for (const [out, system] of [
    ['file', 'From the file.'],
    ['given', 'As given.'],
  ] as const) {
    const [{ prompt_ids: ids }] = lines(out, 'traces.jsonl');
    expect(tokenizer.decode(ids)).toContain(system);
    expect(read(out, 'manifest.json').stages.generate.chat.system).toBe(system);
  }
});

test('evaluate and benchmark ask by chat too', async () => {
  const shared = ['--model', task.model, '--max-tokens', '4', '--chat'];
  await result(['evaluate', ...shared, '--problems', at('questions.jsonl'), '--out', at('evaluated')]);
  const [sample] = lines('evaluated', 'evaluate-samples.jsonl');
  expect(sample.doc).toMatchObject({ add_special_tokens: false, prompt: expect.stringContaining('user') });
  const benchmark = ['benchmark', ...shared, '--task', 'gsm8k', '--data', at('questions.jsonl')];
  const few = ['--few-shot', at('questions.jsonl'), '--shots', '1', '--max-length', '2000'];
  await result([...benchmark, ...few, '--out', at('turns')]);
  await result([...benchmark, ...few, '--single-turn', '--out', at('single')]);
  const turns = (out: string) =>
    lines(out, 'samples_gsm8k.jsonl')[0].arguments.gen_args_0.arg_0.split('<|start_header|>').length - 1;
  expect([turns('turns'), turns('single')]).toEqual([4, 2]);
  const { chat_template, chat_template_sha, fewshot_as_multiturn } = read('turns', 'results.json');
  expect(chat_template).toBe(tokenizer.chatTemplate());
  expect(chat_template_sha).toMatch(/^[0-9a-f]{64}$/);
  expect([fewshot_as_multiturn, read('single', 'results.json').fewshot_as_multiturn]).toEqual([true, false]);
});

test("a template without a system's turn: refused for problems, left out of benchmarks with a word", async () => {
  const model = at('plain');
  fs.cpSync(fixture('llama-tied'), model, { recursive: true });
  const template =
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{% for m in messages %}[{{ m.content }}]{% endfor %}";
  fs.writeFileSync(path.join(model, 'chat_template.jinja'), template);
  const more = ['--model', model, '--chat', '--system', 'Be brief.', '--max-tokens', '4'];
  const refused = await cca(generate('no', ...more));
  expect(refused.stderr).toMatch(
    /^(device.*\n)?cca generate: .*chat_template\.jinja: .*no system here[^\n]*\n$/,
  );
  expect(refused.code).toBe(2);
  const benchmark = ['benchmark', '--task', 'gsm8k', '--data', at('questions.jsonl'), '--shots', '0'];
  const scored = await cca([...benchmark, ...more, '--out', at('without')]);
  expect(scored.stderr).toContain("takes no system's turn");
  expect(lines('without', 'samples_gsm8k.jsonl')[0].arguments.gen_args_0.arg_0).toBe(
    '[Question: How many are 1?\nAnswer:]',
  );
});

test('a model without a chat template, and a task that asks nothing, are refused in one line', async () => {
  const model = at('base');
  fs.cpSync(fixture('llama-tied'), model, { recursive: true });
  const file = path.join(model, 'tokenizer_config.json');
  const { chat_template: _, ...config } = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.writeFileSync(file, JSON.stringify(config));
  const none = await cca(generate('no', '--model', model, '--chat'));
  expect(none.code).toBe(2);
  expect(none.stderr).toMatch(/base: there is no chat template\. Use a chat model/);
  const text = await cca([
    ...[
      'benchmark',
      '--model',
      task.model,
      '--task',
      'text',
      '--data',
      task.text,
      '--chat',
      '--out',
      at('no'),
    ],
  ]);
  expect(text.code).toBe(2);
  expect(text.stderr).toMatch(/--chat: text scores texts, not questions/);
});
