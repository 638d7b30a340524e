import type { ShownPivot } from '../../server/protocol/panel.ts';
import { pushClass, pushWords, stripStep } from '../circuit/pushes.ts';
import { quoted } from '../circuit/words.ts';
import { h, setText } from '../dom.ts';

/** A token's text with its line ends and tabs to be seen; spaces show by what marks them. */
const shownText = (text: string): string =>
  text === '' ? '∅' : text.replaceAll('\n', '⏎\n').replaceAll('\t', '⇥');

/** The tokens before a pivot by what they push toward. One stop of Tab; arrow keys go from token to token. */
export function tokenStrip(): { element: HTMLElement; set(pivot: ShownPivot): void } {
  const strip = h('div', {
    class: 'strip',
    role: 'listbox',
    'aria-orientation': 'horizontal',
    'aria-label': 'Tokens before the pivot, by their push',
  });
  const words = h('p', { class: 'readout' });
  const key = h('div', { class: 'legend' });
  let shown: ShownPivot | null = null;
  let options: HTMLElement[] = [];
  let at = 0;

  const tell = (index: number) => {
    const token = shown?.tokens[index];
    setText(words, shown && token ? pushWords(shown, token, index) : '');
  };
  const stand = (index: number) => {
    for (const [i, chosen] of [
      [at, false],
      [index, true],
    ] as const) {
      options[i]?.setAttribute('tabindex', chosen ? '0' : '-1');
      options[i]?.setAttribute('aria-selected', String(chosen));
    }
    at = index;
    tell(at);
  };
  const indexOf = ({ target }: Event) => options.indexOf(target as HTMLElement);

  strip.addEventListener('keydown', (event) => {
    if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = stripStep(shown.tokens, at, event.key);
    if (to === null) return;
    event.preventDefault();
    stand(to);
    options[to]?.focus();
  });
  strip.addEventListener('focusin', (event) => {
    const index = indexOf(event);
    if (index >= 0) stand(index);
  });
  strip.addEventListener('pointerover', (event) => {
    const index = indexOf(event);
    if (index >= 0) tell(index);
  });
  strip.addEventListener('pointerleave', () => tell(at));

  const item = (level: number, text: string) =>
    h(
      'span',
      { class: 'legend-item' },
      h('span', { class: pushClass(level), 'aria-hidden': 'true' }, 'abc'),
      text,
    );
  return {
    element: h('div', { class: 'pushes' }, key, strip, words),
    set(pivot) {
      if (pivot === shown) return;
      shown = pivot;
      options = pivot.tokens.map((token, i) =>
        h(
          'span',
          {
            class: pushClass(token.level),
            role: 'option',
            tabindex: -1,
            'aria-selected': 'false',
            'aria-label': pushWords(pivot, token, i),
          },
          shownText(token.text),
        ),
      );
      strip.replaceChildren(...options);
      key.replaceChildren(
        item(3, `line below: toward ${quoted(pivot.desired)}`),
        item(-3, `line above: toward ${quoted(pivot.undesired)}`),
      );
      const sizes = pivot.tokens.map(({ attribution }) => Math.abs(attribution));
      at = 0;
      stand(Math.max(0, sizes.indexOf(Math.max(...sizes))));
      // The tokens nearest to the pivot.
      strip.scrollTop = strip.scrollHeight;
    },
  };
}
