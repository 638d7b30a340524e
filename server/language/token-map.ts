import type { Span } from '../checkpoint/tokenizer.ts';

/** What is needed of a tokenizer here; `Tokenizer` of the checkpoint is one. */
export interface TokenReader {
  readonly vocabSize: number;
  decode(ids: ArrayLike<number>): string;
  tokenSpans(ids: ArrayLike<number>): { text: string; spans: Span[] };
  tokenText(id: number): string;
}

/** UTF-16 offsets into a document. */
export interface Stretch {
  start: number;
  end: number;
}

/** Where a body stops being the text of its tokens. */
export interface Mismatch {
  /** Offset in the document, and the first token that is not there as a whole. */
  at: number;
  token: number;
  /** What the tokens say there, and what stands there: a few characters each, '' for the end. */
  expected: string;
  found: string;
}

/** Bytes that are no character by themselves, as a tokenizer shows them. */
const PARTIAL = /\\x[0-9A-F]{2}/;

/**
 * Where every token of a trace stands in its document. Tokens tile the body. Those that hold only a part of a character
 * have the whole character as their range, together with the token that completes it; tokens without text (an id
 * without a token, a space that the decoder takes away) have an empty range.
 *
 * The body is compared with the text of the tokens but for line ends, which editors make alike when they open a file,
 * and for line ends at the very end, which editors add and take away when they save one.
 */
export class TokenMap {
  readonly ids: readonly number[];
  /** First token of the completion. */
  readonly promptLength: number;
  /** null: the body is the text of the tokens. Otherwise only tokens before it can be relied on. */
  readonly mismatch: Mismatch | null;
  private readonly reader: TokenReader;
  /** Where every token ends in the document; it starts where the one before ends. */
  private readonly ends: Uint32Array;
  private readonly bodyStart: number;
  private readonly text: string;

  /**
   * @param text the whole document
   * @param bodyStart where its body starts
   */
  constructor(
    text: string,
    bodyStart: number,
    promptIds: readonly number[],
    completionIds: readonly number[],
    reader: TokenReader,
  ) {
    this.ids = [...promptIds, ...completionIds];
    this.promptLength = promptIds.length;
    this.reader = reader;
    this.bodyStart = bodyStart;
    this.text = text;
    const { text: decoded, spans } = reader.tokenSpans(this.ids);
    const aligned = align(decoded, spans, text, bodyStart);
    this.ends = aligned.ends;
    this.mismatch = aligned.mismatch;
  }

  get length(): number {
    return this.ids.length;
  }

  /** The stretch of the document that is this token's alone. */
  own(token: number): Stretch {
    return { start: token === 0 ? this.bodyStart : this.ends[token - 1]!, end: this.ends[token]! };
  }

  /** The stretch to show a token at: its own, or the character that it is a part of. */
  range(token: number): Stretch {
    const own = this.own(token);
    if (own.end > own.start || !this.isPartial(token)) return own;
    const code = this.text.codePointAt(own.start);
    return code === undefined ? own : { start: own.start, end: own.start + (code > 0xffff ? 2 : 1) };
  }

  /** Tokens at an offset: the one whose text it is last, before it those that hold a part of its first character. */
  at(offset: number): number[] {
    const { ends, length } = this;
    if (length === 0 || offset < this.bodyStart || offset > ends[length - 1]!) return [];
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! > offset) high = middle;
      else low = middle + 1;
    }
    // At the very end of the text: its last token.
    if (low === length) low = lastWithText(this);
    if (low < 0) return [];
    const tokens = [low];
    const { start } = this.own(low);
    for (let i = low - 1; i >= 0 && this.own(i).start === start && this.isPartial(i); i--) {
      if (offset < this.range(i).end) tokens.unshift(i);
    }
    return tokens;
  }

  /** For display; '' where the tokenizer has no such token. */
  tokenText(token: number): string {
    return this.reader.tokenText(this.ids[token]!);
  }

  private isPartial(token: number): boolean {
    return PARTIAL.test(this.tokenText(token));
  }
}

function lastWithText(map: TokenMap): number {
  let last = map.length - 1;
  while (last >= 0 && map.own(last).start === map.own(last).end) last--;
  return last;
}

const SHOWN = 24;
const LF = 0x0a;
const CR = 0x0d;

/** Length of the line end at an index, 0 where there is none. */
function lineEnd(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code === LF) return 1;
  if (code !== CR) return 0;
  return text.charCodeAt(at + 1) === LF ? 2 : 1;
}

/** Walks both texts at once and notes where each token's end comes to lie. */
function align(
  decoded: string,
  spans: readonly Span[],
  text: string,
  bodyStart: number,
): { ends: Uint32Array; mismatch: Mismatch | null } {
  const ends = new Uint32Array(spans.length);
  let token = 0;
  let i = 0;
  let j = bodyStart;
  /** Tokens that end at or before decoded index `upTo`, given that index i is at j; line ends differ in length. */
  const settle = (upTo: number, limit: number) => {
    for (; token < spans.length && spans[token]!.end <= upTo; token++) {
      ends[token] = Math.min(j + (spans[token]!.end - i), limit);
    }
  };
  while (i < decoded.length && j < text.length) {
    const eol = lineEnd(decoded, i);
    const found = lineEnd(text, j);
    if (eol > 0 && found > 0) {
      // A token that ends between the two characters of a line end is put behind what is there of it.
      settle(i + eol - 1, j + found);
      i += eol;
      j += found;
      settle(i, j);
    } else if (decoded.charCodeAt(i) === text.charCodeAt(j)) {
      settle(i, j);
      i++;
      j++;
    } else break;
  }
  settle(i, j);
  const atEnd = /^[\r\n]*$/;
  if (atEnd.test(decoded.slice(i)) && atEnd.test(text.slice(j))) {
    while (token < spans.length) ends[token++] = j;
    return { ends, mismatch: null };
  }
  const mismatch = {
    at: j,
    token,
    expected: head(decoded, i),
    found: head(text, j),
  };
  while (token < spans.length) ends[token++] = j;
  return { ends, mismatch };
}

/** A few characters, none of them cut. */
function head(text: string, at: number): string {
  const from = at > 0 && (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;
  return [...text.slice(from, from + 2 * SHOWN)].slice(0, SHOWN).join('');
}
