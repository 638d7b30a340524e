import type { Signal } from '../../control.ts';
import { readText } from '../../data/files.ts';
import { freshInstances } from '../../data/instances.ts';
import { type JsonlLine, readJsonl } from '../../data/jsonl.ts';
import { asProblems, readProblems } from '../../data/problems.ts';
import type { Problem, Split } from '../../data/records.ts';
import { InputError } from '../../errors.ts';

/** Problems of one file, or fresh instances of templates. */
export interface ProblemsRef {
  /** A problem file; with `instances` the templates of GSM-Symbolic, a file or a folder of them. */
  file: string;
  /** Fresh instances of every template. */
  instances?: number;
  /** Only those of one split; null for all. A file without splits is split by seed, per template. */
  split: Split | null;
  /** Problems at most; null for all. */
  limit: number | null;
}

/** How questions become prompts. */
export interface PromptOptions {
  /** Text that contains {question}; null for the default. Records with a prompt of their own ignore it. */
  template: string | null;
  /** Worked examples before every question: a text file, or JSONL of problems; null for none. */
  fewShot: string | null;
}

/**
 * @param seed splits what has no split of its own, and draws fresh instances
 * @throws InputError for a broken record, or where nothing is left
 */
export async function loadProblems(
  { file, instances, split, limit }: ProblemsRef,
  prompts: PromptOptions,
  { seed, signal }: { seed: number; signal: Signal },
): Promise<Problem[]> {
  const lines = instances === undefined ? readJsonl(file) : fresh(file, instances, seed, signal);
  const { problems } = await asProblems(lines, { ...(await promptOptions(prompts)), splitSeed: seed });
  const chosen = problems.filter((problem) => split === null || problem.split === split);
  if (chosen.length > 0) return chosen.slice(0, limit ?? undefined);
  throw new InputError(file, `has no problems of split ${split}`, 'Give another file or split.');
}

async function* fresh(
  templates: string,
  count: number,
  seed: number,
  signal: Signal,
): AsyncGenerator<JsonlLine> {
  for await (const { where, instance } of freshInstances(templates, count, seed, { signal })) {
    yield { where, line: 1, record: { ...instance } };
  }
}

/** Prompt options as the reader takes them. */
async function promptOptions({
  template,
  fewShot,
}: PromptOptions): Promise<{ template?: string; fewShot?: string }> {
  return {
    ...(template !== null && { template }),
    ...(fewShot !== null && { fewShot: await readFewShot(fewShot, template) }),
  };
}

/** Problems of a JSONL file with their answers, one after another; any other file is taken as it is. */
async function readFewShot(file: string, template: string | null): Promise<string> {
  if (!file.endsWith('.jsonl')) return readText(file);
  const { problems } = await readProblems(file, template === null ? {} : { template });
  return problems.map(({ prompt, answer }) => `${prompt} ${answer}\n\n`).join('');
}
