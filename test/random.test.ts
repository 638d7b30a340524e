import { describe, expect, it } from 'vitest';
import { Rng } from '../server/random.ts';

const take = <T>(n: number, draw: () => T): T[] => Array.from({ length: n }, draw);

describe('Rng', () => {
  it("is xoshiro128**: the words of the authors' C code from state 1, 2, 3, 4", () => {
    const rng = Rng.fromState({ seed: '', s: [1, 2, 3, 4] });
    expect(take(10, () => rng.uint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
    take(990, () => rng.uint32());
    expect(rng.uint32()).toBe(136054147);
  });

  it('draws the golden values of a seed (computed by an independent program)', () => {
    const rng = new Rng(1);
    expect(take(3, () => rng.uint32())).toEqual([2863164244, 773016552, 218760040]);
    expect(rng.float()).toBe(0.3202656495106432);
    expect(new Rng('α').uint32()).toBe(2734937844);
    expect(new Rng(1).fork('a').uint32()).toBe(671592107);
  });

  it('keeps the derived draws stable between versions', () => {
    const rng = new Rng(1);
    expect(take(12, () => rng.int(10))).toMatchInlineSnapshot(`
      [
        4,
        2,
        0,
        1,
        3,
        8,
        3,
        2,
        7,
        7,
        1,
        2,
      ]
    `);
    expect(rng.normal()).toMatchInlineSnapshot(`-0.5058749620098891`);
    expect(rng.shuffle([0, 1, 2, 3, 4, 5, 6, 7])).toMatchInlineSnapshot(`
      [
        3,
        4,
        2,
        1,
        0,
        7,
        5,
        6,
      ]
    `);
  });

  it('takes a number or its text as the same seed, and refuses a broken number', () => {
    expect(new Rng(7).uint32()).toBe(new Rng('7').uint32());
    expect(new Rng(7).uint32()).not.toBe(new Rng(8).uint32());
    expect(() => new Rng(Number.NaN)).toThrow(RangeError);
    expect(() => new Rng(0.5)).toThrow(RangeError);
  });

  it('forks by seed and key alone, whatever was drawn', () => {
    const a = new Rng('run');
    const before = a.fork('problem 3').uint32();
    take(1000, () => a.uint32());
    expect(a.fork('problem 3').uint32()).toBe(before);
    expect(a.fork('problem 4').uint32()).not.toBe(before);
    expect(a.fork('a').fork('b').uint32()).not.toBe(a.fork('a/b').uint32());
    expect(a.fork('a').fork('1:b').uint32()).not.toBe(a.fork('a/1:1:b').uint32());
  });

  it('goes on from a saved state as if never stopped, forks included', () => {
    const a = new Rng('run');
    take(100, () => a.normal());
    const saved = JSON.parse(JSON.stringify(a.state()));
    const ahead = take(50, () => a.float());
    const b = Rng.fromState(saved);
    expect(take(50, () => b.float())).toEqual(ahead);
    expect(b.fork('x').uint32()).toBe(a.fork('x').uint32());
    expect(() => Rng.fromState({ seed: 'run', s: [0, 0, 0, 0] })).toThrow(RangeError);
    expect(() => Rng.fromState({ seed: 'run', s: [1, 2, 3, -1] })).toThrow(RangeError);
  });

  it('draws uniform integers: chi-square of 7 cells over 70,000 draws', () => {
    const rng = new Rng('uniform');
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[rng.int(7)]!++;
    const chi2 = counts.reduce((sum, c) => sum + (c - 10_000) ** 2 / 10_000, 0);
    expect(chi2).toBeLessThan(22.46); // 99.9 % point with 6 degrees of freedom
  });

  it('has no modulo bias where it would show most', () => {
    // Plain x % n with n = 3 * 2^30 would put half of all draws into the first third.
    const rng = new Rng('bias');
    const n = 3 * 2 ** 30;
    const low = take(10_000, () => rng.int(n)).filter((x) => x < 2 ** 30).length;
    expect(low / 10_000).toBeGreaterThan(0.31);
    expect(low / 10_000).toBeLessThan(0.36);
    expect(() => rng.int(0)).toThrow(RangeError);
    expect(() => rng.int(2 ** 32 + 1)).toThrow(RangeError);
    expect(rng.int(2 ** 32)).toBeLessThan(2 ** 32);
    expect(rng.int(1)).toBe(0);
  });

  it('draws normals with the right moments and tails', () => {
    const rng = new Rng('normal');
    const xs = take(100_000, () => rng.normal());
    const moment = (k: number) => xs.reduce((sum, x) => sum + x ** k, 0) / xs.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.015);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15);
    expect(xs.filter((x) => Math.abs(x) > 1.96).length / xs.length).toBeCloseTo(0.05, 2);
  });

  it('shuffles in place, every order equally often', () => {
    const rng = new Rng('shuffle');
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const items = ['a', 'b', 'c'];
      expect(rng.shuffle(items)).toBe(items);
      seen.set(items.join(''), (seen.get(items.join('')) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(110);
  });
});
