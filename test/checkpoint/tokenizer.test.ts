import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { InputError } from '../../server/errors.ts';

interface Family {
  tokenizer: Record<string, unknown>;
  config: Record<string, unknown>;
  cases: { text: string; ids: number[]; full: number[]; decoded: string; skipped: string }[];
  decode: { ids: number[]; text: string }[];
}
const { families }: { families: Record<string, Family> } = JSON.parse(
  readFileSync(new URL('./fixtures/tokenizers.json', import.meta.url), 'utf8'),
);

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

describe.each(Object.entries(families))('%s: equal to transformers', (_, family) => {
  const tokenizer = () => load(family);

  test('ids of hostile texts, with and without special tokens', () => {
    const t = tokenizer();
    const wrong = family.cases
      .map((c) => ({
        text: c.text,
        want: c.ids,
        got: t.encode(c.text, { addSpecialTokens: false }),
        wantFull: c.full,
        gotFull: t.encode(c.text),
      }))
      .filter((c) => `${c.want}` !== `${c.got}` || `${c.wantFull}` !== `${c.gotFull}`);
    expect(wrong).toEqual([]);
  });

  test('decoded texts, special tokens kept and skipped, and ids that cut characters', () => {
    const t = tokenizer();
    for (const { full, decoded, skipped } of family.cases) {
      expect(t.decode(full)).toBe(decoded);
      expect(t.decode(full, { skipSpecialTokens: true })).toBe(skipped);
    }
    for (const { ids, text } of family.decode) expect(t.decode(ids)).toBe(text);
  });

  test('spans tile the decoded text', () => {
    const t = tokenizer();
    for (const ids of [...family.cases.map((c) => c.full), ...family.decode.map((d) => d.ids)]) {
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

  test('100 kB encode in well under a second, in every pipeline, even where the whole text is one word', () => {
    const text = families
      .gemma!.cases.map((c) => c.text)
      .join(' ')
      .repeat(100)
      .slice(0, 100_000);
    for (const [name, family] of Object.entries(families)) {
      const t = load(family);
      for (const input of [text, 'abc'.repeat(33_333)]) {
        const start = performance.now();
        const ids = t.encode(input, { addSpecialTokens: false });
        const taken = performance.now() - start;
        expect(ids.length).toBeGreaterThan(1000);
        expect(taken, name).toBeLessThan(3000);
      }
    }
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
    const tools = { template: 'tool_use', variables: { tools: [1, 2] } };
    expect(several.renderChat(messages, tools)).toBe(`T2 ${new Date().getFullYear()}`);
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
