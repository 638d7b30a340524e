import type { FlipRow } from '../../server/protocol/runs.ts';

export const kinds = ['wrong-to-right', 'right-to-wrong'] as const satisfies FlipRow['kind'][];

export const kindWords = {
  'wrong-to-right': 'Wrong to right',
  'right-to-wrong': 'Right to wrong',
} as const satisfies Record<FlipRow['kind'], string>;

const signs = { 'wrong-to-right': ['✗', '✓'], 'right-to-wrong': ['✓', '✗'] } as const;

/** Characters of an output that has no number in it. */
const LENGTH = 24;

/** An output in short: its last number, which is how answers are read, or its end. */
function short(output: string): string {
  const number = output.match(/-?\d[\d,]*(?:\.\d+)?(?!.*\d)/s)?.[0];
  if (number !== undefined) return number;
  const text = [...output.trim().replaceAll(/\s+/g, ' ')];
  if (text.length === 0) return 'nothing';
  return text.length > LENGTH ? `…${text.slice(-LENGTH).join('')}` : text.join('');
}

/** `36 ✗ → 27 ✓` */
export const flipTitle = ({ kind, base, amplified }: FlipRow): string =>
  `${short(base)} ${signs[kind][0]} → ${short(amplified)} ${signs[kind][1]}`;

/** In the order in which they are listed and stepped through: what got better first. */
export const inOrder = (rows: readonly FlipRow[]): FlipRow[] =>
  kinds.flatMap((kind) => rows.filter((row) => row.kind === kind));
