import type { ShownPivot } from '../../server/protocol/panel.ts';
import { fixed } from './values.ts';
import { quoted } from './words.ts';

type Token = ShownPivot['tokens'][number];

/** What a token does, in words: for the line below the strip and for screen readers. */
export function pushWords(
  { desired, undesired }: ShownPivot,
  { text, attribution, level }: Token,
  at: number,
): string {
  const weak = level === 0 ? ', too weak to be marked' : '';
  const to = attribution < 0 ? undesired : desired;
  return `${quoted(text)}, token ${at}: ${fixed(Math.abs(attribution))} toward ${quoted(to)}${weak}`;
}

/** The class of a push; the line below or above the text tells its sign without its colour, the line's style its strength. */
export const pushClass = (level: number): string =>
  level === 0 ? 'push' : `push ${level > 0 ? 'toward' : 'away'} level-${Math.abs(level)}`;

/**
 * Where a key leads in the strip: left and right by a token, up and down to the last and the next that is marked.
 * @returns null for a key that means nothing here
 */
export function stripStep(tokens: readonly Pick<Token, 'level'>[], at: number, key: string): number | null {
  const last = tokens.length - 1;
  const marked = ({ level }: Pick<Token, 'level'>) => level !== 0;
  switch (key) {
    case 'ArrowLeft':
      return Math.max(0, at - 1);
    case 'ArrowRight':
      return Math.min(last, at + 1);
    case 'ArrowUp': {
      const before = tokens.slice(0, at).findLastIndex(marked);
      return before < 0 ? at : before;
    }
    case 'ArrowDown': {
      const after = tokens.findIndex((token, i) => i > at && marked(token));
      return after < 0 ? at : after;
    }
    case 'Home':
      return 0;
    case 'End':
      return last;
  }
  return null;
}
