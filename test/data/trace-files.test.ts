import { expect, test } from 'vitest';
import { documentName } from '../../server/data/trace-files.ts';
import { Rng } from '../../server/random.ts';

test('names are read easily where ids are plain', () => {
  const names = [
    'train-17/greedy',
    'train-17/sample-0',
    'gsm8k 0.1',
    'a--b',
    'a-/b',
    'a/-b',
    '../x',
    'CON',
    'aux.1',
    '問題/1',
    'a:b?',
  ];
  expect(names.map(documentName)).toEqual([
    'train-17--greedy.trace',
    'train-17--sample-0.trace',
    'gsm8k%200.1.trace',
    'a%2D%2Db.trace',
    'a%2D--b.trace',
    'a--%2Db.trace',
    '%2E.--x.trace',
    '%43ON.trace',
    '%61ux.1.trace',
    '問題--1.trace',
    'a%3Ab%3F.trace',
  ]);
});

test('no two ids share a name, and every file system takes it', () => {
  const rng = new Rng('names');
  const alphabet = ['a', 'b', '-', '--', '/', '.', '%2D', '%', 'é', '數', ' ', '\\', '\u0000'];
  const ids = new Set<string>();
  for (let i = 0; i < 3000; i++) {
    ids.add(Array.from({ length: 1 + rng.int(6) }, () => alphabet[rng.int(alphabet.length)]).join(''));
  }
  ids.add('x'.repeat(3000)).add(`${'x'.repeat(3000)}y`);
  const names = [...ids].map(documentName);
  expect(new Set(names).size).toBe(ids.size);
  for (const name of names) {
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(210);
    expect(name).not.toMatch(/[/\\:*?"<>|\p{Cc}]|^\./u);
  }
});
