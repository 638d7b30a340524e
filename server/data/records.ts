/** The JSONL records of the product (snake_case on disk; unknown fields are kept when a record is rewritten). */

export type Split = 'train' | 'val' | 'test';

/** One task instance. `prompt` is what the model sees, verbatim; `target` is a number parsed from the answer text. */
export interface Problem {
  id: string;
  prompt: string;
  /** Text whose last number is the answer (GSM8K: the worked solution that ends in `#### n`). */
  answer: string;
  target: number;
  template_id?: string;
  instance_id?: string;
  split?: Split;
  /** false: the prompt is a rendered chat, which brings its special tokens; the tokenizer adds none. */
  add_special_tokens?: boolean;
  [extra: string]: unknown;
}

/** A side-effect item: open recall when it has `answer`, multiple choice by log-likelihood when it has `choices`. */
export type ControlItem =
  | {
      prompt: string;
      answer: string | string[];
      /** How answers are compared: white space aside (the default), or after TriviaQA's normalisation. */
      compare?: 'text' | 'trivia';
      suite?: string;
      [extra: string]: unknown;
    }
  | { prompt: string; choices: string[]; label: number; suite?: string; [extra: string]: unknown };

export interface Decoding {
  strategy: 'greedy' | 'sample';
  temperature?: number;
  top_p?: number;
  top_k?: number;
  seed?: number;
  /** Name of the model on the server that made the completion; absent for one made here. */
  endpoint?: string;
  /**
   * Of a server's completion: whether it `returned` the token ids, or only text, whose tokens by our tokenizer these
   * are: `encoded` where nothing the server tells speaks against them, `recut` where it had cut the text otherwise.
   */
  ids?: 'returned' | 'encoded' | 'recut';
}

/** Prompt and completion of one problem. The ids are the truth; `text` is derived from `completion_ids`. */
export interface Trace {
  id: string;
  problem_id: string;
  template_id?: string;
  instance_id?: string;
  split?: Split;
  target: number;
  prompt_ids: number[];
  completion_ids: number[];
  decoding: Decoding;
  text: string;
  /** null: no number in the completion. */
  answer: number | null;
  correct: boolean;
  /** True when generation ended at the token limit and not at a stop. */
  truncated: boolean;
  /** Taken out of training by hand, in its document; it still counts in figures. */
  excluded?: boolean;
  [extra: string]: unknown;
}

/** One pivot: after `prefix`, `desired` leads to the right answer and `undesired` to a wrong one. Token ids. */
export interface Pair {
  id: string;
  prefix: number[];
  desired: number;
  undesired: number;
  problem_id?: string;
  template_id?: string;
  instance_id?: string;
  split?: Split;
  method: 'prefix' | 'branching' | 'human' | 'imported';
  /** Id of the trace that the prefix was cut from. */
  trace?: string;
  status: 'auto' | 'accepted' | 'edited' | 'rejected';
  /** Trace document that says so. */
  document?: string;
  [extra: string]: unknown;
}
