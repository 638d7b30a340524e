import type { ScoredToken } from '../../server/protocol/traces.ts';
import type { settings } from '../contributions.ts';

/** What the heat of a trace document shows. */
export type Overlay = (typeof settings)['overlay.kind'];
export type Heat = Exclude<Overlay, 'off'>;
export const overlays = ['surprisal', 'probability', 'entropy', 'rank', 'off'] as const satisfies Overlay[];

/** Colours of a heat; bucket 0 has none. */
export const heatLevels = 5;

export interface Scale {
  title: string;
  unit: string;
  /** Where buckets 1 to 5 begin, in the order in which the model is more surprised. */
  limits: readonly [number, number, number, number, number];
  /** Whether larger values are hotter. */
  rising: boolean;
  /** The quantity, in `unit` but for %, where it is a share; null for a token that nothing predicts. */
  value(token: ScoredToken): number | null;
}

export const scales: Readonly<Record<Heat, Scale>> = {
  surprisal: {
    title: 'Surprisal',
    unit: 'nats',
    limits: [0.5, 1, 2, 4, 8],
    rising: true,
    value: (token) => (token.logprob === null ? null : -token.logprob),
  },
  probability: {
    title: 'Probability',
    unit: '%',
    limits: [0.9, 0.7, 0.5, 0.2, 0.05],
    rising: false,
    value: (token) => (token.logprob === null ? null : Math.exp(token.logprob)),
  },
  entropy: {
    title: 'Entropy',
    unit: 'nats',
    limits: [0.25, 0.5, 1, 2, 3],
    rising: true,
    value: (token) => token.entropy,
  },
  rank: {
    title: 'Rank',
    unit: '',
    limits: [2, 3, 5, 10, 50],
    rising: true,
    value: (token) => token.rank,
  },
};

/** Heat of a token: 0 (none) to 5. */
export function heatBucket(heat: Heat, token: ScoredToken): number {
  const { value, limits, rising } = scales[heat];
  const x = value(token);
  if (x === null || Number.isNaN(x)) return 0;
  return limits.filter((limit) => (rising ? x >= limit : x <= limit)).length;
}

/** Whether greedy decoding would have gone another way. The prompt was not decoded, so it deviates from nothing. */
export const deviates = (token: ScoredToken): boolean =>
  token.generated && token.rank !== null && token.rank > 1;

/** Shares of the scale at which buckets 1 to 4 begin. */
export const attributionLimits = [0.1, 0.25, 0.5, 0.75] as const;

/** How the text of buckets 1 to 4 is marked, as CSS: without its hue the line's place still tells the sign, its style the strength. */
const pushLines = ['dotted 1px', 'dashed 1px', 'solid 2px', 'double 2px'] as const;
export const pushMarks = {
  toward: pushLines.map((line) => `underline ${line}`),
  away: pushLines.map((line) => `overline ${line}`),
} as const;
export type Side = keyof typeof pushMarks;

/** Share of tokens that the scale of an attribution is above, and the least scale as a share of the strongest. */
const TYPICAL = 0.95;
const LEAST = 0.05;

/**
 * The magnitude that buckets are relative to: what few tokens exceed. The strongest would be no measure. Mostly that is the
 * last token, whose own embedding the prediction starts from, or the first, on which many models rest unused attention;
 * what lies between is what one wants to see.
 */
export function attributionScale(values: readonly number[]): number {
  const sizes = values
    .map(Math.abs)
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const strongest = sizes.at(-1) ?? 0;
  return Math.max(sizes[Math.floor(TYPICAL * (sizes.length - 1))] ?? 0, LEAST * strongest);
}

/** -4 to 4: positive pushes toward the desired token, negative away from it, 0 is too weak to be shown. */
export function attributionBucket(value: number, scale: number): number {
  if (!(scale > 0) || !Number.isFinite(value)) return 0;
  const level = attributionLimits.filter((limit) => Math.abs(value) >= limit * scale).length;
  return value < 0 ? -level : level;
}
