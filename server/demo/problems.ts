import type { Problem } from '../data/records.ts';
import { Rng } from '../random.ts';
import { foods, objects, people } from './lexicon.ts';
import { distinct, pick, splitOf } from './split.ts';
import { type Template, templates } from './templates.ts';

/** One word problem with its worked solution. */
export interface Instance {
  template: Template;
  name: string;
  /** The goods it is about; null where the template has a fixed unit. */
  object: string | null;
  prompt: string;
  /** One sentence per step, such as "12 * 3 = 36 pens." */
  steps: string[];
  results: number[];
}

/** Where a problem's text puts it: the model is trained on `corpus` only, pairs are made from `train` only. */
export type ProblemSplit = 'corpus' | 'train' | 'val' | 'test';

const shares = [
  ['corpus', 0.7],
  ['train', 0.1],
  ['val', 0.08],
  ['test', 0.12],
] as const;

const maxResult = 160;

type Numbers = Record<string, number>;

function apply(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default:
      throw new Error(`unknown operator ${operator}`);
  }
}

/** Values for a template's numbers and step results, or null if a result is out of range or gives the answer away. */
function draw(rng: Rng, template: Template): { numbers: Numbers; results: number[] } | null {
  const numbers: Numbers = {};
  for (const [name, kind] of Object.entries(template.numbers)) {
    numbers[name] = kind === 'n' ? 2 + rng.int(39) : 2 + rng.int(8);
  }
  const results: number[] = [];
  for (const [i, step] of template.steps.entries()) {
    const [left, operator, right] = step.split(' ') as [string, string, string];
    const result = apply(operator, numbers[left]!, numbers[right]!);
    if (!Number.isInteger(result) || result < 1 || result > maxResult) return null;
    numbers['xyz'[i]!] = result;
    results.push(result);
  }
  // A solution that stops early must be wrong.
  const answer = results.at(-1)!;
  return results.slice(0, -1).includes(answer) ? null : { numbers, results };
}

/** A random instance of the template. */
export function instantiate(rng: Rng, template: Template): Instance {
  let drawn = draw(rng, template);
  while (drawn === null) drawn = draw(rng, template);
  const { numbers, results } = drawn;
  const a = pick(rng, people);
  let b = pick(rng, people);
  while (b === a) b = pick(rng, people);
  const usesObject = template.text.includes('{o}');
  const usesFood = template.text.includes('{f}');
  const object = usesObject ? pick(rng, objects) : usesFood ? pick(rng, foods) : null;
  const words: Record<string, string> = {
    A: a.name,
    B: b.name,
    s: a.pronoun,
    S: a.pronoun === 'she' ? 'She' : 'He',
    o: object ?? '',
    f: object ?? '',
  };
  const fill = (text: string) =>
    text.replace(/\{(\w)\}/g, (_, slot: string) => words[slot] ?? String(numbers[slot]));
  const steps = template.steps.map((step, i) => {
    const [left, operator, right, unit] = step.split(' ') as [string, string, string, string];
    return `${numbers[left]} ${operator} ${numbers[right]} = ${results[i]} ${fill(unit)}.`;
  });
  return { template, name: a.name, object, prompt: `${fill(template.text)}\nSolution:`, steps, results };
}

/** The completion that works `steps` steps and answers with the last one's result: " 12 * 3 = 36 pens. The answer is 36." */
export function solution(instance: Instance, steps = instance.steps.length): string {
  return ` ${instance.steps.slice(0, steps).join(' ')} The answer is ${instance.results[steps - 1]}.`;
}

export function problemSplit(prompt: string): ProblemSplit {
  return splitOf(prompt, shares);
}

/**
 * Problem records, templates in turn, no text twice; splits share no text, whatever the seeds.
 * @param group `unseen`: templates that never occur in pairs, from texts of the test split
 */
export function problems(
  group: 'train' | 'val' | 'test' | 'unseen',
  n: number,
  seed: string | number,
): Problem[] {
  const pool = templates.filter((t) => t.unseen === (group === 'unseen'));
  const split = group === 'unseen' ? 'test' : group;
  const rng = new Rng(seed).fork(group);
  const instances = distinct<Instance>(
    n,
    (instance) => instance.prompt,
    (found) => {
      const instance = instantiate(rng, pool[found % pool.length]!);
      return problemSplit(instance.prompt) === split ? instance : null;
    },
  );
  return instances.map((instance, i) => ({
    id: `${group}-${i}`,
    prompt: instance.prompt,
    answer: solution(instance).trim(),
    target: instance.results.at(-1)!,
    template_id: instance.template.id,
    instance_id: String(Math.floor(i / pool.length)),
    split,
  }));
}
