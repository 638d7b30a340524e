import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeInstances } from '../../../server/data/instances.ts';
import { readProblems } from '../../../server/data/problems.ts';
import { readTemplate } from '../../../server/data/templates.ts';
import { InputError } from '../../../server/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'templates-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

const base = {
  question: 'A baker fills 3 trays with 8 rolls each and sells half of them. How many are left?',
  answer: 'There are 3*8 = 24 rolls.\n12 are left.\n#### 12',
  id_orig: 9001,
  id_shuffled: 4,
  question_annotated: [
    '{name,A baker} fills {n,3} trays with {k, 8} rolls each on {day,Monday} and sells {frac,half} of them by {next,Tuesday}. How many are left?',
    '',
    '#init:',
    '- name = sample(names_female)',
    '- day, next = sample_sequential(weekdays, 2)',
    '- $n = range(3, 9)',
    '-$k= range(6, 20, 2)',
    '- $frac = sample(fraction_alph)',
    '',
    '#conditions:',
    '- is_int(n * k * frac)',
    '- n * k * (1 - frac) > 2',
    '',
    '#answer: int(n*k*(1-frac))',
  ].join('\n'),
  answer_annotated:
    'There are {n}*{k} = <<{n}*{k}={n*k}>>{n*k} rolls.\n{n*k} * {frac} = {int(n*k*frac)} are sold.\n#### {n*k - int(n*k*frac)}',
};
const file = (change: Partial<Record<keyof typeof base, unknown>> = {}): string => {
  const path = join(folder, `${count++}.json`);
  writeFileSync(path, JSON.stringify({ ...base, ...change }));
  return path;
};
const withInit = (init: string, answer = 'x', conditions = '') =>
  file({
    question_annotated: `Is it {x,1}?\n#init:\n${init}\n${conditions ? `#conditions:\n${conditions}\n` : ''}#answer: ${answer}`,
    answer_annotated: '#### {x}',
  });
const refuses = async (path: string, message: string, n = 1) => {
  const make = async () => makeInstances(await readTemplate(path), n, 1, { maxDraws: 2000 });
  const error: Error = await make().then(
    () => expect.unreachable(),
    (e) => e,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toContain(`${path}: `);
  expect(error.message).toContain(message);
};

const PATTERN =
  /^(\p{Lu}\p{L}+) fills (\d) trays with (\d+) rolls each on (\w+day) and sells ([a-z-]+) of them by (\w+day)\. How many are left\?$/u;
const SHARES: Record<string, number> = {
  half: 1 / 2,
  'one-third': 1 / 3,
  'one-fourth': 1 / 4,
  'one-fifth': 1 / 5,
  'one-eighth': 1 / 8,
  'one-tenth': 1 / 10,
  'two-thirds': 2 / 3,
  'three-fourths': 3 / 4,
};

describe('makeInstances', () => {
  it('fills questions with draws that meet the conditions, and solves them', async () => {
    const instances = makeInstances(await readTemplate(file()), 40, 'seed');
    expect(new Set(instances.map((i) => i.question)).size).toBe(40);
    for (const { question, answer } of instances) {
      const [, , n, k, , word, next] = PATTERN.exec(question) ?? expect.unreachable(question);
      const rolls = Number(n) * Number(k);
      const sold = rolls * SHARES[word!]!;
      expect(Number(n) >= 3 && Number(n) < 9 && Number(k) >= 6 && Number(k) < 20 && Number(k) % 2 === 0).toBe(
        true,
      );
      expect(sold).toBeCloseTo(Math.round(sold), 9);
      expect(rolls - sold).toBeGreaterThan(2);
      expect(next).toMatch(/day$/);
      expect(answer.startsWith(`There are ${n}*${k} = ${rolls} rolls.\n${rolls} * `)).toBe(true);
      expect(answer).toMatch(/\* \d\/\d+ = /); // the pair's number in the solution, its word in the question
      expect(answer.endsWith(`#### ${Math.round(rolls - sold)}`)).toBe(true);
    }
  });

  it('gives the same instances for a seed, whatever the count', async () => {
    const template = await readTemplate(file());
    const five = makeInstances(template, 5, 1);
    expect(makeInstances(template, 8, 1).slice(0, 5)).toEqual(five);
    expect(makeInstances(template, 5, 2)).not.toEqual(five);
  });

  it('makes what readProblems reads', async () => {
    const instances = makeInstances(await readTemplate(file()), 25, 1);
    const path = join(folder, 'instances.jsonl');
    writeFileSync(path, instances.map((i) => JSON.stringify(i)).join('\n'));
    const { problems, format } = await readProblems(path);
    expect(format).toBe('gsm-symbolic');
    expect(problems.map((p) => p.template_id)).toEqual(Array(25).fill('9001'));
    expect(problems.map((p) => p.split).filter((s) => s === 'train')).toHaveLength(13);
    expect(problems[0]!.original_question).toBe(base.question);
  });

  it('takes lists of the user', async () => {
    const lists = { names_female: ['Xenia'], fraction_alph: [['a half', 0.5]] };
    for (const { question } of makeInstances(await readTemplate(file()), 5, 1, { lists })) {
      expect(question).toMatch(/^Xenia fills .* sells a half of them/);
    }
    const wrong = { names_female: [{}] };
    const template = await readTemplate(file());
    expect(() => makeInstances(template, 1, 1, { lists: wrong })).toThrow(InputError);
  });

  it('chooses from candidates of every kind, and lets later ones use earlier variables', async () => {
    const template = await readTemplate(
      withInit(
        '- $a = [2, 4]\n- $b = np.arange(0.5, 2, 0.5)\n- $c = range(a, a + 2)\n- x = a * b + c',
        '{$x}',
        '- c > a',
      ),
    );
    const questions = makeInstances(template, 6, 3).map((i) => i.question);
    // a is 2 or 4, b one of 0.5, 1, 1.5, and c = a + 1.
    expect([...questions].sort()).toEqual(['4', '5', '6', '7', '9', '11'].map((x) => `Is it ${x}?`).sort());
  });

  it('destructures a drawn pair', async () => {
    const template = await readTemplate(withInit('- unit, x = sample([("foot", 12), ("yard", 36)])', 'x'));
    const questions = makeInstances(template, 2, 1).map((i) => i.question);
    expect(questions.sort()).toEqual(['Is it 12?', 'Is it 36?']);
  });

  it('takes a condition that divides by zero as not met', async () => {
    const template = await readTemplate(withInit('- $x = range(0, 3)', 'x', '- divides(4, x)'));
    expect(
      makeInstances(template, 2, 1)
        .map((i) => i.question)
        .sort(),
    ).toEqual(['Is it 1?', 'Is it 2?']);
  });

  it('passes over the few draws whose two answers differ', async () => {
    const template = await readTemplate(withInit('- $x = range(1, 20)', 'x if x != 3 else 4'));
    const questions = makeInstances(template, 18, 1).map((i) => i.question);
    expect(questions).not.toContain('Is it 3?');
  });

  it.each([
    [
      'a function that does not exist',
      '- $x = choose(1, 2)',
      '"choose(1, 2)" uses the unknown function choose',
    ],
    [
      'a name that does not exist',
      '- $x = sample(planets)',
      '"sample(planets)" uses the unknown name planets',
    ],
    ['a broken expression', '- $x = range(1,', '"range(1," ends too early'],
    ['a line that assigns nothing', '- range(3)', '"range(3)" is no assignment'],
    ['the wrong number of values', '- x, y = sample([1, 2, 3], 3)', 'does not give 2 values'],
    ['nothing to choose from', '- $x = range(3, 3)', 'has nothing to choose from'],
  ])('refuses %s, naming file and expression', (_, init, message) => refuses(withInit(init), message));

  it('refuses conditions that are never met, and more instances than there are', async () => {
    await refuses(
      withInit('- $x = range(5)', 'x', '- x > 9'),
      'gave 0 instances and no further one in 2000 draws',
    );
    await refuses(withInit('- $x = range(5)'), 'gave 5 instances and no further one', 6);
  });

  it('refuses a template whose solution contradicts its answer', async () => {
    await refuses(withInit('- $x = range(1, 5)', 'x + 1'), 'where the worked solution says');
    await refuses(withInit('- x = sample(["a"])', '"a"'), 'is no number');
  });
});

describe('readTemplate', () => {
  it.each([
    [
      'no sections',
      { question_annotated: 'Just a question?' },
      'field "question_annotated" lacks #init: or #answer:',
    ],
    ['no solution', { answer_annotated: undefined }, 'field "answer_annotated" is missing'],
    ['no number of the original', { id_orig: null }, 'field "id_orig" is missing'],
    [
      'a slot that cannot be read',
      { answer_annotated: '{n +}\n#### 1' },
      'the expression "n +" ends too early',
    ],
  ])('refuses %s', (_, change, message) => refuses(file(change), message));

  it('refuses what is no template', async () => {
    const path = join(folder, 'array.json');
    writeFileSync(path, '[]');
    await expect(readTemplate(path)).rejects.toThrow(`${path}: is not a JSON object`);
  });

  it('reads "#answer =" and conditions without a dash', async () => {
    const path = file({
      question_annotated: base.question_annotated
        .replace('#answer:', '#answer =')
        .replace('- is_int', 'is_int'),
    });
    expect(makeInstances(await readTemplate(path), 3, 1)).toHaveLength(3);
  });
});
