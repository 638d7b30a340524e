import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, cca, result, scratch } from './built.ts';
import { DECODING, tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);
const templates = at('templates');

/** A template in the form of GSM-Symbolic: a product that is told whole. */
function template(id: number, things: string) {
  return {
    question: `Mia fills 3 boxes with 4 ${things} each. How many ${things} are that?`,
    answer: 'She has 3*4 = 12.\n#### 12',
    id_orig: id,
    id_shuffled: 100 + id,
    question_annotated: [
      `{name,Mia} fills {n,3} boxes with {k,4} ${things} each. How many ${things} are that?`,
      '#init:',
      '- name = sample(names_female)',
      '- $n = range(2, 9)',
      '- $k = range(3, 9)',
      '#conditions:',
      '- n != k',
      '#answer: n*k',
    ].join('\n'),
    answer_annotated: 'She has {n}*{k} = {n*k}.\n#### {n*k}',
  };
}

const write = (name: string, content: object) =>
  fs.writeFileSync(path.join(templates, name), JSON.stringify(content));
const lines = (file: string) =>
  fs
    .readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  await build();
  fs.mkdirSync(templates);
  write('0001.json', template(11, 'pears'));
  write('0002.json', template(12, 'coins'));
});

describe('cca instances', () => {
  const draw = (out: string, ...more: string[]) => [
    ...['instances', '--templates', templates, '--count', '6', '--seed', '3', '--out', at(out), ...more],
  ];

  test('draws problems of every template, the same for a seed, and `generate` takes them', async () => {
    expect(await result(draw('a.jsonl'))).toMatchObject({ templates: 2, instances: 12, seed: 3 });
    const drawn = lines(at('a.jsonl'));
    expect(drawn.map(({ original_id, instance }) => `${original_id}/${instance}`)).toEqual(
      ['11', '12'].flatMap((id) => [0, 1, 2, 3, 4, 5].map((k) => `${id}/${k}`)),
    );
    expect(new Set(drawn.map(({ question }) => question)).size).toBe(12);
    for (const { question, answer } of drawn) {
      const [, n, k] = /fills (\d) boxes with (\d)/.exec(question)!;
      expect(n).not.toBe(k);
      expect(answer).toMatch(new RegExp(`#### ${Number(n) * Number(k)}$`));
    }
    await result(draw('b.jsonl'));
    expect(fs.readFileSync(at('b.jsonl'))).toEqual(fs.readFileSync(at('a.jsonl')));
    await result(draw('c.jsonl', '--seed', '4'));
    expect(lines(at('c.jsonl'))).not.toEqual(drawn);
    await result(draw('d.jsonl', '--count', '2'));
    expect(lines(at('d.jsonl'))).toEqual(drawn.filter(({ instance }) => instance < 2));
    const generate = [
      ...['generate', '--model', task.model, '--problems', at('a.jsonl'), '--split', 'train', '--limit', '2'],
      ...['--samples', '1', '--max-tokens', '2', '--out', at('traces')],
    ];
    expect(await result(generate)).toMatchObject({ problems: 2 });
  });

  test('takes a single template, and lists of its own', async () => {
    fs.writeFileSync(at('lists.json'), '{"names_female":["Zoe"]}');
    const lists = ['--lists', at('lists.json'), '--templates', path.join(templates, '0001.json')];
    expect(await result(draw('e.jsonl', ...lists))).toMatchObject({ templates: 1, instances: 6 });
    for (const { question } of lines(at('e.jsonl'))) expect(question).toMatch(/^Zoe fills/);
  });

  test.each([
    [
      'a folder without templates',
      () => ['--templates', fs.mkdtempSync(at('none-'))],
      /none-.*: has no templates/,
    ],
    ['more than there are', () => ['--count', '50000'], /0001\.json: gave \d+ instances and no further one/],
    ['no count', () => ['--count', '0'], /--count: .*from 1/],
    ['lists that are none', () => ['--lists', task.problems], /problems\.jsonl.*: is not valid JSON/],
  ])('refuses %s in one line', async (_, more, message) => {
    const { code, stdout, stderr } = await cca(draw('no.jsonl', ...more()));
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^cca[^\n]*\n$/);
    expect([code, stdout]).toEqual([2, '']);
    expect(fs.existsSync(at('no.jsonl'))).toBe(false);
  });

  test('refuses two templates of one question, and one that is broken', async () => {
    write('0003.json', template(11, 'nuts'));
    const twice = await cca(draw('no.jsonl'));
    expect(twice).toMatchObject({ code: 2 });
    expect(twice.stderr).toMatch(/0003\.json: id "11" stands at .*0001\.json already/);
    write('0003.json', { ...template(13, 'nuts'), answer_annotated: '{n +}\n#### 1' });
    const broken = await cca(draw('no.jsonl'));
    expect(broken.stderr).toMatch(/0003\.json: the expression "n \+" ends too early/);
    fs.rmSync(path.join(templates, '0003.json'));
  });
});

describe('an experiment on templates', () => {
  const experiment = () => {
    const content = {
      model: task.model,
      problems: { templates: 'templates', count: 10 },
      controls: [task.controls],
      out: 'run',
      settings: { generate: { samples: 1 } },
    };
    fs.writeFileSync(at('experiment.json'), JSON.stringify(content));
    return ['run', '--experiment', at('experiment.json'), '--until', 'generate', ...DECODING];
  };

  test('draws its problems as it starts, split per template, and knows their templates again', async () => {
    await result(experiment());
    const traces = lines(at('run', 'traces.jsonl')).filter(({ decoding }) => decoding.strategy === 'greedy');
    // The paper's 52 % of 10 instances, in each of two templates.
    expect(traces.length).toBeGreaterThanOrEqual(10);
    expect(traces.length).toBeLessThanOrEqual(11);
    expect(new Set(traces.map(({ template_id }) => template_id))).toEqual(new Set(['11', '12']));
    const { data, stages } = JSON.parse(fs.readFileSync(at('run', 'manifest.json'), 'utf8'));
    expect(data.train).toMatchObject({ path: templates, hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(data.test).toEqual(data.train);
    expect(stages.generate.instances).toBe(10);
    expect((await cca(experiment())).code).toBe(0);
    write('0002.json', template(12, 'stamps'));
    const changed = await cca(experiment());
    expect(changed.code).toBe(2);
    expect(changed.stderr).toMatch(/data\.train hash is/);
  });
});
