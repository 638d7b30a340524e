import { relations } from './facts.ts';
import { objects, people } from './lexicon.ts';
import { templates } from './templates.ts';

/** Ends every training document; also the padding token. */
export const endOfText = '<|endoftext|>';

/**
 * A token is a word or a mark with the space before it, one digit with the space before it, or one white-space
 * character; so token texts join up to the text exactly.
 */
const piecePattern = ' ?\\p{L}+| ?\\p{N}| ?[^\\s\\p{L}\\p{N}]|\\s';
const pieces = new RegExp(piecePattern, 'gu');

/** GPT-2's printable stand-ins: byte value -> character ("bytes_to_unicode" in openai/gpt-2, encoder.py). */
const byteCharacters: readonly string[] = (() => {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
})();
const characterBytes = new Map(byteCharacters.map((c, b) => [c, b]));
const utf8 = new TextEncoder();

function toByteLevel(text: string): string {
  return Array.from(utf8.encode(text), (b) => byteCharacters[b]).join('');
}

/** Every string of the corpus that is not a slot, so that the vocabulary follows from the generator's own tables. */
function corpusPieces(): Set<string> {
  const found = new Set<string>();
  const add = (text: string) => {
    for (const piece of text.match(pieces) ?? []) found.add(piece);
  };
  for (const t of templates) {
    add(t.text.replace(/\{[A-Za-z]\}/g, '1'));
    for (const step of t.steps) add(` ${step.split(' ')[3]!.replace(/\{\w\}/g, '1')}`);
  }
  for (const { name } of people) add(`${name} ${name}`);
  for (const object of objects) add(` ${object}`);
  for (const { questions, statements, facts } of relations) {
    for (const text of questions) add(text.replaceAll('{x}', '1'));
    for (const text of statements) add(` ${text.replaceAll('{x}', '1').replaceAll('{y}', '1')}`);
    for (const { key, answer } of facts) add(` ${key} ${answer}`);
  }
  for (let d = 0; d < 10; d++) add(`${d} ${d}`);
  for (const letter of letters) add(` ${letter}`);
  add('\nSolution: The answer is 1. + - * / =\nAnswer: (A) (B) (C) (D), so true, so false. She He she he');
  add('True or false: 1\nCopy: 1\nSort: 1\nCompute: 1 1 1');
  return found;
}

/** The items of the sorting suite. */
export const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');

/** Token strings in byte-level form, in id order: end of text, the 256 bytes, then the corpus's pieces in sorted order. */
export const vocabulary: readonly string[] = (() => {
  const bytes = new Set(byteCharacters);
  const words = [...corpusPieces()].map(toByteLevel).filter((w) => !bytes.has(w));
  return [endOfText, ...byteCharacters, ...words.sort()];
})();

const ids = new Map(vocabulary.map((token, id) => [token, id]));
export const endOfTextId = 0;

/**
 * Text to token ids, as tokenizer.json does it (no special tokens are recognised in the text). A piece outside the
 * vocabulary becomes its UTF-8 bytes, so any text survives.
 */
export function encode(text: string): number[] {
  const out: number[] = [];
  for (const piece of text.match(pieces) ?? []) {
    const token = toByteLevel(piece);
    const id = ids.get(token);
    if (id !== undefined) out.push(id);
    else for (const c of token) out.push(ids.get(c)!);
  }
  return out;
}

/** Token ids to text; end-of-text is left out. RangeError for an id outside the vocabulary. */
export function decode(tokens: readonly number[]): string {
  const bytes: number[] = [];
  for (const id of tokens) {
    const token = vocabulary[id];
    if (token === undefined) throw new RangeError(`token id ${id}`);
    if (id !== endOfTextId) for (const c of token) bytes.push(characterBytes.get(c)!);
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/**
 * The Hugging Face tokenizer of the demo model, as file name -> text: byte-level BPE without merges whose whole words
 * are looked up first (`ignore_merges`, as in Llama 3's tokenizer.json).
 */
export function makeTokenizerFiles(): Record<'tokenizer.json' | 'tokenizer_config.json', string> {
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: endOfTextId,
        content: endOfText,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: piecePattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(ids),
      merges: [],
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: endOfText,
    pad_token: endOfText,
    clean_up_tokenization_spaces: false,
    model_max_length: 256,
  };
  return {
    'tokenizer.json': `${JSON.stringify(tokenizer)}\n`,
    'tokenizer_config.json': `${JSON.stringify(config, null, 2)}\n`,
  };
}
