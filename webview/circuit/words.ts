import type { Bits } from './bits.ts';
import type { Block } from './geometry.ts';
import { kinds, type Space } from './space.ts';
import { figure, type Layer, type Lens, strongest } from './values.ts';

const kindTitle = { q: 'Query heads', k: 'Key heads', v: 'Value heads', mlp: 'MLP neurons' } as const;
export const kindShort = { q: 'Q', k: 'K', v: 'V', mlp: 'MLP' } as const;

const lensName: Record<Lens, string> = {
  mask: 'mask',
  attribution: 'attribution',
  change: 'change of weights',
};

/** Name of the numbers that a method's mask file carries. */
export const valueName = (lens: Lens, method: string | null): string =>
  lens === 'mask' && method === 'fisher' ? 'score' : lensName[lens];

/** Heading above a block of cells. */
export function heading(block: Block): string {
  if (block.kind !== 'mlp')
    return block.columns < 6 && block.rows > 1 ? kindShort[block.kind] : kindTitle[block.kind];
  return block.perCell > 1 ? `MLP neurons, ${block.perCell} to a cell (root mean square)` : kindTitle.mlp;
}

function value(layer: Layer, position: number, name: string): string {
  const v = layer.values[position]!;
  const side = layer.signed && v !== 0 ? (v < 0 ? ', helps' : ', hurts') : '';
  return `${name} ${figure(v)}${side}`;
}

/** A cell in words: which components, the strongest one's value, and how many are selected. */
export function cellWords(
  space: Space,
  [first, length]: readonly [number, number],
  layer: Layer | null,
  name: string,
  selection: Bits,
): string {
  const selected = selection.countIn(first, length);
  if (length === 1) {
    const parts = [space.label(first), ...(layer ? [value(layer, first, name)] : [])];
    return [...parts, ...(selected ? ['selected'] : [])].join(', ');
  }
  const { layer: l, index } = space.at(first);
  const parts = [`L${l} neurons ${index} to ${index + length - 1}`];
  if (layer) {
    const best = strongest(layer, first, length);
    parts.push(`strongest ${space.at(best).index}: ${value(layer, best, name)}`);
  }
  return [...parts, `${selected} of ${length} selected`].join(', ');
}

/** A token with its spaces and line ends to be seen. */
export const quoted = (text: string): string =>
  `“${text.replaceAll('\n', '⏎').replaceAll('\t', '⇥').replaceAll(' ', '␣')}”`;

/** `4 Q, 2 V, 16 MLP`; `none`. */
export function kindsWords(byKind: Record<(typeof kinds)[number], number>): string {
  const parts = kinds.filter((kind) => byKind[kind] > 0).map((kind) => `${byKind[kind]} ${kindShort[kind]}`);
  return parts.join(', ') || 'none';
}
