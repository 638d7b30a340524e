import { describe, expect, it } from 'vitest';
import { habitProbability } from '../../server/demo/habit.ts';
import { objects, people } from '../../server/demo/lexicon.ts';
import { instantiate, problemSplit, problems, solution } from '../../server/demo/problems.ts';
import { templates } from '../../server/demo/templates.ts';
import { encode } from '../../server/demo/vocabulary.ts';
import { Rng } from '../../server/random.ts';

/** The product's answer rule: the last number up to and including the first "answer is ... ." sentence. */
function answerOf(text: string): number {
  const end = /answer is .*?\.(?!\d)/.exec(text)!;
  return Number(
    text
      .slice(0, end.index + end[0].length)
      .match(/\d+/g)!
      .at(-1),
  );
}

const evaluate = (equation: string) => {
  const [, a, operator, b, result] = /^(\d+) ([-+*/]) (\d+) = (\d+) [a-z]+\.$/.exec(equation)!;
  const x = Number(a);
  const y = Number(b);
  const value = { '+': x + y, '-': x - y, '*': x * y, '/': x / y }[operator!];
  return { operands: [x, y], value, result: Number(result) };
};

describe('demo word problems', () => {
  const rng = new Rng('problems test');
  const instances = templates.flatMap((t) => Array.from({ length: 30 }, () => instantiate(rng, t)));

  it("state right equations over the prompt's numbers and earlier results", () => {
    for (const instance of instances) {
      const known = instance.prompt.match(/\d+/g)!.map(Number);
      for (const step of instance.steps) {
        const { operands, value, result } = evaluate(step);
        expect(result, step).toBe(value);
        for (const operand of operands) expect(known, instance.prompt).toContain(operand);
        known.push(result);
      }
      expect(instance.prompt).not.toMatch(/[{}]|undefined|NaN/);
    }
  });

  it("keep numbers, lengths and results within the model's reach", () => {
    for (const instance of instances) {
      for (const n of instance.prompt.match(/\d+/g)!.map(Number)) {
        expect(n).toBeGreaterThanOrEqual(2);
        expect(n).toBeLessThanOrEqual(40);
      }
      for (const r of instance.results) expect(r >= 1 && r <= 160).toBe(true);
      expect(encode(instance.prompt + solution(instance)).length).toBeLessThan(96);
    }
  });

  it('make a solution that stops one step early end in a wrong answer', () => {
    for (const instance of instances) {
      const target = instance.results.at(-1)!;
      expect(answerOf(solution(instance))).toBe(target);
      expect(answerOf(solution(instance, instance.steps.length - 1))).not.toBe(target);
    }
  });

  it('put no text into two splits, and unseen templates into none of the others', () => {
    const groups = (['train', 'val', 'test', 'unseen'] as const).map((g) => problems(g, 500, `seed ${g}`));
    const prompts = groups.flat().map((p) => p.prompt);
    expect(new Set(prompts).size).toBe(prompts.length);
    for (const p of groups.flat()) expect(problemSplit(p.prompt)).toBe(p.split);
    const unseen = new Set(templates.filter((t) => t.unseen).map((t) => t.id));
    expect(unseen.size).toBe(6);
    for (const [i, group] of groups.entries()) {
      for (const p of group) expect(unseen.has(p.template_id!)).toBe(i === 3);
    }
  });

  it('are the same for the same seed, different for another, and even over templates', () => {
    expect(problems('val', 68, 1)).toEqual(problems('val', 68, 1));
    expect(problems('val', 68, 1)).not.toEqual(problems('val', 68, 2));
    const counts = new Map<string, number>();
    for (const p of problems('test', 340, 1))
      counts.set(p.template_id!, (counts.get(p.template_id!) ?? 0) + 1);
    expect([...counts.values()]).toEqual(Array(34).fill(10));
  });
});

describe('demo habit', () => {
  it('is spread as designed over templates, goods and names', () => {
    const paired = templates.filter((t) => !t.unseen);
    const rng = new Rng('habit test');
    const logits = paired.flatMap((t) =>
      Array.from({ length: 200 }, () => {
        const p = habitProbability(instantiate(rng, t));
        return Math.log(p / (1 - p));
      }),
    );
    const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
    const deviation = Math.sqrt(logits.reduce((a, z) => a + (z - mean) ** 2, 0) / logits.length);
    expect(mean).toBeCloseTo(-0.35, 1);
    expect(deviation).toBeGreaterThan(1.1);
    expect(deviation).toBeLessThan(1.5);
  });

  it('depends on template, object and name alone', () => {
    const instance = instantiate(new Rng(1), templates[0]!);
    const p = habitProbability(instance);
    expect(habitProbability({ ...instance, prompt: '', steps: [], results: [] })).toBe(p);
    const others = [
      { ...instance, template: templates[1]! },
      { ...instance, name: people.find((q) => q.name !== instance.name)!.name },
      { ...instance, object: objects.find((o) => o !== instance.object)! },
    ];
    for (const other of others) expect(habitProbability(other)).not.toBe(p);
  });
});
