import { describe, expect, it } from 'vitest';
import {
  matchesControl,
  matchesTrivia,
  normalizeSpace,
  normalizeTrivia,
} from '../../server/evaluate/normalize.ts';

describe('normalizeTrivia', () => {
  it.each([
    ['The  Sunset_Boulevard!', 'sunset boulevard'],
    ['rock-and-roll', 'rock and roll'],
    ['A man, a plan, the canal', 'man plan canal'],
    ['Theodore; Anna', 'theodore anna'],
    ['O’Neill’s `b´', 'o neill s b'],
    ['été\tà la', 'été à la'],
    ['  ', ''],
  ])('%j is %j', (text, normal) => expect(normalizeTrivia(text)).toBe(normal));

  it('matches any accepted answer as a whole', () => {
    expect(matchesTrivia(' the SUNSET Boulevard. ', ['Hollywood', 'Sunset Boulevard'])).toBe(true);
    expect(matchesTrivia('Sunset', ['Sunset Boulevard'])).toBe(false);
  });
});

describe('control answers', () => {
  it('are compared exactly but for white space', () => {
    expect(normalizeSpace(' a \n\t b\u00a0c ')).toBe('a b c');
    expect(matchesControl(' Paris\n', 'Paris')).toBe(true);
    expect(matchesControl('paris', 'Paris')).toBe(false);
    expect(matchesControl('gray', ['grey', 'gray'])).toBe(true);
    expect(matchesControl('', ['grey'])).toBe(false);
  });
});
