import type { Doc } from '../data/benchmark-docs.ts';
import type { BenchmarkTask } from './benchmarks/task.ts';
import { PythonRandom } from './python.ts';

/** Worked examples to put before a document. */
export interface Shots {
  count: number;
  pool: readonly Doc[];
  /** The pool is what is evaluated: a document must not be its own example. */
  sameFile: boolean;
  /** 1234 in the harness, unless told otherwise. */
  seed: number;
}

/**
 * The prompts of documents in their order, as lm-evaluation-harness writes them. Examples that are drawn go by Python's
 * generator with one seed for all of a task's documents, so that a prompt depends on the documents before it.
 */
export function harnessPrompts(task: BenchmarkTask, docs: readonly Doc[], shots: Shots): string[] {
  const random = new PythonRandom(shots.seed);
  return docs.map((doc) => {
    const examples = shots.count === 0 ? [] : pick(task, doc, shots, random);
    const worked = examples.map((example) => {
      const answer = task.answer(example);
      return `${task.text(example)}${answer === '' ? '' : task.delimiter + answer}\n\n`;
    });
    return (task.description?.(doc) ?? '') + worked.join('') + task.text(doc);
  });
}

function pick(
  task: BenchmarkTask,
  doc: Doc,
  { count, pool, sameFile }: Shots,
  random: PythonRandom,
): readonly Doc[] {
  const text = JSON.stringify(doc);
  const others = (from: readonly Doc[]) => (sameFile ? from.filter((d) => JSON.stringify(d) !== text) : from);
  if (task.sampler === 'first') return others(pool).slice(0, count);
  if (!sameFile) return random.sample(pool, count);
  const drawn = others(random.sample(pool, count + 1)).slice(0, count);
  return drawn.length === count ? drawn : random.sample(others(pool), count);
}
