import type { Tokenizer } from '../checkpoint/tokenizer.ts';
import { answerComplete, findAnswerEnd } from '../data/answers.ts';

/** When a completion ends, beside the token limit. */
export interface StopRule {
  /** Stop at the end of the answer sentence (arXiv 2512.16914, stage 1). */
  answer: boolean;
  /** Stop where one of these appears; it is cut off, with all after it. */
  strings: readonly string[];
}

/** Decides after each token whether a completion is over, and what of it is kept. */
export class Stopper {
  private readonly tokenizer: Tokenizer;
  private readonly eos: ReadonlySet<number>;
  private readonly rule: StopRule;

  constructor(tokenizer: Tokenizer, eosTokenIds: readonly number[], rule: StopRule) {
    this.tokenizer = tokenizer;
    this.eos = new Set(eosTokenIds);
    this.rule = rule;
  }

  text(ids: readonly number[]): string {
    return this.tokenizer.decode(ids, { skipSpecialTokens: true });
  }

  readonly isOver = (ids: readonly number[]): boolean => {
    if (this.eos.has(ids.at(-1)!)) return true;
    if (!this.rule.answer && this.rule.strings.length === 0) return false;
    const text = this.text(ids);
    return (this.rule.answer && answerComplete(text)) || this.rule.strings.some((s) => text.includes(s));
  };

  /** The ids without what follows the answer sentence or begins a stop string. */
  trim(ids: readonly number[]): number[] {
    const text = this.text(ids);
    const ends = this.rule.strings.map((s) => text.indexOf(s)).filter((at) => at >= 0);
    const answer = this.rule.answer ? findAnswerEnd(text) : null;
    // An uncertain end was decided by end-of-text, which stays.
    if (answer?.certain) ends.push(answer.end);
    if (ends.length === 0) return [...ids];
    const end = Math.min(...ends);
    let kept = ids.length;
    while (kept > 0 && this.text(ids.slice(0, kept - 1)).length >= end) kept--;
    return ids.slice(0, kept);
  }
}
