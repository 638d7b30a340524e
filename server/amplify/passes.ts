import type { Rng } from '../random.ts';

/**
 * Steps that are whole passes (epochs) over `count` items: each pass in an order of its own, its last step with what is
 * left. The items of a step depend on its number alone, so that a resumed training takes up where it was.
 */
export class Passes {
  private readonly count: number;
  private readonly batch: number;
  private readonly rng: Rng;
  /** Of the pass that was asked for last. */
  private pass = -1;
  private order: number[] = [];

  /** @param batch items per step; 0 takes all */
  constructor(count: number, batch: number, rng: Rng) {
    this.count = count;
    this.batch = batch === 0 ? count : Math.min(batch, count);
    this.rng = rng;
  }

  /** Steps of one pass. */
  get steps(): number {
    return Math.ceil(this.count / this.batch);
  }

  /** Indices of the items of a step, from 0. */
  items(step: number): number[] {
    const pass = Math.floor(step / this.steps);
    if (pass !== this.pass) {
      const order = Array.from({ length: this.count }, (_, i) => i);
      this.order = this.rng.fork(`pass ${pass}`).shuffle(order);
      this.pass = pass;
    }
    const first = (step % this.steps) * this.batch;
    return this.order.slice(first, first + this.batch);
  }
}
