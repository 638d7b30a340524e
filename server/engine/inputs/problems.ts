import { readText } from '../../data/files.ts';
import { readProblems } from '../../data/problems.ts';
import type { Problem, Split } from '../../data/records.ts';
import { InputError } from '../../errors.ts';

/** Problems of one file. */
export interface ProblemsRef {
  file: string;
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

/** @throws InputError for a broken record, or where nothing is left */
export async function loadProblems(
  { file, split, limit }: ProblemsRef,
  prompts: PromptOptions,
  seed: number,
): Promise<Problem[]> {
  const { problems } = await readProblems(file, { ...(await promptOptions(prompts)), splitSeed: seed });
  const chosen = problems.filter((problem) => split === null || problem.split === split);
  if (chosen.length > 0) return chosen.slice(0, limit ?? undefined);
  throw new InputError(file, `has no problems of split ${split}`, 'Give another file or split.');
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
