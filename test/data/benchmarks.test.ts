import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readMmlu, readTriviaQa, readTruthfulChoices, readTruthfulQa } from '../../server/data/benchmarks.ts';
import { InputError } from '../../server/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'benchmarks-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const file = (content: unknown): string => {
  const path = join(folder, `${count++}.txt`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const refuses = async (read: (path: string) => Promise<unknown>, content: unknown, message: string) => {
  const path = file(content);
  const error: Error = await read(path).then(
    () => expect.unreachable(),
    (e) => e,
  );
  expect(error).toBeInstanceOf(InputError);
  expect(error.message.startsWith(path + message), error.message).toBe(true);
};

describe('readMmlu', () => {
  it('reads quoted commas, quotes and line breaks', async () => {
    const csv = '"Which ""one"",\nof two?",1,"a, b",3,4,B\n2 + 2?,1,2,3,4,D\n';
    expect(await readMmlu(file(csv))).toEqual([
      { id: '0', question: 'Which "one",\nof two?', choices: ['1', 'a, b', '3', '4'], label: 1 },
      { id: '1', question: '2 + 2?', choices: ['1', '2', '3', '4'], label: 3 },
    ]);
  });
  it.each([
    ['a header', 'question,A,B,C,D,answer\n', ':1: has the answer "answer"'],
    ['five columns', 'q,1,2,3,4,A\nq,1,2,3,A\n', ':2: has 5 columns'],
    ['no such letter', '"q\nr",1,2,3,4,A\nq,1,2,3,4,E\n', ':3: has the answer "E"'],
    ['an open quote', 'q,1,2,3,4,A\n"q,1,2,3,4,A\n', ':2: is not valid CSV'],
    ['an empty file', '', ': has no rows'],
  ])('refuses %s', (_, csv, message) => refuses(readMmlu, csv, message));
});

describe('readTriviaQa', () => {
  const item = {
    QuestionId: 'tc_1',
    Question: 'Which river?',
    Answer: { Value: 'Rhine', Aliases: ['Rhein', 'Rhine'], NormalizedAliases: ['rhein'] },
  };
  it('gathers every accepted answer once', async () => {
    expect(await readTriviaQa(file({ Data: [item, { ...item, QuestionId: undefined }] }))).toEqual([
      { id: 'tc_1', question: 'Which river?', answers: ['Rhine', 'Rhein', 'rhein'] },
      { id: '1', question: 'Which river?', answers: ['Rhine', 'Rhein', 'rhein'] },
    ]);
  });
  it.each([
    ['no Data', { data: [] }, ': has no array of questions (Data)'],
    ['null', 'null', ': has no array of questions (Data)'],
    ['no Answer', { Data: [item, { Question: 'q' }] }, ' Data[1]: field "Answer" is missing'],
    ['no Value', { Data: [{ ...item, Answer: {} }] }, ' Data[0] (Answer): field "Value" is missing'],
  ])('refuses %s', (_, content, message) => refuses(readTriviaQa, content, message));
});

describe('readTruthfulQa', () => {
  const header = 'Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n';
  it('splits the lists, and finds columns by name', async () => {
    const csv = `${header}Adversarial,Myths,Is it so?,No,No; "Not at all";,Yes; Sure ,http://x\n`;
    const quoted = csv.replace('No; "Not at all";', '"No; ""Not at all"";"');
    const expected = {
      id: '0',
      type: 'Adversarial',
      category: 'Myths',
      question: 'Is it so?',
      best: 'No',
      correct: ['No', '"Not at all"'],
      incorrect: ['Yes', 'Sure'],
      source: 'http://x',
    };
    expect(await readTruthfulQa(file(quoted))).toEqual([expected]);
    const more = quoted.split('\n').map((line, i) => (line ? `${i ? 'x' : 'New'},${line}` : ''));
    expect(await readTruthfulQa(file(more.join('\n')))).toEqual([expected]);
  });
  it.each([
    ['no header', 'a,b,c,d,e,f,g\n', ':1: has no column "Type"'],
    ['no rows', header, ': has no rows'],
    ['a short row', `${header}a,b\n`, ':2: has 2 columns, the header 7'],
  ])('refuses %s', (_, csv, message) => refuses(readTruthfulQa, csv, message));
});

describe('readTruthfulChoices', () => {
  const item = { question: 'q', mc1_targets: { No: 0, Yes: 1 }, mc2_targets: { No: 0, Yes: 1, Aye: 1 } };
  it('keeps the order of the choices', async () => {
    expect(await readTruthfulChoices(file([item]))).toEqual([
      {
        id: '0',
        question: 'q',
        mc1: { choices: ['No', 'Yes'], label: 1 },
        mc2: { choices: ['No', 'Yes', 'Aye'], right: [false, true, true] },
      },
    ]);
  });
  it.each([
    ['an object', {}, ': has no array of questions (mc_task)'],
    [
      'two right ones in mc1',
      [{ ...item, mc1_targets: { a: 1, b: 1 } }],
      ' mc_task[0]: field "mc1_targets" has 2 right',
    ],
    [
      'marks other than 0 and 1',
      [{ ...item, mc2_targets: { a: 2, b: 1 } }],
      ' mc_task[0]: field "mc2_targets" is not',
    ],
  ])('refuses %s', (_, content, message) => refuses(readTruthfulChoices, content, message));
});
