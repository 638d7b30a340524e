/** Chat templates give the text and the token ids of transformers' apply_chat_template (fixtures/make_chat.py). */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../server/checkpoint/chat.ts';
import { strftime } from '../../server/checkpoint/strftime.ts';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { InputError } from '../../server/errors.ts';

interface Expected {
  date: string;
  templates: {
    family: string;
    template: string;
    cases: {
      name: string;
      messages: ChatMessage[];
      addGenerationPrompt: boolean;
      variables: Record<string, unknown>;
      /** What comes out, as text and as ids; or what the template says in refusing. */
      text?: string;
      ids?: number[];
      raises?: string;
    }[];
  }[];
}

const here = path.join(import.meta.dirname, 'fixtures');
const { date, templates } = JSON.parse(fs.readFileSync(path.join(here, 'chat.json'), 'utf8')) as Expected;
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-'));
afterAll(() => fs.rmSync(root, { recursive: true }));

function withTemplate(template: string) {
  const folder = fs.mkdtempSync(path.join(root, 't-'));
  const model = path.resolve(import.meta.dirname, '../fixtures/llama-tied');
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    fs.copyFileSync(path.join(model, file), path.join(folder, file));
  fs.writeFileSync(path.join(folder, 'chat_template.jinja'), template);
  return loadTokenizer(folder);
}

test('eleven structures, each with eleven conversations, refusals among them', () => {
  expect(templates).toHaveLength(11);
  for (const { cases } of templates) expect(cases).toHaveLength(11);
  const refused = templates.flatMap(({ cases }) => cases).filter(({ raises }) => raises !== undefined);
  expect(refused.length).toBeGreaterThan(8);
});

describe.each(templates)('$family', ({ template, cases }) => {
  const tokenizer = withTemplate(template);
  test.each(cases)('$name', ({ messages, addGenerationPrompt, variables, text, ids, raises }) => {
    const render = () => tokenizer.renderChat(messages, { addGenerationPrompt, variables, date });
    if (raises !== undefined) {
      expect(render).toThrow(InputError);
      expect(render).toThrow(raises);
      return;
    }
    expect(render()).toBe(text);
    expect(tokenizer.encode(text!, { addSpecialTokens: false })).toEqual(ids);
  });
});

describe('the date', () => {
  const user = [{ role: 'user', content: 'Hi' }];

  test('without one a template falls back on its own, or is refused where it has none', () => {
    const llama = withTemplate(templates.find(({ family }) => family === 'llama 3')!.template);
    expect(llama.renderChat(user)).toContain('Day: 1 Feb 2024\n');
    expect(llama.renderChat(user, { date: '2030-12-05' })).toContain('Day: 05 Dec 2030\n');
    const asks = withTemplate("{{ strftime_now('%Y') }}");
    expect(() => asks.renderChat(user)).toThrow(/asks for the date.*--chat-date/);
    expect(asks.renderChat(user, { date: '2030-12-05' })).toBe('2030');
  });

  test('is told in the C locale', () => {
    expect(strftime('2024-12-31', '%a %A %b %B %d %j %y')).toBe('Tue Tuesday Dec December 31 366 24');
    expect(strftime('2023-01-01', '%F %Q%%%')).toBe('2023-01-01 %Q%%');
  });
});

test('a range that would fill the memory is refused', () => {
  const one = withTemplate('{{ range(1000000000) | length }}');
  expect(() => one.renderChat([])).toThrow(/range of more than 100000/);
});
