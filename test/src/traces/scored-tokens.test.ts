import { describe, expect, test } from 'vitest';
import { heatPicture, ScoredTokens } from '../../../src/traces/scored-tokens.ts';
import { scored, tile } from './tokens.ts';

describe('scores as they arrive', () => {
  const tokens = tile(['a', 'b', 'c', 'd', 'e', 'f'], 2).map((token) => scored(token));

  test('are in document order whatever the order of the parts', () => {
    const store = new ScoredTokens();
    store.add({ tokens: tokens.slice(3, 5), done: 2, total: 6 });
    store.add({ tokens: tokens.slice(0, 2), done: 4, total: 6 });
    store.add({ tokens: [tokens[5]!, tokens[2]!], done: 6, total: 6 });
    expect(store.tokens.map((token) => token.index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect([store.done, store.total]).toEqual([6, 6]);
  });

  test('that come again replace the old', () => {
    const store = new ScoredTokens();
    store.add({ tokens, done: 6, total: 6 });
    store.add({ tokens: [{ ...tokens[2]!, rank: 9 }], done: 6, total: 6 });
    expect(store.tokens).toHaveLength(6);
    expect(store.at({ line: 2, character: 2 })?.rank).toBe(9);
  });

  test('move with the header', () => {
    const store = new ScoredTokens();
    store.add({ tokens, done: 6, total: 6 });
    store.move(3);
    expect(store.at({ line: 2, character: 0 })).toBeNull();
    expect(store.at({ line: 5, character: 0 })?.index).toBe(0);
  });
});

describe('what is painted', () => {
  const all = { deviations: true, prompt: true };
  const none = { deviations: false, prompt: true };

  test('every token has a range of its own, in its bucket', () => {
    const hot = { logprob: -1.5 };
    const [a, b, c, d] = tile(['aa', 'bb', 'cc', 'dd']);
    const picture = heatPicture(
      [scored(a!, hot), scored(b!, hot), scored(c!), scored(d!, { logprob: -9 })],
      'surprisal',
      all,
    );
    expect(picture.buckets).toEqual([[], [a!.range, b!.range], [], [], [d!.range]]);
    expect(picture.deviations).toEqual([]);
  });

  test('tokens that share a character are painted once, by the hottest', () => {
    const [face] = tile(['😀']);
    const parts = [
      scored(face!, { logprob: -0.6 }),
      scored({ ...face!, index: 1 }, { logprob: -9, rank: 4 }),
    ];
    const picture = heatPicture(parts, 'surprisal', all);
    expect(picture.buckets.map((ranges) => ranges.length)).toEqual([0, 0, 0, 0, 1]);
    expect(picture.deviations).toEqual([face!.range]);
  });

  test('a line break has a sign of its own', () => {
    const [a, end, b] = tile(['a', '\n', 'b']);
    const picture = heatPicture([scored(a!), scored(end!, { logprob: -5 }), scored(b!)], 'surprisal', all);
    expect(picture.breaks).toEqual([{ bucket: 4, range: end!.range }]);
    expect(picture.buckets.flat()).toEqual([]);
  });

  test('without heat only deviations stay', () => {
    const picture = heatPicture([scored(tile(['a'])[0]!, { logprob: -9, rank: 3 })], null, all);
    expect(picture.buckets.flat()).toEqual([]);
    expect(picture.deviations).toHaveLength(1);
    expect(heatPicture([scored(tile(['a'])[0]!, { rank: 3 })], null, none).deviations).toEqual([]);
  });

  test('the prompt is left out where it is not wanted', () => {
    const [asked, answered] = tile(['asked', 'answered']);
    const tokens = [scored(asked!, { logprob: -9, generated: false }), scored(answered!, { logprob: -9 })];
    const { buckets } = heatPicture(tokens, 'surprisal', { deviations: true, prompt: false });
    expect(buckets.flat()).toEqual([answered!.range]);
  });
});
