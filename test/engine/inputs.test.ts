import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { neverAborted } from '../../server/control.ts';
import { loadControls, loadText, splitControls } from '../../server/engine/inputs/controls.ts';
import { loadProblems } from '../../server/engine/inputs/problems.ts';
import { chooseDevice, type DeviceReport } from '../../server/onnx/devices.ts';
import { fixture, scratch } from '../cli/built.ts';

const root = scratch();

function write(name: string, content: string | readonly object[]): string {
  const file = path.join(root, name);
  const text =
    typeof content === 'string' ? content : content.map((one) => `${JSON.stringify(one)}\n`).join('');
  fs.writeFileSync(file, text);
  return file;
}

const suite = (file: string) => [{ path: file, name: path.parse(file).name }];

describe('control suites', () => {
  test('own items keep the suite that they name', async () => {
    const file = write('own.jsonl', [
      { prompt: 'a', answer: 'b' },
      { prompt: 'c', choices: ['d', 'e'], label: 1, suite: 'choice' },
    ]);
    expect((await loadControls(suite(file), null)).map((item) => item.suite)).toEqual(['own', 'choice']);
    expect(await loadControls(suite(file), 1)).toHaveLength(1);
  });

  test('MMLU: the letters are compared', async () => {
    const file = write('mmlu.csv', 'What is two and two?,1,2,3,4,D\n');
    expect(await loadControls(suite(file), null)).toEqual([
      {
        id: '0',
        suite: 'mmlu',
        prompt: 'What is two and two?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:',
        choices: [' A', ' B', ' C', ' D'],
        label: 3,
      },
    ]);
  });

  test('TriviaQA: every accepted answer', async () => {
    const answer = { Value: 'Sun', Aliases: ['the Sun'], NormalizedAliases: ['sun'] };
    const file = write(
      'trivia.json',
      JSON.stringify({ Data: [{ Question: 'Which star?', Answer: answer }] }),
    );
    expect(await loadControls(suite(file), null)).toMatchObject([
      { prompt: 'Question: Which star?\nAnswer:', answer: ['Sun', 'the Sun', 'sun'] },
    ]);
  });

  test('TruthfulQA, as CSV and as multiple choice', async () => {
    const head = 'Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source';
    const csv = write('truth.csv', `${head}\nAdversarial,Myths,Is it?,No,No; Never,Yes; Always,x\n`);
    const item = { prompt: 'Q: Is it?\nA:', choices: [' No', ' Yes', ' Always'], label: 0 };
    expect(await loadControls(suite(csv), null)).toMatchObject([item]);
    const targets = { Yes: 0, No: 1, Always: 0 };
    const json = [{ question: 'Is it?', mc1_targets: targets, mc2_targets: targets }];
    const task = write('mc_task.json', JSON.stringify(json));
    const choices = [' Yes', ' No', ' Always'];
    expect(await loadControls(suite(task), null)).toMatchObject([{ ...item, choices, label: 1 }]);
  });

  test('as text: prompt and right answer', async () => {
    const items = write('items.jsonl', [
      { prompt: 'Two and two is', answer: ['four', '4'] },
      { prompt: 'Sort:\n', answer: 'a b' },
      { prompt: 'Best?', choices: [' no', ' yes'], label: 1 },
    ]);
    const texts = write('texts.jsonl', [{ text: 'plain' }]);
    expect(await loadText([items, texts])).toEqual([
      'Two and two is four',
      'Sort:\na b',
      'Best? yes',
      'plain',
    ]);
  });

  test('a broken text names its line', async () => {
    const file = write('half.jsonl', [{ text: 'plain' }, { text: 7 }]);
    await expect(loadText([file])).rejects.toThrow(/half\.jsonl:2: field "text" is a number/);
  });
});

describe('splitting control suites', () => {
  const items = ['a', 'b'].flatMap((name) =>
    Array.from({ length: 10 }, (_, i) => ({ prompt: `${name}${i}`, answer: 'x', suite: name })),
  );

  test('no item serves two ends, and every suite serves each', () => {
    const { text, guard, test: rest } = splitControls(items, 1, { text: true, guard: true });
    const used = [
      ...text.map((t) => t.slice(0, 2)),
      ...guard.map((i) => i.prompt),
      ...rest.map((i) => i.prompt),
    ];
    expect(used.sort()).toEqual(items.map((i) => i.prompt).sort());
    for (const name of ['a', 'b']) {
      expect(text.filter((t) => t.startsWith(name))).toHaveLength(2);
      expect(guard.filter((i) => i.suite === name)).toHaveLength(2);
      expect(rest.filter((i) => i.suite === name)).toHaveLength(6);
    }
  });

  test('by seed, and only as wanted', () => {
    const wanted = { text: false, guard: true };
    expect(splitControls(items, 1, wanted)).toEqual(splitControls(items, 1, wanted));
    expect(splitControls(items, 1, wanted)).not.toEqual(splitControls(items, 2, wanted));
    expect(splitControls(items, 1, wanted)).toMatchObject({
      text: [],
      guard: { length: 4 },
      test: { length: 16 },
    });
  });
});

describe('problems', () => {
  const file = write('gsm.jsonl', [
    { question: 'One?', answer: '#### 1' },
    { question: 'Two?', answer: '#### 2' },
  ]);
  const all = { file, split: null, limit: null };
  const tokenizer = loadTokenizer(fixture('llama-tied'));
  const run = { seed: 0, tokenizer, signal: neverAborted };

  test('few-shot examples stand before every question', async () => {
    const examples = write('shots.jsonl', [{ question: 'Three?', answer: 'It is 3. #### 3' }]);
    const [first] = await loadProblems(all, { template: null, fewShot: examples, chat: null }, run);
    expect(first!.prompt).toBe('Q: Three?\nA: It is 3. #### 3\n\nQ: One?\nA:');
    const text = write('shots.txt', 'As it is.\n');
    const [other] = await loadProblems(all, { template: 'What: {question}', fewShot: text, chat: null }, run);
    expect(other!.prompt).toBe('As it is.\nWhat: One?');
  });

  test('in a chat every question is a turn, and so is every worked example; special tokens are in the text', async () => {
    const examples = write('turns.jsonl', [{ question: 'Three?', answer: 'It is 3. #### 3' }]);
    const chat = { system: 'Be brief.', date: null };
    const [first] = await loadProblems(all, { template: null, fewShot: examples, chat }, run);
    const turn = (role: string, text: string) =>
      `<|start_header|>${role}<|end_header|>\n\n${text}<|turn_end|>`;
    expect(first).toMatchObject({
      prompt: `<|begin_of_text|>${turn('system', 'Be brief.')}${turn('user', 'Three?')}${turn('assistant', 'It is 3. #### 3')}${turn('user', 'One?')}<|start_header|>assistant<|end_header|>\n\n`,
      add_special_tokens: false,
      target: 1,
    });
    const text = write('before.txt', 'As it is.\n');
    const plain = { template: 'What: {question}', fewShot: text, chat: { system: null, date: null } };
    const [other] = await loadProblems(all, plain, run);
    expect(other!.prompt).toContain(turn('user', 'As it is.\nWhat: One?'));
    const own = write('prompt.jsonl', [{ prompt: 'As told', answer: '1' }]);
    await expect(loadProblems({ ...all, file: own }, plain, run)).rejects.toThrow(
      /prompt\.jsonl:1: field "prompt" is given, and a chat template too/,
    );
  });

  test('a prompt that is a rendered chat says so itself', async () => {
    const rendered = write('rendered.jsonl', [
      { prompt: '<|begin_of_text|>Hi', answer: '1', add_special_tokens: false },
    ]);
    const prompts = { template: null, fewShot: null, chat: null };
    const [one] = await loadProblems({ ...all, file: rendered }, prompts, run);
    expect(one!.add_special_tokens).toBe(false);
    const wrong = write('wrong.jsonl', [{ prompt: 'Hi', answer: '1', add_special_tokens: 'no' }]);
    await expect(loadProblems({ ...all, file: wrong }, prompts, run)).rejects.toThrow(
      /add_special_tokens" is a string/,
    );
  });

  test('a split without problems is refused', async () => {
    const prompts = { template: null, fewShot: null, chat: null };
    const single = write('single.jsonl', [{ prompt: 'a', answer: '1', split: 'train' }]);
    await expect(loadProblems({ file: single, split: 'test', limit: null }, prompts, run)).rejects.toThrow(
      'single.jsonl: has no problems of split test',
    );
    expect(await loadProblems({ ...all, limit: 1 }, prompts, run)).toHaveLength(1);
  });
});

describe('the device that auto means', () => {
  const works = (device: DeviceReport['device'], milliseconds: number): DeviceReport => ({
    device,
    works: true,
    reason: null,
    milliseconds,
  });
  const fails: DeviceReport = { device: 'cuda', works: false, reason: 'no driver', milliseconds: null };
  const large = 10 ** 9;

  test.each<[string, DeviceReport[], number | null, string, RegExp]>([
    ['nothing but the CPU', [works('cpu', 9), fails], large, 'cpu', /no accelerator works/],
    [
      'a fast accelerator',
      [works('cpu', 9), fails, works('webgpu', 1)],
      large,
      'webgpu',
      /1\.0 ms against 9\.0 ms/,
    ],
    ['the faster of two', [works('cpu', 9), works('dml', 2), works('webgpu', 1)], null, 'webgpu', /1\.0 ms/],
    ['a software one', [works('cpu', 9), works('webgpu', 80)], large, 'cpu', /webgpu is not 2 times as fast/],
    ['a small model', [works('cpu', 9), works('webgpu', 1)], 10 ** 6, 'cpu', /the model is small \(1 MB\)/],
  ])('%s', (_, reports, bytes, device, reason) => {
    expect(chooseDevice(reports, bytes)).toEqual({ device, reason: expect.stringMatching(reason) });
  });
});
