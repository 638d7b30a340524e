import type { OptionSet, Values } from './options.ts';

/** A command as data: what it takes, and the checks that involve several values. */
export interface CommandSpec<A extends OptionSet = OptionSet, O extends OptionSet = OptionSet> {
  /** As typed after `cca`; a second word makes a sub-command. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Paragraphs below the options in the command's own help: files, examples. */
  readonly details?: string;
  /** Positional arguments, in order. */
  readonly arguments: A;
  readonly options: O;
  /** Throws InputError when values do not go together. `given` holds the keys that the user typed. */
  readonly validate?: (values: Values<A & O>, given: ReadonlySet<string>) => void;
}

/** Ties the types of a command's values to its options. */
export function command<A extends OptionSet, O extends OptionSet>(
  spec: CommandSpec<A, O>,
): CommandSpec<A, O> {
  return spec;
}

/** What a command tells while it works. With --json each is one line on stdout. */
export type CliEvent =
  | { event: 'stage'; stage: string; status: 'started' | 'finished' | 'skipped'; seconds?: number }
  | {
      event: 'progress';
      stage: string;
      /** Work done and in all, in `unit`s (problems, steps, tokens). */
      done: number;
      total: number;
      unit: string;
      /** Seconds to the end of the stage, and of the whole command; null while unknown. */
      remaining: number | null;
      allRemaining?: number | null;
      /** `remaining` is an upper bound: nobody knows when the stage comes to rest. */
      atMost?: true;
      /** Part of the stage's work that is done, by the time it takes, 0 to 1; done / total where nothing else is known. */
      share?: number;
      /** Tokens of model work per second, lately. */
      tokensPerSecond?: number;
      /** Resident memory of the process, bytes. */
      memory?: number;
      /** What is being worked on within the stage. */
      note?: string;
      /** Figures worth a glance: loss, tokens/s. */
      figures?: Record<string, number>;
    }
  | { event: 'message'; level: 'info' | 'warning'; text: string }
  /** Partial results (a trace, a point of a curve): shown with --json only. */
  | { event: 'partial'; kind: string; [field: string]: unknown };

export interface Io {
  emit(event: CliEvent): void;
  /** Fires on Ctrl-C: the handler keeps finished work and throws Cancelled. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  /** Keys of the options that the user typed: an experiment file fills only the others. */
  readonly given: ReadonlySet<string>;
}

/** What a command ends with: `data` for --json, `text` for people. */
export interface Result {
  data: Record<string, unknown>;
  text: string;
}

export type Handler<S> =
  S extends CommandSpec<infer A, infer O> ? (values: Values<A & O>, io: Io) => Promise<Result> : never;
