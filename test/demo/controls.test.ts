import { describe, expect, it } from 'vitest';
import { controlItem, controls, suites } from '../../server/demo/controls.ts';
import { relations } from '../../server/demo/facts.ts';

const answers = new Map(relations.flatMap((r) => r.facts.map((f) => [`${r.name} ${f.key}`, f.answer])));

describe('demo controls', () => {
  it('know each fact once, with one-word answers', () => {
    const facts = relations.flatMap((r) => r.facts);
    expect(answers.size).toBe(facts.length);
    expect(facts.length).toBeGreaterThanOrEqual(210);
    for (const { key, answer } of facts) {
      expect(key).toMatch(/^[A-Za-z]+( [A-Z][a-z]+)?$/);
      expect(answer).toMatch(/^[A-Za-z]+$/);
    }
  });

  it('offer 1,000 test, 300 guard and 100 text items a suite, no prompt in two splits', () => {
    for (const suite of suites) {
      const items = [
        ...controls(suite, 'test', 1000, 'a'),
        ...controls(suite, 'guard', 300, 'b'),
        ...controls(suite, 'text', 100, 'c'),
      ];
      expect(new Set(items.map((c) => c.prompt)).size, suite).toBe(1400);
    }
  });

  it('sort and copy what the prompt lists', () => {
    for (const { prompt, completion } of controls('sort', 'test', 50, 1)) {
      const listed = /^Sort: (.*)\nAnswer:$/.exec(prompt)![1]!.split(' ');
      expect(completion.trim().split(' ')).toEqual(listed.sort());
    }
    for (const { prompt, completion } of controls('copy', 'test', 50, 1)) {
      expect(prompt).toBe(`Copy:${completion}\nAnswer:`);
    }
  });

  it('label multiple choice with the one right option of four', () => {
    const labels = new Set<number>();
    for (const control of controls('choice', 'guard', 200, 1)) {
      const item = controlItem(control, 'x') as { choices: string[]; label: number };
      labels.add(item.label);
      const right = / (\S+) \([ABCD]\)/.exec(item.choices[item.label]!)![1]!;
      const options = [...control.prompt.matchAll(/\([ABCD]\) (\S+)/g)].map((m) => m[1]!);
      expect(new Set(options).size).toBe(4);
      const key = [...answers]
        .filter(([, answer]) => answer === right)
        .map(([k]) => k.slice(k.indexOf(' ') + 1));
      expect(
        key.some((k) => control.prompt.includes(` ${k}`)),
        control.prompt,
      ).toBe(true);
    }
    expect(labels.size).toBe(4);
  });

  it('call a statement true exactly when it names the fact', () => {
    const items = controls('truth', 'test', 400, 1);
    for (const { prompt, completion } of items) {
      const [, fact, verdict] = /^ (\S+), so (true|false)$/.exec(completion)!;
      const words = prompt.replace(/^True or false:|\nAnswer:$/g, '').match(/[A-Za-z]+/g)!;
      expect(words.includes(fact!), prompt).toBe(verdict === 'true');
    }
    expect(items.filter((c) => c.completion.endsWith('true')).length).toBe(200);
  });

  it('throw when a finite suite runs out', () => {
    expect(() => controls('recall', 'text', 5000, 1)).toThrow(/only \d+ of 5000/);
  });
});
