import { describe, expect, test } from 'vitest';
import {
  attributionBucket,
  attributionScale,
  deviates,
  heatBucket,
  scales,
} from '../../../src/traces/heat.ts';
import { scored, tile } from './tokens.ts';

const token = (over: Parameters<typeof scored>[1]) => scored(tile(['x'])[0]!, over);

describe('heat', () => {
  test.each([
    ['surprisal', { logprob: -0.49 }, 0],
    ['surprisal', { logprob: -0.5 }, 1],
    ['surprisal', { logprob: -3 }, 3],
    ['surprisal', { logprob: -80 }, 5],
    ['surprisal', { logprob: null }, 0],
    ['surprisal', { logprob: Number.NaN }, 0],
    ['probability', { logprob: Math.log(0.95) }, 0],
    ['probability', { logprob: Math.log(0.3) }, 3],
    ['probability', { logprob: Math.log(0.01) }, 5],
    ['entropy', { entropy: 1.5 }, 3],
    ['entropy', { entropy: null }, 0],
    ['rank', { rank: 1 }, 0],
    ['rank', { rank: 2 }, 1],
    ['rank', { rank: 1000 }, 5],
  ] as const)('%s of %o is in bucket %i', (heat, over, bucket) => {
    expect(heatBucket(heat, token(over))).toBe(bucket);
  });

  test('limits of every scale get hotter in order', () => {
    for (const { limits, rising } of Object.values(scales)) {
      expect([...limits].sort((a, b) => (rising ? a - b : b - a))).toEqual(limits);
    }
  });

  test('only a completion deviates from greedy', () => {
    expect(deviates(token({ rank: 2 }))).toBe(true);
    expect(deviates(token({ rank: 1 }))).toBe(false);
    expect(deviates(token({ rank: 7, generated: false }))).toBe(false);
    expect(deviates(token({ rank: null }))).toBe(false);
  });
});

describe('attribution', () => {
  test('is relative to what few tokens exceed', () => {
    const values = Array.from({ length: 101 }, (_, i) => (i % 2 === 0 ? i : -i));
    expect(attributionScale(values)).toBe(95);
    expect(attributionScale([...values.slice(0, 100), 1e3])).toBe(95);
    expect(attributionScale([-3])).toBe(3);
    expect(attributionScale([])).toBe(0);
    expect(attributionScale([0, Number.NaN, 3, 3])).toBe(3);
  });

  test('has a scale above the noise where one token is all there is', () => {
    expect(attributionScale([...new Array(99).fill(1e-9), 2])).toBe(0.1);
  });

  test('has four buckets each way, and none for what is weak', () => {
    const scale = 2;
    expect([2, 1.5, 1, 0.5, 0.2, 0.19, 0].map((v) => attributionBucket(v, scale))).toEqual([
      4, 4, 3, 2, 1, 0, 0,
    ]);
    expect([-2, -0.3].map((v) => attributionBucket(v, scale))).toEqual([-4, -1]);
    expect(attributionBucket(90, scale)).toBe(4);
    expect(attributionBucket(1, 0)).toBe(0);
    expect(attributionBucket(Number.NaN, 1)).toBe(0);
  });
});
