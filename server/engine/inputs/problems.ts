import type { Tokenizer } from '../../checkpoint/tokenizer.ts';
import type { Signal } from '../../control.ts';
import { readText } from '../../data/files.ts';
import { freshInstances } from '../../data/instances.ts';
import { type JsonlLine, readJsonl } from '../../data/jsonl.ts';
import { asProblems, type ProblemOptions, readProblems } from '../../data/problems.ts';
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
  /** Questions are asked by the model's chat template; null for plain text. */
  chat: ChatPrompt | null;
}

/** What a chat says beside the questions. */
export interface ChatPrompt {
  /** The system's turn; null for none. */
  system: string | null;
  /** What templates that tell the date take for today (YYYY-MM-DD); null for their own. */
  date: string | null;
}

/** How prompts were made, for a stage's settings in the manifest. */
export const promptSettings = ({ template, chat }: PromptOptions) => ({ template, ...(chat && { chat }) });

/**
 * @param seed splits what has no split of its own, and draws fresh instances
 * @throws InputError for a broken record, or where nothing is left
 */
export async function loadProblems(
  { file, instances, split, limit }: ProblemsRef,
  prompts: PromptOptions,
  { seed, tokenizer, signal }: { seed: number; tokenizer: Tokenizer; signal: Signal },
): Promise<Problem[]> {
  const lines = instances === undefined ? readJsonl(file) : fresh(file, instances, seed, signal);
  const { problems } = await asProblems(lines, {
    ...(await promptOptions(prompts, tokenizer)),
    splitSeed: seed,
  });
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
async function promptOptions(
  { template, fewShot, chat }: PromptOptions,
  tokenizer: Tokenizer,
): Promise<ProblemOptions> {
  const own = template === null ? {} : { template };
  const worked = fewShot?.endsWith('.jsonl') ? fewShot : null;
  const text = fewShot !== null && worked === null ? { fewShot: await readText(fewShot) } : {};
  if (chat === null) {
    if (worked === null) return { ...own, ...text };
    const { problems } = await readProblems(worked, own);
    return { ...own, fewShot: problems.map(({ prompt, answer }) => `${prompt} ${answer}\n\n`).join('') };
  }
  const before = chat.system === null ? [] : [{ role: 'system', content: chat.system }];
  if (worked !== null) {
    const { problems } = await readProblems(worked, { template: template ?? '{question}' });
    for (const { prompt, answer } of problems) {
      before.push({ role: 'user', content: prompt }, { role: 'assistant', content: answer });
    }
  }
  const options = { addGenerationPrompt: true, ...(chat.date !== null && { date: chat.date }) };
  const render = (turn: string) =>
    tokenizer.renderChat([...before, { role: 'user', content: turn }], options);
  return { ...own, ...text, chat: render };
}
