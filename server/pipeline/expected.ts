/** What is expected of completions before they are made: how long they are, and how many there will be. */
import type { ControlItem } from '../data/records.ts';
import { isChoice, type RecallItem } from '../evaluate/items.ts';
import type { Model } from '../model/model.ts';
import type { Work } from './work.ts';

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** A guess weighs as much as this many completions. */
const GUESS_WEIGHT = 32;

/** Expected length of completions of one sort: the mean of those that have ended, beginning with a guess. */
export class MeanLength {
  private readonly least: number;
  private sum = 0;
  private count = 0;

  /**
   * @param together how many are made side by side: the short ones end first, so that without a guess nothing is known
   *   before half of them have ended
   * @param guess null for none
   */
  constructor(together: number, guess: number | null = null) {
    this.least = together / 2;
    if (guess === null) return;
    this.sum = GUESS_WEIGHT * guess;
    this.count = GUESS_WEIGHT;
    this.least = 0;
  }

  add(tokens: number): void {
    this.sum += tokens;
    this.count++;
  }

  /** NaN where nothing is known. */
  get mean(): number {
    return this.count >= this.least ? this.sum / this.count : Number.NaN;
  }
}

/** Texts that an expected number of tokens is taken from. */
const SAMPLE = 64;

/** Tokens of many texts, from their length and the tokens of some of them. */
export function estimatedTokens(
  { tokenizer }: Model,
  texts: readonly string[],
  options: { addSpecialTokens?: boolean } = {},
): number {
  const every = Math.max(1, Math.floor(texts.length / SAMPLE));
  const some = texts.filter((_, i) => i % every === 0);
  const characters = (list: readonly string[]) => list.reduce((sum, text) => sum + text.length, 0);
  const tokens = some.reduce((sum, text) => sum + tokenizer.encode(text, options).length, 0);
  return characters(some) > 0 ? (tokens * characters(texts)) / characters(some) : tokens;
}

/** Items of one suite: what each is expected to take, and the completions that they have taken so far. */
export class SuiteWork {
  readonly length: MeanLength;
  private readonly forward: number;
  private readonly completed: number;

  private constructor(forward: number, completed: number, length: MeanLength) {
    this.forward = forward;
    this.completed = completed;
    this.length = length;
  }

  /**
   * @param prompts token ids of the problems
   * @param shared tokens that every prompt starts with and that run once
   * @param batch completions made side by side
   * @param guess length of a completion; null for none
   */
  static ofProblems(
    prompts: readonly (readonly number[])[],
    shared: number,
    batch: number,
    guess: number | null,
  ): SuiteWork {
    const forward = Math.max(0, meanOf(prompts.map((ids) => ids.length - 1)) - shared);
    return new SuiteWork(forward, 1, new MeanLength(Math.min(batch, prompts.length), guess));
  }

  static ofControls(model: Model, items: readonly ControlItem[]): SuiteWork {
    const choices = items.filter(isChoice);
    const recall = items.filter((item): item is RecallItem => !isChoice(item));
    const answersOf = choices.flatMap((item) => item.choices);
    const forward =
      estimatedTokens(
        model,
        items.map(({ prompt }) => prompt),
      ) + estimatedTokens(model, answersOf, { addSpecialTokens: false });
    // The first token of a choice needs no pass of its own, nor does a prompt's last before it is completed.
    const own = answersOf.length + recall.length;
    const answers = recall.map(({ answer }) => [answer].flat()[0] ?? '');
    const guess =
      recall.length > 0
        ? estimatedTokens(model, answers, { addSpecialTokens: false }) / recall.length + 1
        : null;
    const count = Math.max(1, items.length);
    const length = new MeanLength(0, guess);
    return new SuiteWork(Math.max(0, forward - own) / count, recall.length / count, length);
  }

  /** Expected work of so many of the items. */
  of(count: number): Work {
    return {
      forward: count * this.forward,
      ...(this.completed > 0 && { decode: count * this.completed * this.length.mean }),
    };
  }
}

/** Expected rounds of sampling: what share of the problems takes part in each. */
export class Rounds {
  private readonly least: number;
  /** By round from 0: problems that took part, and problems of the units that got as far as that round. */
  private readonly open: number[];
  private readonly all: number[];

  /**
   * @param least rounds that every problem takes part in
   * @param most rounds at most
   */
  constructor(least: number, most: number) {
    this.least = Math.min(least, most);
    this.open = new Array<number>(most).fill(0);
    this.all = new Array<number>(most).fill(0);
  }

  /** Tells that a round begins. */
  add(round: number, open: number, of: number): void {
    this.open[round] = this.open[round]! + open;
    this.all[round] = this.all[round]! + of;
  }

  /** Expected rounds of a problem that has not begun. */
  get expected(): number {
    return this.shares().reduce((sum, share) => sum + share, 0);
  }

  /** Expected rounds after this one of a problem that takes part in it. */
  after(round: number): number {
    const shares = this.shares();
    const later = shares.slice(round + 1).reduce((sum, share) => sum + share, 0);
    return shares[round]! > 0 ? later / shares[round]! : 0;
  }

  /** As measured; where no unit has got that far, from the last round that is known on as is usual. */
  private shares(): number[] {
    const shares: number[] = [];
    for (let round = 0; round < this.all.length; round++) {
      const before = shares.at(-1) ?? 1;
      const usual = round > 0 ? this.usual(round) / this.usual(round - 1) : 1;
      shares.push(this.all[round]! > 0 ? this.open[round]! / this.all[round]! : before * usual);
    }
    return shares;
  }

  /** Many problems never show the other outcome: half of them take part in the last round, say. */
  private usual(round: number): number {
    const late = Math.max(0, round - this.least + 1);
    return 1 - (0.5 * late) / Math.max(1, this.all.length - this.least);
  }
}
