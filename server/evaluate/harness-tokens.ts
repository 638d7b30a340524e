/** Texts as the token ids that lm-evaluation-harness 0.4.13 scores (models/huggingface.py, TemplateLM). */
import type { Runner } from '../generate/forward.ts';
import type { Continuation } from './likelihood.ts';
import { stripEnd } from './python.ts';

type Model = Runner['model'];

/** A model as the harness encodes for it. */
export class HarnessTokens {
  readonly maxLength: number;
  private readonly model: Model;
  /** Stands before a text that has nothing before it: the bos token, else the eos token. */
  private readonly prefix: number;
  private readonly prefixText: string;

  /** @param maxLength tokens that the model sees at most; null for what its config says */
  constructor(model: Model, maxLength: number | null) {
    const { tokenizer, config } = model;
    this.model = model;
    this.maxLength = maxLength ?? config.maxPositionEmbeddings;
    this.prefix =
      tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? config.bosTokenId ?? config.eosTokenIds[0] ?? 0;
    this.prefixText = tokenizer.decode([this.prefix]);
  }

  /** A text with the special tokens that the tokenizer puts around it, unless it brings the first one itself. */
  encode(text: string): number[] {
    const marked = this.prefixText !== '' && text.startsWith(this.prefixText);
    return this.model.tokenizer.encode(text, { addSpecialTokens: !marked });
  }

  /** A prompt to complete, cut at its beginning to leave room for `maxTokens`. */
  prompt(text: string, maxTokens: number): number[] {
    const ids = this.encode(text).slice(-(this.maxLength - maxTokens));
    return ids.length > 0 ? ids : [this.prefix];
  }

  /**
   * Continuations of one context. Spaces at the context's end belong to the continuation; its tokens are those that the
   * whole text has beyond the context's own.
   */
  continuations(context: string, texts: readonly string[]): Continuation[] {
    const { tokenizer } = this.model;
    if (context === '') {
      return texts.map((text) => {
        const ids = tokenizer.encode(text, { addSpecialTokens: false });
        const own = ids[0] === this.prefix;
        return { context: [this.prefix], ids: own ? ids.slice(1) : ids };
      });
    }
    const bare = stripEnd(context);
    const ids = this.encode(bare);
    return texts.map((text) => ({
      context: ids,
      ids: this.encode(bare + context.slice(bare.length) + text).slice(ids.length),
    }));
  }

  /** A whole text as windows of at most `maxLength` tokens; every token is predicted once. */
  windows(text: string): Continuation[] {
    const ids = this.encode(text);
    const windows: Continuation[] = [];
    for (let from = 0; from < ids.length; from += this.maxLength) {
      const to = Math.min(from + this.maxLength, ids.length);
      // A later window is filled up with the tokens before it, as far as the model sees.
      const before = from === 0 ? [this.prefix] : ids.slice(Math.max(0, to - this.maxLength - 1), from);
      windows.push({ context: before, ids: ids.slice(from, to) });
    }
    return windows;
  }
}
