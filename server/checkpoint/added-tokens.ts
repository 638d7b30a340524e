/** Added (special) tokens: cut out of a text before anything else happens to it, as Hugging Face tokenizers does. */

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no word character touches it. */
  readonly single_word: boolean;
  /** Swallows white space before (after) it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in the normalised text rather than the raw one. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A stretch of text, or an added token found. */
export type Section = string | AddedToken;

// Rust's \s and \w, which differ from JavaScript's
const SPACES_BEFORE = /\p{White_Space}*$/u;
const SPACES_AFTER = /^\p{White_Space}*/u;
const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** Splits texts at a fixed set of tokens: leftmost match first, the longest of those that start there. */
export class AddedTokenSplitter {
  /** Patterns by their first UTF-16 unit, longest first. */
  private readonly byFirst = new Map<number, { pattern: string; token: AddedToken }[]>();

  /** @param patterns what to look for (a normalised token's normalised content) and the token it stands for */
  constructor(patterns: Iterable<readonly [pattern: string, token: AddedToken]>) {
    for (const [pattern, token] of patterns) {
      if (pattern === '') continue;
      const first = pattern.charCodeAt(0);
      const list = this.byFirst.get(first) ?? [];
      list.push({ pattern, token });
      this.byFirst.set(first, list);
    }
    for (const list of this.byFirst.values()) list.sort((a, b) => b.pattern.length - a.pattern.length);
  }

  split(text: string): Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.byFirst
        .get(text.charCodeAt(at))
        ?.find(({ pattern }) => text.startsWith(pattern, at));
      if (!found) {
        at++;
        continue;
      }
      const { token, pattern } = found;
      let start = at;
      let stop = at + pattern.length;
      at = stop;
      if (token.single_word && touchesWord(text, start, stop)) continue;
      if (token.lstrip) start -= SPACES_BEFORE.exec(text.slice(done, start))![0].length;
      if (token.rstrip) stop += SPACES_AFTER.exec(text.slice(stop))![0].length;
      if (done < start) sections.push(text.slice(done, start));
      sections.push(token);
      done = stop;
      at = Math.max(at, stop);
    }
    if (done < text.length) sections.push(text.slice(done));
    return sections;
  }
}

function touchesWord(text: string, start: number, stop: number): boolean {
  // two units hold one character beyond the basic plane
  return (
    WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start)) || WORD_AFTER.test(text.slice(stop, stop + 2))
  );
}
