/** The closed word lists of the demo's word problems. Every entry is one token of the demo vocabulary. */

export interface Person {
  name: string;
  pronoun: 'he' | 'she';
}

const women = 'Ava Emma Mia Zoe Lily Nora Ruth Sara Tina Vera Olga Jane'.split(' ');
const men = 'Ben Carl Dan Eli Finn Hugo Ivan Jack Leo Max Omar Paul'.split(' ');

export const people: readonly Person[] = [
  ...women.map((name): Person => ({ name, pronoun: 'she' })),
  ...men.map((name): Person => ({ name, pronoun: 'he' })),
];

/** Countable goods: the `{o}` of a template. Foods may also fill `{f}`. */
export const foods: readonly string[] =
  'apples pears plums lemons peaches cookies muffins rolls cakes eggs nuts figs carrots onions berries tarts'.split(
    ' ',
  );

const things: readonly string[] =
  'pens coins stamps marbles cards beads shells books balls buttons ribbons stickers badges blocks bricks keys toys candles brushes stones ropes bowls cups flags'.split(
    ' ',
  );

export const objects: readonly string[] = [...things, ...foods];
