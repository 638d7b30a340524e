import type { Tokenizer } from '../checkpoint/tokenizer.ts';

/** A model's tokens as a server speaks of them. */
export class Vocabulary {
  readonly tokenizer: Tokenizer;
  /** Rows of the embedding. */
  readonly size: number;
  readonly eos: readonly number[];
  /** What the tokenizer puts before every text. */
  private readonly opening: readonly number[];
  private byText: Map<string, number | null> | null = null;

  constructor(tokenizer: Tokenizer, size: number, eos: readonly number[]) {
    this.tokenizer = tokenizer;
    this.size = size;
    this.eos = eos;
    this.opening = tokenizer.encode('');
  }

  /** The text whose tokens these are, as the tokenizer reads a prompt; null where there is none. */
  promptText(ids: readonly number[]): string | null {
    const opened = this.opening.every((id, i) => ids[i] === id);
    const text = this.tokenizer.decode(opened ? ids.slice(this.opening.length) : ids);
    const again = this.tokenizer.encode(text);
    return again.length === ids.length && again.every((id, i) => id === ids[i]) ? text : null;
  }

  /** Tokens of a completion's text. */
  encode(text: string): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: false });
  }

  /** The ids of tokens that are told as texts; null where a text is no token's, or that of several. */
  idsOf(tokens: readonly string[]): number[] | null {
    this.byText ??= this.texts();
    const ids = tokens.map((token) => this.byText!.get(token) ?? null);
    return ids.every((id) => id !== null) ? ids : null;
  }

  /**
   * Whether ids say what a text says. Space is left aside, since servers differ in the space before a first word; so
   * are bytes that are no character yet.
   */
  agrees(ids: readonly number[], text: string, whole: boolean): boolean {
    const said = bare(this.tokenizer.decode(ids, { skipSpecialTokens: true }));
    const told = bare(text);
    return whole ? said === told : said.startsWith(told) || told.startsWith(said);
  }

  /** Whether text that was cut into `tokens` by the server is cut into these ids here. */
  cutsAlike(ids: readonly number[], tokens: readonly string[]): boolean {
    const { text, spans } = this.tokenizer.tokenSpans(ids);
    const own = spans.map(({ start, end }) => text.slice(start, end));
    return own.length === tokens.length && own.every((token, i) => token === tokens[i]);
  }

  private texts(): Map<string, number | null> {
    const { tokenizer } = this;
    const texts = new Map<string, number | null>();
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      const text = tokenizer.tokenText(id);
      if (text === '' || tokenizer.specialIds.has(id)) continue;
      texts.set(text, texts.has(text) ? null : id);
    }
    return texts;
  }
}

const bare = (text: string) => text.replace(/[\s\ufffd]+/g, '');
