/**
 * Text to token ids and back. tokenizer.json is the truth; ids equal those of Hugging Face tokenizers (Rust), which
 * transformers runs (its fifth version puts a pipeline of its own in the place of the file's for Llamas whose
 * tokenizer_class is LlamaTokenizer or GPT2Tokenizer; here the file's counts). Decoding never cleans up spaces (transformers' clean_up_tokenization_spaces is ignored for BPE).
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Tokenizer as Pipeline } from '@huggingface/tokenizers';
import { InputError } from '../errors.ts';
import { type AddedToken, AddedTokenSplitter } from './added-tokens.ts';
import { type ChatMessage, type ChatOptions, findTemplate, renderChatTemplate } from './chat.ts';
import { Fields, isRecord, readJsonObject } from './json-fields.ts';
import { readAffixes } from './post-processor.ts';
import { byteLevelBytes, type DecoderStep, decodeTokens, type Span } from './token-decoder.ts';
import {
  addedToken,
  readAddedTokens,
  readDecoder,
  readVocabulary,
  rewriteNormalizer,
  rewritePreTokenizer,
} from './tokenizer-json.ts';
import { decodeStrict } from './utf8.ts';

export type { ChatMessage, ChatOptions } from './chat.ts';
export type { Span } from './token-decoder.ts';

export interface Tokenizer {
  /** One more than the largest id; the model's vocab_size may be larger still. */
  readonly vocabSize: number;
  /** Ids of added tokens marked special. */
  readonly specialIds: ReadonlySet<number>;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly padTokenId: number | null;
  /** @param options.addSpecialTokens whether to put bos / eos around as the tokenizer says; true by default */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[];
  /** Ids without a token are left out. @param options.skipSpecialTokens false by default */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
  /**
   * The decoded text and the UTF-16 span of every token in it. The spans tile the text: each starts where the one
   * before ends. A character whose bytes are shared by several tokens (emoji, CJK) belongs to the token that completes
   * it, so the tokens before it there have an empty span.
   */
  tokenSpans(ids: ArrayLike<number>): { text: string; spans: Span[] };
  /**
   * One token for display: its text, white space as it is; bytes that are no character by themselves as \xNN.
   * An id without a token gives "".
   */
  tokenText(id: number): string;
  /** The prompt for a conversation by the model's chat template. @throws InputError where there is none, or it fails */
  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string;
  /** The source of the model's chat template. @throws InputError where there is none */
  chatTemplate(): string;
}

/**
 * Loads tokenizer.json (and tokenizer_config.json, chat_template.jinja) of a Hugging Face folder.
 * @throws InputError naming the file and field for anything missing, malformed or not computed exactly
 */
export function loadTokenizer(folder: string): Tokenizer {
  const file = path.join(folder, 'tokenizer.json');
  if (!existsSync(file)) {
    throw new InputError(
      file,
      'missing',
      "Save the model's fast tokenizer there (transformers' AutoTokenizer and save_pretrained)",
    );
  }
  const json = new Fields(file, readJsonObject(file));
  const configFile = path.join(folder, 'tokenizer_config.json');
  const config = new Fields(configFile, existsSync(configFile) ? readJsonObject(configFile) : {});
  return new LoadedTokenizer(folder, json, config);
}

class LoadedTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly padTokenId: number | null;
  private readonly folder: string;
  private readonly config: Fields;
  private readonly ids: Map<string, number>;
  private readonly tokens: string[] = [];
  private readonly pipeline: Pipeline;
  private readonly rawSplitter: AddedTokenSplitter;
  private readonly normalizedSplitter: AddedTokenSplitter;
  private readonly before: readonly number[];
  private readonly after: readonly number[];
  private readonly decoder: DecoderStep;
  private readonly decodedAlone = new Map<number, string>();

  constructor(folder: string, json: Fields, config: Fields) {
    this.folder = folder;
    this.config = config;
    this.ids = readVocabulary(json);
    this.pipeline = makePipeline(json);
    this.decoder = readDecoder(json);
    const added = allAddedTokens(json, config, this.ids);
    for (const [token, id] of this.ids) this.tokens[id] = token;
    for (const { content, id } of added) this.tokens[id] = content;
    this.vocabSize = this.tokens.length;
    this.specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
    const byContent = new Map([...this.ids, ...added.map(({ content, id }) => [content, id] as const)]);
    const idOf = (name: string) => byContent.get(tokenName(config, name) ?? '') ?? null;
    this.bosTokenId = idOf('bos_token');
    this.eosTokenId = idOf('eos_token');
    this.padTokenId = idOf('pad_token');
    const { normalizer } = this.pipeline;
    this.rawSplitter = new AddedTokenSplitter(
      added.filter((token) => !token.normalized).map((token) => [token.content, token]),
    );
    this.normalizedSplitter = new AddedTokenSplitter(
      added
        .filter((token) => token.normalized)
        .map((token) => [normalizer ? normalizer.normalize(token.content) : token.content, token]),
    );
    const affixes = readAffixes(json);
    this.before = affixes.before;
    this.after = affixes.after;
  }

  encode(text: string, options: { addSpecialTokens?: boolean } = {}): number[] {
    const out: number[] = [];
    const wrap = options.addSpecialTokens ?? true;
    if (wrap) out.push(...this.before);
    this.rawSplitter.split(text).forEach((section, i) => {
      if (typeof section === 'string') this.encodeSection(section, i === 0, out);
      else out.push(section.id);
    });
    if (wrap) out.push(...this.after);
    return out;
  }

  /** @param first whether the section starts the text: some pre-tokenisers put a space only there */
  private encodeSection(raw: string, first: boolean, out: number[]): void {
    const { normalizer, pre_tokenizer: preTokenizer, model } = this.pipeline;
    const normalized = normalizer ? normalizer.normalize(raw) : raw;
    this.normalizedSplitter.split(normalized).forEach((section, i) => {
      if (typeof section !== 'string') {
        out.push(section.id);
        return;
      }
      const options = { section_index: first && i === 0 ? 0 : 1 };
      const words = preTokenizer ? preTokenizer.pre_tokenize(section, options) : [section];
      for (const token of model!._call(words)) {
        const id = this.ids.get(token) ?? model!.unk_token_id;
        if (id !== undefined) out.push(id);
      }
    });
  }

  decode(ids: ArrayLike<number>, options: { skipSpecialTokens?: boolean } = {}): string {
    const kept = Array.from(ids).filter(
      (id) => this.tokens[id] !== undefined && !(options.skipSpecialTokens && this.specialIds.has(id)),
    );
    return decodeTokens(
      kept.map((id) => this.tokens[id]!),
      this.decoder,
    ).text;
  }

  tokenSpans(ids: ArrayLike<number>): { text: string; spans: Span[] } {
    const list = Array.from(ids);
    const known = list.filter((id) => this.tokens[id] !== undefined);
    const { text, spans } = decodeTokens(
      known.map((id) => this.tokens[id]!),
      this.decoder,
    );
    if (known.length === list.length) return { text, spans };
    let next = 0;
    let end = 0;
    const all = list.map((id) => {
      const span = this.tokens[id] === undefined ? { start: end, end } : spans[next++]!;
      end = span.end;
      return span;
    });
    return { text, spans: all };
  }

  tokenText(id: number): string {
    const token = this.tokens[id];
    if (token === undefined) return '';
    let text = this.decodedAlone.get(id);
    if (text === undefined) {
      text = this.specialIds.has(id) ? token : this.displayForm(token);
      this.decodedAlone.set(id, text);
    }
    return text;
  }

  /** Decoded behind a token that takes on whatever the decoder does to the start of a text. */
  private displayForm(token: string): string {
    const { text, spans } = decodeTokens(['a', token], this.decoder);
    const alone = text.slice(spans[1]!.start);
    if (!alone.includes('\ufffd') && alone !== '') return alone;
    const fallback = /^<0x([0-9A-F]{2})>$/.exec(token);
    if (fallback) return `\\x${fallback[1]}`;
    return showBytes(byteLevelBytes(token));
  }

  renderChat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const special: Record<string, string> = {};
    for (const name of SPECIAL_NAMES) {
      const content = tokenName(this.config, name);
      if (content !== undefined) special[name] = content;
    }
    return renderChatTemplate(this.folder, this.config, messages, special, options);
  }

  chatTemplate(): string {
    return findTemplate(this.folder, this.config).source;
  }
}

/** Valid UTF-8 as text, other bytes as \xNN. */
function showBytes(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    let length = 4;
    while (length > 0 && (i + length > bytes.length || !oneCharacter(bytes.subarray(i, i + length))))
      length--;
    if (length === 0) out += `\\x${bytes[i++]!.toString(16).toUpperCase().padStart(2, '0')}`;
    else {
      out += decodeStrict(bytes.subarray(i, i + length));
      i += length;
    }
  }
  return out;
}

function oneCharacter(bytes: Uint8Array): boolean {
  const text = decodeStrict(bytes);
  return text !== undefined && [...text].length === 1;
}

const SPECIAL_NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

/** A special token's content; the config has it as a string or as an object. */
function tokenName(config: Fields, name: string): string | undefined {
  const value = config.raw(name);
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.content === 'string' ? value.content : undefined;
}

/** The normaliser, pre-tokeniser and model, run by the library. */
function makePipeline(json: Fields): Pipeline {
  const rewritten = {
    model: { ...(json.raw('model') as object), type: 'BPE' },
    normalizer: rewriteNormalizer(json),
    pre_tokenizer: rewritePreTokenizer(json),
    added_tokens: [],
    post_processor: null,
    decoder: null,
  };
  try {
    return new Pipeline(rewritten, {});
  } catch (error) {
    throw new InputError(
      json.file,
      `cannot be used (${(error as Error).message})`,
      'Download it again or save it anew with transformers',
    );
  }
}

/**
 * Added tokens of tokenizer.json, and those that transformers adds when it loads tokenizer_config.json: entries of
 * added_tokens_decoder that tokenizer.json lacks, and special tokens that are in the vocabulary only.
 */
function allAddedTokens(json: Fields, config: Fields, vocab: ReadonlyMap<string, number>): AddedToken[] {
  const added = readAddedTokens(json);
  const contents = new Set(added.map((token) => token.content));
  const add = (id: number, entry: unknown) => {
    const token = addedToken(id, entry);
    if (!token || contents.has(token.content)) return;
    contents.add(token.content);
    added.push(token);
  };
  for (const [id, entry] of Object.entries(config.object('added_tokens_decoder')?.values ?? {})) {
    if (/^\d{1,7}$/.test(id)) add(Number(id), entry);
  }
  const extra = ['additional_special_tokens', 'extra_special_tokens'].flatMap((name) => {
    const list = config.raw(name);
    return Array.isArray(list) ? list : [];
  });
  for (const given of [...SPECIAL_NAMES.map((name) => config.raw(name)), ...extra]) {
    const entry = typeof given === 'string' ? { content: given } : isRecord(given) ? given : undefined;
    const id = entry && vocab.get(String(entry.content));
    if (id !== undefined) add(id, { ...entry, special: true, normalized: false });
  }
  return added;
}
