import { gsm8k } from './gsm8k.ts';
import { mmlu } from './mmlu.ts';
import { exactMatch, multipleChoice } from './own.ts';
import type { BenchmarkTask } from './task.ts';
import { text, wikitext } from './text.ts';
import { triviaqa } from './triviaqa.ts';
import { truthfulqaMc1, truthfulqaMc2 } from './truthfulqa.ts';

/** Every benchmark by its name. */
export const benchmarkTasks = {
  gsm8k,
  mmlu,
  triviaqa,
  truthfulqa_mc1: truthfulqaMc1,
  truthfulqa_mc2: truthfulqaMc2,
  wikitext,
  text,
  multiple_choice: multipleChoice,
  exact_match: exactMatch,
} as const satisfies Record<string, BenchmarkTask>;

export type BenchmarkName = keyof typeof benchmarkTasks;
