/** Chat templates (Jinja), rendered as transformers' apply_chat_template does. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { InputError } from '../errors.ts';
import { withFileErrors } from '../runs/atomic.ts';
import { type Fields, isRecord } from './json-fields.ts';
import { strftime } from './strftime.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  /** Templates may read further fields (tool calls, reasoning). */
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** Opens the assistant's turn at the end; false by default, as in transformers. */
  readonly addGenerationPrompt?: boolean;
  /** Name of the template where tokenizer_config.json has several; "default" by default. */
  readonly template?: string;
  /**
   * What `strftime_now` takes for today (YYYY-MM-DD). Without it that function is not defined, and templates that know
   * a date of their own for this case use it: a prompt must not change overnight.
   */
  readonly date?: string | undefined;
  /** Further variables for the template (tools, documents, enable_thinking, date_string). */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/**
 * @param special contents of the special tokens by name (bos_token, ...)
 * @throws InputError where there is no such template, or it fails
 */
export function renderChatTemplate(
  folder: string,
  config: Fields,
  messages: readonly ChatMessage[],
  special: Readonly<Record<string, string>>,
  options: ChatOptions,
): string {
  const { source, where } = findTemplate(folder, config, options.template);
  const { date } = options;
  const variables: Record<string, unknown> = {
    ...GLOBALS,
    ...(date !== undefined && { strftime_now: (format: string) => strftime(date, format) }),
    // As transformers passes them where there are none.
    tools: null,
    documents: null,
    ...special,
    add_generation_prompt: options.addGenerationPrompt ?? false,
    ...options.variables,
    messages,
  };
  try {
    const environment = new Environment();
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(new Interpreter(environment).run(parsed(source)).value);
  } catch (error) {
    const { message } = error as Error;
    if (date === undefined && source.includes('strftime_now') && message.includes('not a function')) {
      const what = 'the chat template asks for the date, which would differ tomorrow';
      throw new InputError(where, what, 'Give the date that it is to take: --chat-date YYYY-MM-DD.');
    }
    throw new InputError(
      where,
      `the chat template fails (${message})`,
      'Check the roles and contents of the messages against the template.',
    );
  }
}

type Program = ReturnType<typeof parse>;
let last: { source: string; program: Program } | null = null;

/** A template's program. The last one is kept: a set of problems has one template. */
function parsed(source: string): Program {
  if (last?.source !== source) {
    last = { source, program: parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })) };
  }
  return last.program;
}

/** Names that templates may use; Python's spellings beside Jinja's. */
const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
};

/** Longest range of transformers' sandbox. */
const MAX_RANGE = 100_000;

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range of more than ${MAX_RANGE}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** A template's source and where it stands. @throws InputError where there is none */
export function findTemplate(
  folder: string,
  config: Fields,
  name = 'default',
): { source: string; where: string } {
  // a file of its own wins over tokenizer_config.json
  const file = path.join(folder, 'chat_template.jinja');
  if (name === 'default' && existsSync(file)) {
    return { source: withFileErrors(file, () => readFileSync(file, 'utf8')), where: file };
  }
  const where = `${config.file} field chat_template`;
  const given = config.raw('chat_template');
  if (typeof given === 'string' && name === 'default') return { source: given, where };
  const named: unknown[] = Array.isArray(given) ? given : [];
  const found = named.filter(isRecord).find((entry) => entry.name === name);
  if (typeof found?.template === 'string') return { source: found.template, where: `${where} ${name}` };
  throw new InputError(
    given === undefined ? folder : where,
    `there is no chat template${name === 'default' ? '' : ` called ${JSON.stringify(name)}`}`,
    'Use a chat model, or write the prompt in full.',
  );
}
