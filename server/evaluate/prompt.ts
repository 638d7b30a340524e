import type { Doc } from '../data/benchmark-docs.ts';
import type { BenchmarkTask } from './benchmarks/task.ts';
import { PythonRandom, strip } from './python.ts';

/** Worked examples to put before a document. */
export interface Shots {
  count: number;
  pool: readonly Doc[];
  /** The pool is what is evaluated: a document must not be its own example. */
  sameFile: boolean;
  /** 1234 in the harness, unless told otherwise. */
  seed: number;
}

/** How a benchmark's prompts become a chat. */
export interface ChatStyle {
  /** The system's turn; a task's description comes after it. */
  system: string | null;
  /** Worked examples are turns of their own, or all stand in the question's. */
  multiturn: boolean;
  /** The rendered chat, the assistant's turn open. */
  render(turns: readonly Turn[]): string;
}

export type Turn = { role: 'system' | 'user' | 'assistant'; content: string };

/**
 * The prompts of documents in their order, as lm-evaluation-harness writes them. Examples that are drawn go by Python's
 * generator with one seed for all of a task's documents, so that a prompt depends on the documents before it.
 */
export function harnessPrompts(
  task: BenchmarkTask,
  docs: readonly Doc[],
  shots: Shots,
  chat: ChatStyle | null = null,
): string[] {
  const random = new PythonRandom(shots.seed);
  return docs.map((doc) => {
    const examples = shots.count === 0 ? [] : pick(task, doc, shots, random);
    const worked = examples.map((example) => ({ text: task.text(example), answer: task.answer(example) }));
    const description = task.description?.(doc) ?? '';
    const together = worked
      .map(({ text, answer }) => text + (answer === '' ? '' : `${task.delimiter}${answer}${BETWEEN}`))
      .join('');
    if (chat === null) return description + together + task.text(doc);
    const system = delimited(chat.system ?? '', description);
    const turns: Turn[] = system === '' ? [] : [{ role: 'system', content: system }];
    for (const { text, answer } of chat.multiturn ? worked : []) {
      turns.push({ role: 'user', content: text });
      if (answer !== '') turns.push({ role: 'assistant', content: answer });
    }
    turns.push({ role: 'user', content: (chat.multiturn ? '' : together) + task.text(doc) });
    return chat.render(turns);
  });
}

const BETWEEN = '\n\n';

/** Two texts with a blank line between them unless there is white space already (maybe_delimit). */
function delimited(first: string, second: string): string {
  if (first === '' || second === '') return first + second;
  return isSpace(first.at(-1)!) || isSpace(second[0]!) ? first + second : first + BETWEEN + second;
}

const isSpace = (character: string): boolean => strip(character) === '';

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
