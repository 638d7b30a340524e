import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem, Trace } from '../../server/data/records.ts';
import { Cancelled } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { greedyTraces } from '../../server/generate/traces.ts';
import { type DiffRun, diffCompletions, firstDivergence } from '../../server/inspect/diff.ts';
import { diffModels, diffTraces, type TraceDiff } from '../../server/inspect/diff-models.ts';
import { longestCommonSubsequence } from '../../server/inspect/lcs.ts';
import { circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay } from '../../server/model/overlay.ts';
import { Rng } from '../../server/random.ts';
import { checkpointFolder } from '../oracle.ts';

let model: Model;
beforeAll(async () => {
  model = await Model.load(checkpointFolder('llama-tied'));
});
afterAll(() => model.release());

describe('longestCommonSubsequence', () => {
  /** The textbook table. */
  function length(a: Int32Array, b: Int32Array): number {
    const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
    for (let i = 1; i <= a.length; i++) {
      for (let j = 1; j <= b.length; j++) {
        table[i]![j] =
          a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!);
      }
    }
    return table[a.length]![b.length]!;
  }

  test('is common, ascending and as long as the table says', () => {
    const rng = new Rng('lcs');
    const draw = (symbols: number) => Int32Array.from({ length: rng.int(24) }, () => rng.int(symbols));
    for (let round = 0; round < 600; round++) {
      const symbols = 1 + rng.int(6);
      const [a, b] = [draw(symbols), draw(symbols)];
      const matches = longestCommonSubsequence(a, b);
      expect(matches).toHaveLength(length(a, b));
      matches.forEach(([i, j], m) => {
        expect(a[i]).toBe(b[j]);
        if (m > 0) expect(i > matches[m - 1]![0] && j > matches[m - 1]![1]).toBe(true);
      });
    }
  });

  test('takes thousands of tokens in linear memory', () => {
    const rng = new Rng('long');
    const a = Int32Array.from({ length: 4000 }, () => rng.int(500));
    const b = a.filter(() => rng.int(4) > 0);
    expect(longestCommonSubsequence(a, b)).toHaveLength(b.length);
  });
});

describe('diffCompletions', () => {
  const encode = (text: string) => model.tokenizer.encode(text, { addSpecialTokens: false });
  const diff = (a: number[], b: number[]) => diffCompletions(a, b, model.tokenizer);
  const told = (runs: DiffRun[]) => runs.map(({ kind, text }) => [kind, text]);

  /** Runs tile both sides, and their tokens and texts are what they say. */
  function expectWhole(a: number[], b: number[], runs: readonly DiffRun[]): void {
    for (const [side, ids] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const text = model.tokenizer.decode(ids);
      let [token, offset] = [0, 0];
      for (const run of runs) {
        expect(run[side]).toMatchObject({ from: token, start: offset });
        if (run.kind === (side === 'a' ? 'added' : 'removed')) expect(run[side].to).toBe(token);
        else expect(text.slice(run[side].start, run[side].end)).toBe(run.text);
        token = run[side].to;
        offset = run[side].end;
      }
      expect([token, offset]).toEqual([ids.length, text.length]);
    }
    for (const { kind, a: x, b: y } of runs) {
      if (kind === 'same') expect(a.slice(x.from, x.to)).toEqual(b.slice(y.from, y.to));
    }
  }

  test('aligns what is the same around what is not', () => {
    const a = encode('She has 3 apples, so the answer is 12.');
    const b = encode('She has 4 apples and so the answer is 12.');
    const { runs, firstDivergence: at } = diff(a, b);
    expectWhole(a, b, runs);
    expect(at).toBe(a.findIndex((id, i) => id !== b[i]));
    expect(runs[0]).toMatchObject({ kind: 'same', a: { from: 0, to: at } });
    expect(runs.at(-1)!.kind).toBe('same');
    expect(
      runs
        .filter((r) => r.kind !== 'added')
        .map((r) => r.text)
        .join(''),
    ).toBe(model.tokenizer.decode(a));
    expect(told(runs)).toContainEqual(['removed', '3']);
    expect(told(runs)).toContainEqual(['added', '4']);
  });

  test('never parts the tokens of one character', () => {
    // Of these, some share all bytes but the last, some all but the first.
    for (const [from, to] of [
      ['🍎', '🍏'],
      ['李', '杮'],
      ['李', '坎'],
      ['a🍎b', 'a🍏🍎b'],
    ] as const) {
      const [a, b] = [encode(from), encode(to)];
      const { runs } = diff(a, b);
      expectWhole(a, b, runs);
      for (const { text } of runs) expect(text).not.toContain('\ufffd');
    }
    const [apple, green] = [encode('🍎'), encode('🍏')];
    expect(apple.length).toBeGreaterThan(1);
    expect(apple.slice(0, -1)).toEqual(green.slice(0, -1));
    expect(told(diff(apple, green).runs)).toEqual([
      ['removed', '🍎'],
      ['added', '🍏'],
    ]);
    expect(diff(apple, green).firstDivergence).toBe(apple.length - 1);
  });

  test('of random ids, cut characters among them', () => {
    const rng = new Rng('diff');
    for (let round = 0; round < 100; round++) {
      const a = Array.from({ length: rng.int(30) }, () => rng.int(300));
      const b = a.flatMap((id) => (rng.int(5) > 0 ? [id] : [rng.int(300), rng.int(300)].slice(rng.int(3))));
      const { runs } = diff(a, b);
      for (const { kind, a: x, b: y } of runs) {
        if (kind === 'same') expect(a.slice(x.from, x.to)).toEqual(b.slice(y.from, y.to));
      }
      const rebuilt = runs.flatMap(({ kind, a: x, b: y }) =>
        kind === 'removed' ? [] : kind === 'same' ? a.slice(x.from, x.to) : b.slice(y.from, y.to),
      );
      expect(rebuilt).toEqual(b);
    }
  });

  test('equal, empty and longer', () => {
    const a = encode('It is 5.');
    expect(diff(a, a)).toMatchObject({ firstDivergence: null, runs: [{ kind: 'same', text: 'It is 5.' }] });
    expect(diff([], [])).toEqual({ firstDivergence: null, runs: [] });
    expect(told(diff(a, []).runs)).toEqual([['removed', 'It is 5.']]);
    expect(told(diff([], a).runs)).toEqual([['added', 'It is 5.']]);
    expect(diff([], a).firstDivergence).toBe(0);
    expect(firstDivergence(a, a.slice(0, -1))).toBe(a.length - 1);
    expect(firstDivergence([1, 2, 3], [1, 5, 3])).toBe(1);
  });
});

describe('diffModels', () => {
  const problems: Problem[] = ['Two and two is', 'Ann has 3 apples.', '7', 'So', 'Bob took'].map(
    (prompt, i) => ({ id: `p${i}`, prompt, answer: '4', target: 4 }),
  );
  const options = { maxTokens: 24, batch: 1, stop: { answer: true, strings: [] } };

  test('streams both traces of every problem in order', async () => {
    const base = await Runner.create(model);
    const space = { q: [[], [], [0, 1]], k: [[], [], []], v: [[], [], []], mlp: [[], [], [3, 4, 5]] };
    const deltas = circuitDeltas(model.arch, space, 'up');
    for (const { delta } of deltas) delta.set(delta.map((_, i) => Math.sin(i) / 2));
    const changed = await Runner.create(model, { ...noOverlay, deltas });
    const seen: [number, TraceDiff][] = [];
    const diffs = await diffModels(base, changed, problems, {
      ...options,
      onDiff: (i, diff) => seen.push([i, diff]),
    });
    expect(seen).toEqual(diffs.map((diff, i) => [i, diff]));
    const signal = { aborted: false };
    expect(diffs.map((d) => d.base)).toEqual(await greedyTraces(base, problems, options, { signal }));
    expect(diffs.map((d) => d.changed)).toEqual(await greedyTraces(changed, problems, options, { signal }));
    expect(diffs.some((d) => d.firstDivergence !== null)).toBe(true);
    const same = await diffModels(base, base, problems, options);
    expect(same.map((d) => [d.flip, d.firstDivergence])).toEqual(problems.map(() => ['same', null]));
  });

  test('stops when asked; what was told is whole', async () => {
    const runner = await Runner.create(model);
    const signal = { aborted: false };
    const seen: number[] = [];
    const run = diffModels(runner, runner, problems, {
      ...options,
      signal,
      onDiff(i) {
        seen.push(i);
        if (i === 3) signal.aborted = true;
      },
    });
    await expect(run).rejects.toThrow(Cancelled);
    expect(seen).toEqual([0, 1, 2, 3]);
  });

  test('names flips', () => {
    const trace = (correct: boolean, ids: number[]) => ({ correct, completion_ids: ids }) as Trace;
    expect(diffTraces(trace(false, [1, 2]), trace(true, [1, 3]))).toMatchObject({
      flip: 'wrong-to-right',
      firstDivergence: 1,
    });
    expect(diffTraces(trace(true, [1]), trace(false, [1, 3])).flip).toBe('right-to-wrong');
    expect(diffTraces(trace(false, [1]), trace(false, [1]))).toMatchObject({
      flip: 'same',
      firstDivergence: null,
    });
  });
});
