/**
 * Decoding with the position of every token. Follows the Rust decoders of Hugging Face tokenizers step by step, with
 * each piece of text remembering which tokens it came from.
 */
import { decodeLossy, decodeStrict } from './utf8.ts';

/** A piece of text and, for each token in it, where that token ends (it starts where the one before ends). */
interface Chunk {
  text: string;
  ends: { token: number; end: number }[];
}

export type DecoderStep = (chunks: Chunk[]) => Chunk[];

export interface Span {
  /** UTF-16 offsets into the decoded text. */
  readonly start: number;
  readonly end: number;
}

/** Runs a decoder over token strings; the spans tile the text in order, without overlap. */
export function decodeTokens(tokens: readonly string[], step: DecoderStep): { text: string; spans: Span[] } {
  const spans: Span[] = tokens.map(() => ({ start: 0, end: 0 }));
  let text = '';
  let next = 0;
  for (const chunk of step(
    tokens.map((token, i) => ({ text: token, ends: [{ token: i, end: token.length }] })),
  )) {
    let start = text.length;
    for (const { token, end } of chunk.ends) {
      spans[token] = { start, end: text.length + end };
      start = text.length + end;
      next = token + 1;
    }
    text += chunk.text;
  }
  for (; next < spans.length; next++) spans[next] = { start: text.length, end: text.length };
  return { text, spans };
}

/** Applies steps one after the other. */
export const sequence =
  (steps: readonly DecoderStep[]): DecoderStep =>
  (chunks) =>
    steps.reduce((current, step) => step(current), chunks);

/** Joins all chunks into one. */
export const fuse: DecoderStep = (chunks) => [
  {
    text: chunks.map((chunk) => chunk.text).join(''),
    ends: moved(chunks),
  },
];

function moved(chunks: readonly Chunk[]): Chunk['ends'] {
  let before = 0;
  return chunks.flatMap((chunk) => {
    const shifted = chunk.ends.map(({ token, end }) => ({ token, end: before + end }));
    before += chunk.text.length;
    return shifted;
  });
}

/** Without a decoder, tokens are joined by spaces. */
export const spaceJoined: DecoderStep = (chunks) =>
  chunks.map((chunk, i) => (i === 0 ? chunk : edited(chunk, (part, first) => (first ? ` ${part}` : part))));

/** Replaces a pattern in every chunk. */
export const replace =
  (pattern: RegExp, content: string): DecoderStep =>
  (chunks) =>
    chunks.map((chunk) => edited(chunk, (part) => part.replace(pattern, () => content)));

/** Changes the text of each token of a chunk on its own. */
function edited(chunk: Chunk, change: (part: string, first: boolean) => string): Chunk {
  let text = '';
  let start = 0;
  const ends = chunk.ends.map(({ token, end }, i) => {
    text += change(chunk.text.slice(start, end), i === 0);
    start = end;
    return { token, end: text.length };
  });
  return { text, ends };
}

/** Cuts up to `start` characters `content` off the front and up to `stop` off the end of every chunk. */
export const strip =
  (content: string, start: number, stop: number): DecoderStep =>
  (chunks) =>
    chunks.map(({ text, ends }) => {
      let from = 0;
      while (from < start * content.length && text.startsWith(content, from)) from += content.length;
      let to = text.length;
      while (to > text.length - stop * content.length && to > from && text.endsWith(content, to)) {
        to -= content.length;
      }
      const clamp = (end: number) => Math.min(Math.max(end, from), to) - from;
      return { text: text.slice(from, to), ends: ends.map(({ token, end }) => ({ token, end: clamp(end) })) };
    });

/** Metaspace: the replacement becomes a space; in the first token it vanishes where a prefix was put there. */
export const metaspace =
  (replacement: string, prepended: boolean): DecoderStep =>
  (chunks) =>
    chunks.map((chunk, i) =>
      edited(chunk, (part) => part.replaceAll(replacement, i === 0 && prepended ? '' : ' ')),
    );

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** Runs of tokens <0xNN> become their UTF-8 text, or one U+FFFD per byte if the run as a whole is not UTF-8. */
export const byteFallback: DecoderStep = (chunks) => {
  const out: Chunk[] = [];
  for (let i = 0; i < chunks.length; ) {
    let stop = i;
    while (stop < chunks.length && BYTE_TOKEN.test(chunks[stop]!.text)) stop++;
    if (stop === i) {
      out.push(chunks[i++]!);
      continue;
    }
    const run = chunks.slice(i, stop);
    const bytes = Uint8Array.from(run, (chunk) => Number.parseInt(BYTE_TOKEN.exec(chunk.text)![1]!, 16));
    if (decodeStrict(bytes) === undefined) {
      out.push(...run.map((chunk) => ({ text: '\ufffd', ends: chunk.ends.map((e) => ({ ...e, end: 1 })) })));
    } else {
      const { text, complete } = decodeLossy(bytes);
      out.push({ text, ends: run.flatMap((c, k) => c.ends.map((e) => ({ ...e, end: complete[k + 1]! }))) });
    }
    i = stop;
  }
  return out;
};

/** The byte of each character of the byte-level alphabet (GPT-2's bytes_to_unicode, inverted). */
const BYTE_OF = new Map<string, number>();
for (let byte = 0, moved = 0; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  BYTE_OF.set(String.fromCharCode(printable ? byte : 256 + moved++), byte);
}

/** The bytes a byte-level token stands for; a token with a character outside the alphabet stands for itself. */
export function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF.get(token[i]!);
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/**
 * Byte-level tokens become one text. A character that several tokens share belongs to the token that completes
 * it; the tokens before have an empty span at its start.
 */
export const byteLevel: DecoderStep = (chunks) => {
  const parts = chunks.map((chunk) => byteLevelBytes(chunk.text));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  const positions = parts.map((part) => {
    bytes.set(part, at);
    at += part.length;
    return at;
  });
  const { text, complete } = decodeLossy(bytes);
  const ends = chunks.flatMap((chunk, i) =>
    // a chunk of several tokens cannot come before this step in any pipeline we accept
    chunk.ends.map(({ token }) => ({ token, end: complete[positions[i]!]! })),
  );
  return [{ text, ends }];
};
