/**
 * Estimates how long work still takes, from what it has taken so far. All times are in seconds on any steady clock. What a
 * stage of the pipeline still takes is estimated in pipeline/work.ts, by the kinds of its work.
 */

/** Weights fall by half over this part of the time spent so far: long enough to see a trend, short enough to follow one. */
const HALF_LIFE_FRACTION = 0.35;
const SHORTEST_HALF_LIFE = 10;
/** A trend goes into the forecast as far as it stands out of the noise: by 1 - (NOISE_BAR / t)^2, t being its t-statistic. */
const NOISE_BAR = 4;
/** However strong the trend, the mean cost of the rest stays within this factor of the present cost. */
const LARGEST_CHANGE = 4;
/**
 * The remaining time of one stage. Cost per unit of work is followed by an exponentially weighted line over the work done,
 * so that slowly rising or falling cost (longer prompts, shrinking batches) is carried forward and old speed is forgotten.
 */
export class StageProgress {
  private readonly total: number;
  private readonly start: number;
  private done: number;
  private last: number;
  private spent = 0;
  private observations = 0;
  /** The first observation, which often pays for compiling and warming up; it is dropped when others have followed. */
  private first: { x: number; cost: number; work: number } | null = null;
  /** Weighted sums over observations: weight, its square, x, cost, x*x, x*cost, cost*cost. x = share of the work done. */
  private sums = { w: 0, ww: 0, x: 0, y: 0, xx: 0, xy: 0, yy: 0 };
  private lastWork = 0;

  /**
   * @param total all work of the stage: units, or the sum of their weights
   * @param done work that is there already (a resumed stage)
   * @param now time at which work begins
   */
  constructor(total: number, done: number, now: number) {
    this.total = total;
    this.start = done;
    this.done = done;
    this.last = now;
  }

  /** Share of the work that is done, 0 to 1. */
  get fraction(): number {
    return this.total > 0 ? Math.min(1, this.done / this.total) : 1;
  }

  /** Share of the stage's work that this estimator has seen done, 0 to 1. */
  get seen(): number {
    return this.total > 0 ? (this.done - this.start) / this.total : 0;
  }

  /** Expected seconds of the whole stage from its first unit to its last; null while nothing has been done. */
  whole(now: number): number | null {
    const rest = this.remaining(now);
    return rest === null ? null : this.scaledToWhole(this.spent + rest);
  }

  /** Seconds that the whole stage would have taken if it ends here; null while nothing has been done. */
  wholeIfEnded(): number | null {
    return this.scaledToWhole(this.spent);
  }

  /** Tells that `done` of the total work is finished at time `now`. */
  update(done: number, now: number): void {
    const work = done - this.done;
    if (work <= 0) return;
    const seconds = Math.max(0, now - this.last);
    const x = (this.done + work / 2) / this.total;
    this.spent += seconds;
    this.observations++;
    if (this.first === null) this.first = { x, cost: seconds / work, work };
    else this.observe(x, seconds / work, work, seconds);
    this.done = done;
    this.last = now;
    this.lastWork = work;
  }

  /** Seconds until the stage is done as seen at time `now`; null while nothing has been done. */
  remaining(now: number): number | null {
    const rest = this.total - this.done;
    if (rest <= 0) return 0;
    if (this.first === null) return null;
    const seconds = rest * this.meanCost(this.done / this.total, 1);
    // The unit under way counts down, but never as more than itself: a stuck unit must not look like progress.
    const underWay =
      Math.min(rest, this.lastWork) * this.meanCost(this.done / this.total, this.done / this.total);
    return seconds - Math.min(Math.max(0, now - this.last), underWay);
  }

  private scaledToWhole(seconds: number): number | null {
    return this.first === null ? null : (seconds * this.total) / (this.total - this.start);
  }

  private observe(x: number, cost: number, work: number, seconds: number): void {
    const decay = 0.5 ** (seconds / Math.max(SHORTEST_HALF_LIFE, HALF_LIFE_FRACTION * this.spent));
    const s = this.sums;
    // The mean cost of a large piece of work is known better than that of a small one: weight = work.
    this.sums = {
      w: s.w * decay + work,
      ww: s.ww * decay * decay + work * work,
      x: s.x * decay + work * x,
      y: s.y * decay + work * cost,
      xx: s.xx * decay + work * x * x,
      xy: s.xy * decay + work * x * cost,
      yy: s.yy * decay + work * cost * cost,
    };
  }

  /** Mean cost per unit of work between two shares of the work. */
  private meanCost(from: number, to: number): number {
    const { w, ww, x, y, xx, xy, yy } = this.sums;
    if (w === 0) return this.first!.cost;
    if (this.observations < 3) return (y + this.first!.cost * this.first!.work) / (w + this.first!.work);
    const mean = y / w;
    const center = x / w;
    const spread = xx / w - center * center;
    const count = (w * w) / ww;
    if (count < 3 || spread <= 0) return mean;
    const slope = (xy / w - center * mean) / spread;
    const noise = Math.max(0, yy / w - mean * mean - slope * slope * spread) * (count / (count - 2));
    const square = noise > 0 ? (slope * slope * spread * count) / noise : Number.POSITIVE_INFINITY;
    const trust = Math.max(0, 1 - NOISE_BAR ** 2 / square);
    const present = mean + trust * slope * (from - center);
    const forecast = present + (trust * slope * (to - from)) / 2;
    if (!(present > 0)) return mean;
    return Math.min(present * LARGEST_CHANGE, Math.max(present / LARGEST_CHANGE, forecast));
  }
}

/** A stage of a pipeline and its expected cost relative to the others (any unit: seconds on some machine, say). */
export interface PlannedStage {
  name: string;
  cost: number;
}

/**
 * The remaining time of several stages in a row. A running stage tells its own (pipeline/work.ts). Stages to come are their
 * planned cost times the ratio of actual to planned seconds seen so far.
 */
export class PipelineProgress {
  private readonly plan: readonly PlannedStage[];
  /** Seconds that stages take as a whole, as far as this session can tell; null for those that it did not see. */
  private readonly seen = new Map<string, number | null>();
  private current: { name: string; started: number; kept: number | null; remaining: number | null } | null =
    null;

  constructor(plan: readonly PlannedStage[]) {
    this.plan = plan;
  }

  /** Begins a stage of the plan; the one before it, if still open, ends. */
  begin(name: string, now: number): void {
    if (!this.plan.some((stage) => stage.name === name)) throw new Error(`stage ${name} is not in the plan`);
    this.end(now);
    this.current = { name, started: now, kept: null, remaining: null };
  }

  /**
   * @param share of the running stage that is done, 0 to 1
   * @param remaining seconds to its end; null while unknown
   */
  update(share: number, remaining: number | null, now: number): void {
    if (!this.current) return;
    // What is done when a stage first tells is an earlier session's.
    this.current.kept ??= share;
    this.current.remaining = remaining;
    if (remaining !== null) this.measure(now - this.current.started + remaining);
  }

  /** Ends the running stage. It may have ended early: what it took is then its cost. */
  end(now: number): void {
    if (!this.current) return;
    this.measure(now - this.current.started);
    this.current = null;
  }

  /** Tells that a stage needs no work: it was finished by an earlier session. */
  skip(name: string): void {
    this.seen.set(name, null);
  }

  /** Seconds until the whole plan is done; null while nothing has been measured. */
  remaining(): number | null {
    const waiting = this.plan.filter(({ name }) => !this.seen.has(name) && name !== this.current?.name);
    const planned = waiting.reduce((sum, { cost }) => sum + cost, 0);
    const here = this.current ? this.current.remaining : 0;
    if (here === null || planned === 0) return here;
    let actual = 0;
    let expected = 0;
    for (const { name, cost } of this.plan) {
      const seconds = this.seen.get(name) ?? null;
      if (seconds === null) continue;
      actual += seconds;
      expected += cost;
    }
    return expected > 0 ? here + (planned * actual) / expected : null;
  }

  private measure(seconds: number): void {
    const { name, kept } = this.current!;
    this.seen.set(name, kept === null || kept >= 1 ? null : seconds / (1 - kept));
  }
}
