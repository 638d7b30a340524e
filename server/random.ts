import { createHash } from 'node:crypto';

/** Everything that a stream needs to go on exactly where it was; plain JSON. */
export interface RngState {
  seed: string;
  s: [number, number, number, number];
}

/**
 * Seeded random numbers, the same on every machine: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear
 * Pseudorandom Number Generators", 2021; prng.di.unimi.it), period 2^128 - 1, its state filled from the first 128 bits
 * of SHA-256 of the seed. Not for secrets.
 */
export class Rng {
  readonly #seed: string;
  readonly #s: Uint32Array;

  /** @param seed any text or safe integer; 7 and "7" are the same seed. RangeError for any other number. */
  constructor(seed: string | number) {
    if (typeof seed === 'number' && !Number.isSafeInteger(seed)) throw new RangeError(`Rng: seed ${seed}`);
    this.#seed = String(seed);
    const digest = createHash('sha256').update(this.#seed, 'utf8').digest();
    this.#s = Uint32Array.from({ length: 4 }, (_, i) => digest.readUInt32LE(4 * i));
  }

  /** A stream that goes on from a saved `state()`. RangeError if that is not one. */
  static fromState(state: RngState): Rng {
    const rng = new Rng(state.seed);
    const words = state.s;
    const valid = words.length === 4 && words.every((w) => Number.isInteger(w) && w >= 0 && w < 2 ** 32);
    // The all-zero state is the one fixed point of the generator.
    if (!valid || words.every((w) => w === 0)) throw new RangeError('Rng: not a saved state');
    rng.#s.set(words);
    return rng;
  }

  /** The state to save; later draws do not change it. */
  state(): RngState {
    return { seed: this.#seed, s: [...this.#s] as RngState['s'] };
  }

  /**
   * An independent stream that depends only on this stream's seed and `key`, never on how much was drawn: give each
   * problem, sample or epoch its own and the order of work stops mattering (batches, resume).
   */
  fork(key: string): Rng {
    // The length makes the path unambiguous: fork("a").fork("b") differs from fork("a/b").
    return new Rng(`${this.#seed}/${key.length}:${key}`);
  }

  /** Uniform integer in [0, 2^32). */
  uint32(): number {
    const s = this.#s;
    const s1 = s[1]!;
    const m = Math.imul(s1, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9) >>> 0;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1] = s1 ^ s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** Uniform in [0, 1), a multiple of 2^-53; takes two draws of 32 bits. */
  float(): number {
    const high = this.uint32() >>> 5;
    return (high * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** Uniform integer in [0, n), without modulo bias. RangeError unless n is an integer in 1 .. 2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) throw new RangeError(`Rng.int: n = ${n}`);
    const limit = 2 ** 32 - (2 ** 32 % n);
    let x = this.uint32();
    while (x >= limit) x = this.uint32();
    return x % n;
  }

  /** Standard normal, by Marsaglia's polar method; the second value is dropped so that the state stays four words. */
  normal(): number {
    for (;;) {
      const u = 2 * this.float() - 1;
      const v = 2 * this.float() - 1;
      const r = u * u + v * v;
      if (r > 0 && r < 1) return u * Math.sqrt((-2 * Math.log(r)) / r);
    }
  }

  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
