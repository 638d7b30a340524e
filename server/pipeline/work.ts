/**
 * How long a stage still takes: the one cost model. Model work is counted in tokens by kind (control.ts), because what a
 * token of a kind costs hardly depends on what it is for: on the demo model, decoding takes 285 to 350 us a token for the
 * problems and for every control suite, forward passes 72 to 101, training 123 to 186 (one thread). So
 *
 *     seconds left = sum over kinds of tokens left x seconds per token
 *
 * Tokens left are counted where they are known (prompts, texts, pairs) and expected where they are not (completions: the
 * mean length of those that have ended; rounds of samples: the share of problems that needed them). Seconds per token are
 * measured while the stage runs, beginning with what earlier stages measured on the same loaded model. A kind that has
 * not been seen costs its usual multiple of those that have.
 */
import type { Signal, WorkKind } from '../control.ts';
import type { Model } from '../model/model.ts';
import type { StageContext } from './context.ts';

/** Tokens by kind; NaN where they are not known yet. */
export type Work = Partial<Record<WorkKind, number>>;

/**
 * What a token costs relative to a forward pass, for kinds that have not been measured. Norms are backward passes, more
 * like training than like what has none: 1.4 times training with the demo model, about the same with 0.5B parameters.
 */
const USUAL: Readonly<Record<WorkKind, number>> = {
  forward: 1,
  decode: 3,
  train: 2,
  norms: 3,
  mask: 5,
  served: 3,
};
/** A measurement counts half once this share of the time spent on its kind has followed it: old speed is forgotten. */
const HALF_LIFE_FRACTION = 0.35;
const SHORTEST_HALF_LIFE = 10;
/** What earlier stages measured weighs as much as this many seconds of the present one. */
const CARRIED_SECONDS = 1;
/** Speed is told of so many seconds, half by half. */
const SPEED_HALF_LIFE = 2;
/** Between two items progress is told at most this often, milliseconds. */
const TELL_MS = 100;

interface Cost {
  tokens: number;
  seconds: number;
}

interface Rate {
  /** Present and carried measurements, by their weight. */
  sum: Cost;
  /** The stage's first, which often pays for compiling a session, until there is another. */
  first: Cost | null;
  /** All but the first of every stage. */
  total: Cost;
  /** Seconds of the present stage. */
  spent: number;
}

/** Seconds per token of every kind of work, as measured. */
export class Rates {
  private readonly kinds = new Map<WorkKind, Rate>();

  /** A stage begins: what was measured before is a guess that its own measurements soon outweigh. */
  begin(): void {
    for (const rate of this.kinds.values()) {
      const { tokens, seconds } = rate.total.tokens > 0 ? rate.total : rate.first!;
      const share = Math.min(1, CARRIED_SECONDS / seconds);
      Object.assign(rate, {
        sum: { tokens: tokens * share, seconds: seconds * share },
        first: null,
        total: { tokens, seconds },
        spent: 0,
      });
    }
  }

  add(kind: WorkKind, tokens: number, seconds: number): void {
    if (!(tokens > 0)) return;
    const none = { tokens: 0, seconds: 0 };
    const rate = this.kinds.get(kind) ?? { sum: none, first: null, total: none, spent: 0 };
    this.kinds.set(kind, rate);
    rate.spent += seconds;
    if (rate.first === null) {
      rate.first = { tokens, seconds };
      return;
    }
    const decay = 0.5 ** (seconds / Math.max(SHORTEST_HALF_LIFE, HALF_LIFE_FRACTION * rate.spent));
    rate.sum = { tokens: rate.sum.tokens * decay + tokens, seconds: rate.sum.seconds * decay + seconds };
    rate.total = { tokens: rate.total.tokens + tokens, seconds: rate.total.seconds + seconds };
  }

  /** Seconds that work takes; null where nothing has been measured, or the work is not known. */
  seconds(work: Work): number | null {
    let total = 0;
    for (const [kind, tokens] of Object.entries(work) as [WorkKind, number][]) {
      if (tokens !== 0) total += tokens * this.perToken(kind);
    }
    return Number.isFinite(total) ? total : null;
  }

  private perToken(kind: WorkKind): number {
    const rate = this.kinds.get(kind);
    if (rate && rate.sum.tokens > 0) return rate.sum.seconds / rate.sum.tokens;
    const others = [...this.kinds].filter(([other]) => other !== kind);
    // Passes over given tokens are more like each other than like decoding.
    const like =
      (kind === 'norms' && others.find(([other, { sum }]) => other === 'train' && sum.tokens > 0)) ||
      (others.find(([other]) => other === 'forward') ?? others[0]);
    let usual = Number.NaN;
    if (like) {
      const [other, { sum, first }] = like;
      const { tokens, seconds } = sum.tokens > 0 ? sum : first!;
      usual = (USUAL[kind] * seconds) / (USUAL[other] * tokens);
    }
    if (!rate) return usual;
    // Compiling can only have made it dearer than it is.
    const own = rate.first!.seconds / rate.first!.tokens;
    return like ? Math.min(own, usual) : own;
  }
}

/** A loaded model keeps its speed from one stage to the next. */
const known = new WeakMap<Model, Rates>();

export function ratesOf(model: Model): Rates {
  const rates = known.get(model) ?? new Rates();
  known.set(model, rates);
  return rates;
}

/** A part of a stage and all the work that it is expected to be, as far as is known by now. */
export type Piece = () => Work;

/** Follows a stage's work, piece by piece, and tells how far it is and how long it takes still. */
export class StageWork {
  /** The stage's context with a signal that hears of the work: for everything that runs the model. */
  readonly context: StageContext;
  /** True while only an upper bound of what is left is known. */
  atMost = false;
  private readonly items: { stage: string; unit: string };
  private total: number;
  private readonly rates: Rates;
  private readonly kept: number;
  private readonly pieces: readonly Piece[];
  private piece = -1;
  /** Work done in this session, and of it what belongs to the present piece. */
  private spent: Work = {};
  private here: Work = {};
  private done: number;
  private note: string | undefined;
  private last = performance.now();
  /** Work of the last seconds. */
  private lately: Cost = { tokens: 0, seconds: 0 };
  private ended = false;
  private told = Number.NEGATIVE_INFINITY;
  /** Expected work of the pieces after the present one, and when it was summed up. */
  private ahead: Work = {};
  private summed = Number.NEGATIVE_INFINITY;

  /**
   * @param items what a person counts: how many there are, and how many an earlier session did
   * @param pieces all the work that is left, in its order; a piece that is never begun counts until a later one is
   */
  constructor(
    context: StageContext,
    { kept = 0, total, ...items }: { stage: string; unit: string; total: number; kept?: number },
    pieces: readonly Piece[] = [],
  ) {
    this.items = items;
    this.total = total;
    this.kept = total > 0 ? kept / total : 0;
    this.done = kept;
    this.rates = ratesOf(context.model);
    this.rates.begin();
    this.pieces = pieces;
    const { signal } = context;
    const hearing: Signal = {
      get aborted() {
        return signal.aborted;
      },
      worked: (kind, tokens) => {
        signal.worked?.(kind, tokens);
        this.worked(kind, tokens);
      },
    };
    this.context = { ...context, signal: hearing };
  }

  get signal(): Signal {
    return this.context.signal;
  }

  begin(piece: Piece): void {
    const at = this.pieces.indexOf(piece);
    if (at < 0) throw new Error(`a piece of ${this.items.stage} that is not planned`);
    this.piece = at;
    this.here = {};
    this.summed = Number.NEGATIVE_INFINITY;
  }

  /** Tells how many items are done by now, of all that the stage has; a search may change how many these are. */
  advance(done: number, { total = this.total, note }: { total?: number; note?: string } = {}): void {
    this.done = done;
    this.total = total;
    this.note = note;
    this.tell();
  }

  /** The stage has nothing left to do, whatever was expected. */
  end(): void {
    this.ended = true;
    this.atMost = false;
    this.tell();
  }

  /** Expected work that is left. */
  left(): Work {
    if (this.ended) return {};
    const present = this.pieces[this.piece]?.() ?? {};
    const rest: Work = {};
    for (const [kind, tokens] of Object.entries(present) as [WorkKind, number][]) {
      rest[kind] = Math.max(0, tokens - (this.here[kind] ?? 0));
    }
    // What is expected of later pieces changes little from item to item, and there can be many of both.
    if (performance.now() - this.summed >= TELL_MS) {
      this.ahead = sumOf(this.pieces.slice(this.piece + 1).map((piece) => piece()));
      this.summed = performance.now();
    }
    return sumOf([rest, this.ahead]);
  }

  private tell(): void {
    this.told = performance.now();
    const remaining = this.rates.seconds(this.left());
    const spent = this.rates.seconds(this.spent) ?? 0;
    const own = remaining === null ? 0 : remaining === 0 ? 1 : spent / (spent + remaining);
    this.context.emit({
      event: 'progress',
      ...this.items,
      done: this.done,
      total: this.total,
      share: this.kept + (1 - this.kept) * own,
      remaining,
      ...(this.atMost && { atMost: true }),
      ...(this.lately.seconds > 0 && {
        tokensPerSecond: Math.round(this.lately.tokens / this.lately.seconds),
      }),
      ...(this.note !== undefined && { note: this.note }),
    });
  }

  private worked(kind: WorkKind, tokens: number): void {
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    this.rates.add(kind, tokens, seconds);
    const kept = 0.5 ** (seconds / SPEED_HALF_LIFE);
    this.lately = {
      tokens: kept * this.lately.tokens + tokens,
      seconds: kept * this.lately.seconds + seconds,
    };
    this.last = now;
    this.spent[kind] = (this.spent[kind] ?? 0) + tokens;
    this.here[kind] = (this.here[kind] ?? 0) + tokens;
    this.tellNowAndThen();
  }

  private tellNowAndThen(): void {
    if (performance.now() - this.told >= TELL_MS) this.tell();
  }
}

export function sumOf(works: readonly Work[]): Work {
  const sum: Work = {};
  for (const work of works) {
    for (const [kind, tokens] of Object.entries(work) as [WorkKind, number][]) {
      sum[kind] = (sum[kind] ?? 0) + tokens;
    }
  }
  return sum;
}

export const times = (count: number, work: Work): Work =>
  Object.fromEntries(Object.entries(work).map(([kind, tokens]) => [kind, count * tokens]));
