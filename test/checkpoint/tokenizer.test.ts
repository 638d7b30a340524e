import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { InputError } from '../../server/errors.ts';
import { loadOracle } from '../oracle.ts';

/** What make_tokenizers.py beside the fixtures says. */
interface Family {
  tokenizer: Record<string, unknown>;
  config: Record<string, unknown>;
  before: number[];
  after: number[];
  ids: number[][];
  decoded: (string | null)[];
  skipped: (string | null)[];
  decode: { ids: number[]; text: string }[];
  long: Record<LongText, { count: number; ids: string; text: string }>;
}
type LongText = 'mixed' | 'one word';
interface Fixtures {
  texts: string[];
  long: Record<LongText, string>;
  families: Record<string, Family>;
}
const read = (kind: string): Fixtures =>
  JSON.parse(readFileSync(new URL(`./fixtures/tokenizers-${kind}.json`, import.meta.url), 'utf8'));
const { texts, long, families } = read('byte-level');
Object.assign(families, read('sentencepiece').families);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The same draws as long_text() of make_tokenizers.py. */
function longText(): string {
  const characters = [...texts.join('\n')];
  const parts: string[] = [];
  let state = 1;
  for (let size = 0; size < 100_000; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const start = (state >>> 8) % characters.length;
    const stretch = characters.slice(start, start + 1 + ((state >>> 4) % 12)).join('');
    parts.push(stretch);
    size += Buffer.byteLength(stretch);
  }
  return parts.join('');
}
const longTexts: Record<LongText, string> = { mixed: longText(), 'one word': 'apples'.repeat(16_667) };

let root: string;
let count = 0;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'tokenizer-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function write(tokenizer: unknown, config?: unknown): string {
  const folder = path.join(root, `t${count++}`);
  mkdirSync(folder);
  const text = typeof tokenizer === 'string' ? tokenizer : JSON.stringify(tokenizer);
  writeFileSync(path.join(folder, 'tokenizer.json'), text);
  if (config !== undefined) writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return folder;
}
const load = (family: Family) => loadTokenizer(write(family.tokenizer, family.config));

test('the long texts are those that transformers was given', () => {
  for (const name of ['mixed', 'one word'] as const) expect(sha256(longTexts[name])).toBe(long[name]);
});

describe.each(Object.entries(families))('%s: equal to transformers', (_, family) => {
  const tokenizer = () => load(family);

  test('ids of hostile texts, with and without special tokens', () => {
    const t = tokenizer();
    const got = texts.map((text) => ({
      text,
      ids: t.encode(text, { addSpecialTokens: false }),
      full: t.encode(text),
    }));
    const { before, after } = family;
    const want = family.ids.map((ids, i) => ({ text: texts[i], ids, full: [...before, ...ids, ...after] }));
    expect(got.filter((g, i) => `${g.ids} ${g.full}` !== `${want[i]!.ids} ${want[i]!.full}`)).toEqual([]);
    expect(got).toEqual(want);
  });

  test('decoded texts, special tokens kept and skipped, and ids that cut characters', () => {
    const t = tokenizer();
    texts.forEach((text, i) => {
      const full = [...family.before, ...family.ids[i]!, ...family.after];
      expect(t.decode(full)).toBe(family.decoded[i] ?? text);
      expect(t.decode(full, { skipSpecialTokens: true })).toBe(family.skipped[i] ?? text);
    });
    for (const { ids, text } of family.decode) expect(t.decode(ids)).toBe(text);
  });

  test.each(['mixed', 'one word'] as const)('100 kB: %s', (name) => {
    const t = tokenizer();
    const ids = t.encode(longTexts[name], { addSpecialTokens: false });
    const text = sha256(t.decode(ids));
    expect({ count: ids.length, ids: sha256(ids.join(',')), text }).toEqual(family.long[name]);
  });

  test('spans tile the decoded text', () => {
    const t = tokenizer();
    const whole = family.ids.map((ids) => [...family.before, ...ids, ...family.after]);
    for (const ids of [...whole, ...family.decode.map((d) => d.ids)]) {
      const { text, spans } = t.tokenSpans(ids);
      expect(text).toBe(t.decode(ids));
      expect(spans.length).toBe(ids.length);
      let end = 0;
      for (const span of spans) {
        expect(span.start).toBe(end);
        expect(span.end).toBeGreaterThanOrEqual(span.start);
        end = span.end;
      }
      expect(end).toBe(text.length);
    }
  });
});

describe("llama-tied, the model fixtures' tokenizer: equal to transformers", () => {
  const { folder, tokenizer: oracle } = loadOracle('llama-tied');
  const t = loadTokenizer(folder);

  test('ids of hostile texts and what they decode to, with and without special tokens', () => {
    const all = oracle.encode.map(({ text }) => {
      const full = t.encode(text);
      return {
        text,
        ids: t.encode(text, { addSpecialTokens: false }),
        idsWithSpecial: full,
        decoded: t.decode(full),
        decodedSkipSpecial: t.decode(full, { skipSpecialTokens: true }),
      };
    });
    expect(all).toEqual(oracle.encode);
  });

  test('texts of ids that cut characters', () => {
    const all = oracle.decode.map(({ ids }) => ({
      ids,
      text: t.decode(ids),
      skipSpecial: t.decode(ids, { skipSpecialTokens: true }),
    }));
    expect(all).toEqual(oracle.decode);
  });

  test('rendered conversations and their ids', () => {
    const all = oracle.chat.map(({ messages, addGenerationPrompt }) => {
      const text = t.renderChat(messages, { addGenerationPrompt });
      return { messages, addGenerationPrompt, text, ids: t.encode(text, { addSpecialTokens: false }) };
    });
    expect(all).toEqual(oracle.chat);
  });
});

describe('spans and display', () => {
  const byteLevel = families['qwen 2']!;
  const fallback = families['llama 2, metaspace first']!;

  test('a character split over tokens belongs to the token that completes it', () => {
    for (const family of [byteLevel, fallback]) {
      const t = load(family);
      const ids = t.encode('a😀数b', { addSpecialTokens: false });
      const { text, spans } = t.tokenSpans(ids);
      expect(text).toBe('a😀数b');
      const shown = spans.map(({ start, end }) => text.slice(start, end));
      expect(shown.join('')).toBe(text);
      expect(shown.filter((s) => s !== '').every((s) => !/^[\ud800-\udbff]$/.test(s))).toBe(true);
      const emoji = shown.indexOf('😀');
      expect(shown.slice(emoji - 3, emoji)).toEqual(['', '', '']); // its first three byte tokens
    }
  });

  test('tokens before the end of a cut character, then the replacement character at the cut', () => {
    const t = load(byteLevel);
    const emoji = t.encode('😀', { addSpecialTokens: false });
    expect(emoji.length).toBe(4);
    const { text, spans } = t.tokenSpans([
      ...emoji.slice(0, 2),
      ...t.encode('xy', { addSpecialTokens: false }),
    ]);
    expect(text).toBe('\ufffdxy');
    expect(spans[0]).toEqual({ start: 0, end: 0 });
    expect(spans[1]).toEqual({ start: 0, end: 1 });
  });

  test('display text of single tokens', () => {
    const t = load(byteLevel);
    const emoji = t.encode('😀', { addSpecialTokens: false });
    expect(emoji.map((id) => t.tokenText(id))).toEqual(['\\xF0', '\\x9F', '\\x98', '\\x80']);
    const ids = t.encode(' Tom has', { addSpecialTokens: false });
    expect(ids.map((id) => t.tokenText(id)).join('')).toBe(' Tom has');
    expect(t.tokenText(0)).toBe('<s>');
    expect(t.tokenText(1e6)).toBe('');
    const s = load(fallback);
    const bytes = s.encode('😀', { addSpecialTokens: false }).slice(1);
    expect(bytes.map((id) => s.tokenText(id))).toEqual(['\\xF0', '\\x9F', '\\x98', '\\x80']);
    const words = s.encode('Tom has', { addSpecialTokens: false });
    expect(words.map((id) => s.tokenText(id)).join('')).toBe(' Tom has');
  });

  test('special ids, sizes, and ids beyond the vocabulary', () => {
    const t = load(byteLevel);
    expect([...t.specialIds].sort()).toEqual([0, 1]);
    expect([t.bosTokenId, t.eosTokenId, t.padTokenId]).toEqual([0, 1, null]);
    expect(t.vocabSize).toBe(Object.keys((byteLevel.tokenizer.model as { vocab: object }).vocab).length);
    const [id] = t.encode('a', { addSpecialTokens: false });
    expect(t.decode([99999, id!])).toBe('a');
    expect(t.tokenSpans([id!, 99999, id!])).toEqual({
      text: 'aa',
      spans: [
        { start: 0, end: 1 },
        { start: 1, end: 1 },
        { start: 1, end: 2 },
      ],
    });
  });
});

test('a normaliser that inserts a dollar sign takes it literally', () => {
  const { tokenizer } = families['qwen 2']!;
  const normalizer = { type: 'Replace', pattern: { String: 'a.b' }, content: '$& $1' };
  const t = loadTokenizer(write({ ...tokenizer, normalizer }));
  expect(t.decode(t.encode('xa.b axb'))).toBe('x$& $1 axb');
});

describe('chat templates', () => {
  const { tokenizer, config } = families['qwen 2']!;
  const template =
    "{% for m in messages %}\n  {% if m.role == 'odd' %}\n{{ raise_exception('no such role') }}\n{% endif %}\n" +
    '{{ bos_token }}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}';
  const messages = [{ role: 'user', content: '  Hi {{ x }} 数\n' }];

  test('one template, several by name, and a file of its own', () => {
    const one = loadTokenizer(write(tokenizer, { ...config, chat_template: template }));
    expect(one.renderChat(messages)).toBe('<s>user: Hi {{ x }} 数\n');
    expect(one.renderChat(messages, { addGenerationPrompt: true })).toBe(
      '<s>user: Hi {{ x }} 数\nassistant:',
    );
    const named = [
      { name: 'default', template },
      { name: 'tool_use', template: 'T{{ tools | length }} {{ strftime_now("%Y") }}' },
    ];
    const several = loadTokenizer(write(tokenizer, { ...config, chat_template: named }));
    expect(several.renderChat(messages)).toBe('<s>user: Hi {{ x }} 数\n');
    const tools = { template: 'tool_use', date: '2025-03-09', variables: { tools: [1, 2] } };
    expect(several.renderChat(messages, tools)).toBe('T2 2025');
    const folder = write(tokenizer, { ...config, chat_template: template, bos_token: { content: '</s>' } });
    expect(loadTokenizer(folder).renderChat(messages)).toBe('</s>user: Hi {{ x }} 数\n');
    writeFileSync(path.join(folder, 'chat_template.jinja'), 'file {{ messages | length }}');
    expect(loadTokenizer(folder).renderChat(messages)).toBe('file 1');
  });

  test('no template, a broken one, and one that raises', () => {
    const none = loadTokenizer(write(tokenizer, config));
    expect(() => none.renderChat(messages)).toThrow(/there is no chat template/);
    const one = loadTokenizer(write(tokenizer, { ...config, chat_template: template }));
    expect(() => one.renderChat([{ role: 'odd', content: '' }])).toThrow(InputError);
    expect(() => one.renderChat([{ role: 'odd', content: '' }])).toThrow(/no such role/);
    const broken = loadTokenizer(write(tokenizer, { ...config, chat_template: '{% for %}' }));
    expect(() => broken.renderChat(messages)).toThrow(InputError);
  });
});

describe('malformed tokenizers are refused by file and field', () => {
  const base = families['qwen 2']!.tokenizer;
  const model = base.model as Record<string, unknown>;
  const withModel = (change: object) => ({ ...base, model: { ...model, ...change } });
  const cases: [string, unknown, RegExp][] = [
    ['broken JSON', '{"model":', /tokenizer\.json: not valid JSON/],
    ['no model', { ...base, model: undefined }, /field model: missing/],
    ['another model', withModel({ type: 'WordPiece' }), /model\.type: "WordPiece"/],
    ['vocab a list', withModel({ vocab: [] }), /model\.vocab: not a map/],
    ['id twice', withModel({ vocab: { a: 1, b: 1 } }), /token "b" has the odd or repeated id 1/],
    ['id enormous', withModel({ vocab: { a: 2 ** 40 } }), /token "a" has the odd/],
    ['id not a number', withModel({ vocab: { a: 'x' } }), /token "a" has the odd/],
    ['no merges', withModel({ merges: null }), /model\.merges: not a list/],
    ['merge of unknown tokens', withModel({ merges: [['qqq', 'zzz']] }), /merges\[0\]: \["qqq","zzz"\]/],
    ['merge not a pair', withModel({ merges: ['a'] }), /merges\[0\]: "a"/],
    ['dropout', withModel({ dropout: 0.1 }), /model\.dropout/],
    ['added token without id', { ...base, added_tokens: [{ content: 'x' }] }, /added_tokens\[0\]/],
    [
      'unknown normaliser',
      { ...base, normalizer: { type: 'Precompiled' } },
      /field normalizer: type "Precompiled"/,
    ],
    [
      'unknown pre-tokeniser',
      { ...base, pre_tokenizer: { type: 'Magic' } },
      /field pre_tokenizer: type "Magic"/,
    ],
    ['pre-tokeniser a string', { ...base, pre_tokenizer: 'ByteLevel' }, /field pre_tokenizer/],
    [
      'broken regular expression',
      {
        ...base,
        pre_tokenizer: { type: 'Split', pattern: { Regex: '(((' }, behavior: 'Isolated', invert: false },
      },
      /tokenizer\.json: cannot be used/,
    ],
    ['unknown decoder', { ...base, decoder: { type: 'CTC' } }, /field decoder: type "CTC"/],
    [
      'unknown post-processor',
      { ...base, post_processor: { type: 'Odd' } },
      /field post_processor: type "Odd"/,
    ],
    [
      'template without the text',
      { ...base, post_processor: { type: 'TemplateProcessing', single: [], special_tokens: {} } },
      /field post_processor: its template/,
    ],
  ];
  test.each(cases)('%s', (_, json, message) => {
    const folder = write(json);
    expect(() => loadTokenizer(folder)).toThrow(InputError);
    expect(() => loadTokenizer(folder)).toThrow(message);
  });

  test('missing file, and a broken tokenizer_config.json', () => {
    expect(() => loadTokenizer(root)).toThrow(/tokenizer\.json: missing\. Save/);
    const folder = write(base);
    writeFileSync(path.join(folder, 'tokenizer_config.json'), '[');
    expect(() => loadTokenizer(folder)).toThrow(/tokenizer_config\.json: not valid JSON/);
  });
});
