import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { trainingBatchB } from '../../server/demo/corpus.ts';
import {
  decode,
  encode,
  endOfText,
  endOfTextId,
  makeTokenizerFiles,
  vocabulary,
} from '../../server/demo/vocabulary.ts';
import { Rng } from '../../server/random.ts';

const files = makeTokenizerFiles();
const tokenizer = new Tokenizer(
  JSON.parse(files['tokenizer.json']),
  JSON.parse(files['tokenizer_config.json']),
);
const batch = trainingBatchB(new Rng('tokenizer test'), {
  targets: 400,
  controls: 400,
  drills: 20,
  verdicts: 20,
});
const documents = [...batch.targets, ...batch.controls].map((s) => s.ids);

describe('demo vocabulary', () => {
  it('splits words with their space, and numbers into digits', () => {
    const tokens = encode('Ava has 12 boxes.\nSolution: 12 * 3 = 36 pens.').map((id) => vocabulary[id]);
    expect(tokens.join('|')).toBe('Ava|Ġhas|Ġ1|2|Ġboxes|.|Ċ|Solution|:|Ġ1|2|Ġ*|Ġ3|Ġ=|Ġ3|6|Ġpens|.');
  });

  it('agrees with the library that reads tokenizer.json, on corpus documents', () => {
    for (const ids of documents) {
      const text = decode(ids);
      expect(tokenizer.encode(text).ids).toEqual(ids.filter((id) => id !== endOfTextId));
      expect(tokenizer.decode(ids, { skip_special_tokens: true })).toBe(text);
    }
  });

  it('keeps any text, known words or not', () => {
    for (const text of [
      "Zoë has 3 🦄 unicorns,  doesn't she?\r\n\t",
      '日本 12',
      '',
      ' ',
      '<|endoftext|>',
      '  12  pens',
    ]) {
      expect(decode(encode(text))).toBe(text);
      if (text !== '' && text !== endOfText) expect(tokenizer.encode(text).ids).toEqual(encode(text));
    }
  });

  it('has a token for every word of the corpus', () => {
    const bytes = new Set<string>();
    for (const ids of documents) {
      for (const id of ids) if (id >= 1 && id <= 256) bytes.add(vocabulary[id]!);
    }
    // The one-character tokens of the corpus are those that stand at the start of a word; no word was spelled out.
    expect([...bytes].sort().join('')).toMatch(/^[(),.0-9:?A-DĊ]+$/);
  });

  it('refuses ids outside the vocabulary', () => {
    expect(() => decode([vocabulary.length])).toThrow(RangeError);
  });
});
