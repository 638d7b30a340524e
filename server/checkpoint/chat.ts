/** Chat templates (Jinja), rendered as transformers' apply_chat_template does. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Template } from '@huggingface/jinja';
import { InputError } from '../errors.ts';
import { withFileErrors } from '../runs/atomic.ts';
import { type Fields, isRecord } from './json-fields.ts';

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
  /** Further variables for the template (tools, documents, enable_thinking, date_string). */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** @param special contents of the special tokens by name (bos_token, ...) */
export function renderChatTemplate(
  folder: string,
  config: Fields,
  messages: readonly ChatMessage[],
  special: Readonly<Record<string, string>>,
  options: ChatOptions,
): string {
  const { source, where } = findTemplate(folder, config, options.template);
  try {
    return new Template(source).render({
      ...special,
      add_generation_prompt: options.addGenerationPrompt ?? false,
      ...options.variables,
      messages,
    });
  } catch (error) {
    throw new InputError(
      where,
      `the chat template fails (${(error as Error).message})`,
      'Check the roles and contents of the messages against the template',
    );
  }
}

function findTemplate(folder: string, config: Fields, name = 'default'): { source: string; where: string } {
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
    'Use a chat model, or write the prompt in full',
  );
}
