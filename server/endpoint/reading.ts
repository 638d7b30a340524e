import type { Completion, Served } from '../generate/generate.ts';
import { Fault } from './faults.ts';
import type { Answer } from './protocol.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * One completion as it comes in. The stop rule is asked after every token, as it is of a completion made here, so that
 * both end alike; the server's own stop strings would leave open whether a text or the end of text ended it.
 */
export class Reading {
  private readonly vocabulary: Vocabulary;
  private readonly maxTokens: number;
  private readonly stop: (ids: readonly number[]) => boolean;
  private text = '';
  /** As returned; null once a piece of text came without. */
  private ids: number[] | null = [];
  private tokens: string[] | null = [];
  private logProbabilities: (number | null)[] = [];
  private completionTokens: number | null = null;
  private finish: string | null = null;
  private stopToken: number | null = null;
  /** The stop rule, or the limit, has ended it. */
  private over: 'stopped' | 'limit' | null = null;

  constructor(vocabulary: Vocabulary, maxTokens: number, stop: (ids: readonly number[]) => boolean) {
    this.vocabulary = vocabulary;
    this.maxTokens = maxTokens;
    this.stop = stop;
  }

  /** Takes a piece; true when no more of the answer is wanted. */
  take(answer: Answer): boolean {
    const { text, tokens, logProbabilities, finish, stopToken, completionTokens } = answer;
    this.finish = finish ?? this.finish;
    this.stopToken = stopToken ?? this.stopToken;
    this.completionTokens = completionTokens ?? this.completionTokens;
    this.text += text;
    const ids = answer.ids ?? (tokens && this.vocabulary.idsOf(tokens));
    if (text !== '' && !tokens) this.tokens = null;
    this.tokens?.push(...(tokens ?? []));
    if (text !== '' && !ids) this.ids = null;
    if (!this.ids) return this.takeText();
    for (const [i, id] of (ids ?? []).entries()) {
      if (id >= this.vocabulary.size) throw new Fault(`the token ${id} is none of this model's`);
      this.ids.push(id);
      this.logProbabilities.push(logProbabilities?.[i] ?? null);
      this.over = this.judge(this.ids);
      if (this.over) return true;
    }
    return false;
  }

  /**
   * The completion.
   * @param model name of the model there
   * @throws Fault for an answer that ended before the completion did
   */
  end(model: string): Completion {
    if (!this.over && this.finish === null) throw new Fault('the answer was cut off');
    if (!this.over && !['stop', 'length', 'eos', 'stop_sequence'].includes(this.finish!)) {
      throw new Fault(`the server gave the completion up (${this.finish})`);
    }
    const returned = this.ids && this.vocabulary.agrees(this.ids, this.text, this.over === null);
    const ids = returned ? this.ids! : this.cut(this.vocabulary.encode(this.text));
    const truncated = this.over === 'limit' || (this.over === null && this.finish === 'length');
    const served: Served = { model, ids: returned ? 'returned' : this.encoding(ids) };
    if (returned && this.logProbabilities.some((value) => value !== null)) {
      served.logProbabilities = [...this.logProbabilities];
    }
    // What a server calls a stop is the end of text here: no other stop was asked for.
    if (!truncated && this.over === null) this.close(ids, served);
    return { ids, truncated, served };
  }

  /** Without ids: the text's tokens by this tokenizer stand for the ones that were made. */
  private takeText(): boolean {
    const ids = this.vocabulary.encode(this.text);
    // The server counts its own tokens, which may be fewer; far more come only where it ignores the limit.
    if (ids.length > 2 * this.maxTokens + 16) this.over = 'limit';
    else if (ids.length > 0 && this.stop(ids)) this.over = 'stopped';
    return this.over !== null;
  }

  private judge(ids: readonly number[]): 'stopped' | 'limit' | null {
    if (this.stop(ids)) return 'stopped';
    return ids.length >= this.maxTokens ? 'limit' : null;
  }

  /** A piece of text may hold several tokens: nothing after the one that ended it belongs to the completion. */
  private cut(ids: number[]): number[] {
    if (this.over === 'limit') return ids.slice(0, this.maxTokens);
    for (let count = 1; this.over && count < ids.length; count++) {
      if (this.stop(ids.slice(0, count))) return ids.slice(0, count);
    }
    return ids;
  }

  /** Whether anything speaks against our tokens being the ones that were made. */
  private encoding(ids: readonly number[]): 'encoded' | 'recut' {
    if (!this.vocabulary.agrees(ids, this.text, this.over === null)) return 'recut';
    if (this.tokens && this.tokens.length > 0) {
      const alike = this.vocabulary.cutsAlike(ids, this.tokens.slice(0, ids.length));
      return alike && (this.over || this.tokens.length === ids.length) ? 'encoded' : 'recut';
    }
    if (this.over || this.completionTokens === null) return 'encoded';
    // Some servers count the token that ends the text.
    return [ids.length, ids.length + 1].includes(this.completionTokens) ? 'encoded' : 'recut';
  }

  /** A completion made here holds the token that ends it; servers leave it out, or name it. */
  private close(ids: number[], served: Served): void {
    const { eos } = this.vocabulary;
    if (eos.length === 0 || eos.includes(ids.at(-1)!)) return;
    ids.push(this.stopToken !== null && eos.includes(this.stopToken) ? this.stopToken : eos[0]!);
    served.logProbabilities?.push(null);
  }
}
