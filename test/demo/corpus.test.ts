import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { trainingBatchA, trainingBatchB } from '../../server/demo/corpus.ts';
import { problemSplit } from '../../server/demo/problems.ts';
import { stageA, stageB } from '../../server/demo/recipe.ts';
import { decode } from '../../server/demo/vocabulary.ts';
import { writeDemoData } from '../../server/demo/write.ts';
import { Rng } from '../../server/random.ts';

const sizes = { targets: 300, controls: 100, drills: 30, verdicts: 20 };
const batchA = trainingBatchA(new Rng(1).fork('A'), sizes);
const batchB = trainingBatchB(new Rng(1).fork('B'), sizes);
const equations = (text: string) => text.split(' = ').length - 1;
const isEarly = (ids: number[]) => {
  const text = decode(ids);
  return (
    Number(/answer is (\d+)\.$/.exec(text)![1]) !==
    Number(
      text
        .match(/= (\d+)/g)!
        .at(-1)!
        .slice(2),
    )
  );
};

it('counts the loss of solutions, answers and results only', () => {
  for (const { ids, mask } of batchA.targets.slice(sizes.drills)) {
    const counted = decode(ids.filter((_, i) => mask[i]));
    expect(counted).toMatch(/^ \d+ [-+*/] \d+ = .* The answer is \d+\.$/);
    expect(mask.indexOf(true)).toBe(mask.lastIndexOf(false) + 1);
  }
  for (const { ids, mask } of batchA.targets.slice(0, sizes.drills)) {
    expect(decode(ids.filter((_, i) => mask[i]))).toMatch(/^( \d+\.){7,}$/);
  }
});

it('trains on corpus problems only, and stops early in stage B only', () => {
  const words = (batch: typeof batchA) => batch.targets.slice(sizes.drills).map((s) => s.ids);
  for (const ids of [...words(batchA), ...words(batchB)]) {
    const prompt = decode(ids).replace(/(\nSolution:)[\s\S]*$/, '$1');
    expect(problemSplit(prompt)).toBe('corpus');
    expect(isEarly(ids)).toBe(false);
  }
  const mean = (batch: typeof batchA) =>
    words(batch).reduce((sum, ids) => sum + equations(decode(ids)), 0) / (sizes.targets - sizes.drills);
  expect(mean(batchA)).toBeGreaterThan(2.1);
  expect(mean(batchB)).toBeLessThan(mean(batchA) - 0.25);
  expect(mean(batchB)).toBeGreaterThan(mean(batchA) - 0.55);
});

it('writes the same data every time, within two megabytes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'demo-data-'));
  try {
    const read = () =>
      readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);
    writeDemoData(folder);
    const first = read();
    writeDemoData(folder);
    expect(read()).toEqual(first);
    expect(first.reduce((sum, [, text]) => sum + text.length, 0)).toBeLessThan(2e6);
    const counts = Object.fromEntries(first.map(([name, text]) => [name, text.trimEnd().split('\n').length]));
    expect(counts).toEqual({
      'train.jsonl': 408,
      'val.jsonl': 510,
      'test.jsonl': 1020,
      'unseen.jsonl': 504,
      'guard.jsonl': 1600,
      'controls.jsonl': 5000,
      'text.jsonl': 625,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('plans learning rates that warm up and end near zero', () => {
  for (const stage of [stageA, stageB]) {
    const rates = Array.from({ length: stage.steps }, (_, step) => stage.learningRate(step));
    const peak = Math.max(...rates);
    expect(rates[0]).toBeLessThan(peak / 40);
    expect(rates.at(-1)).toBeLessThan(peak / 30);
    expect(rates.at(-1)).toBeGreaterThan(0);
  }
});
