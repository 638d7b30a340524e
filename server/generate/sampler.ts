import type { Rng } from '../random.ts';

export interface Sampling {
  /** 0: greedy. */
  temperature: number;
  /** Keep the fewest tokens whose probabilities reach this mass; 1 keeps all. */
  topP: number;
  /** Keep this many tokens; 0 keeps all. */
  topK: number;
}

export const greedy: Sampling = { temperature: 0, topP: 1, topK: 0 };

/**
 * Draw a token as transformers' generate does: temperature, then top-k, then top-p on what is left.
 * @param logits [V]
 */
export function sampleToken(logits: Float32Array, { temperature, topP, topK }: Sampling, rng: Rng): number {
  const u = rng.float();
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > max) max = logits[i]!;
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    weights[i] = Math.exp((logits[i]! - max) / temperature);
    total += weights[i]!;
  }
  if (topK > 0 || topP < 1) total = truncate(weights, topP, topK);
  let rest = u * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    rest -= weights[i]!;
    if (rest < 0) return i;
  }
  return last;
}

/** Zero the weights that top-k and top-p drop; ties keep the lower id. Returns the remaining sum. */
function truncate(weights: Float64Array, topP: number, topK: number): number {
  const order = Array.from(weights.keys()).sort((a, b) => weights[b]! - weights[a]! || a - b);
  const candidates = topK > 0 ? order.slice(0, topK) : order;
  const mass = candidates.reduce((sum, i) => sum + weights[i]!, 0);
  let kept = 0;
  const keep = new Set<number>();
  for (const i of candidates) {
    // A token stays while the mass before it is below top-p, so the one that crosses the line stays too.
    if (kept >= topP * mass && keep.size > 0) break;
    keep.add(i);
    kept += weights[i]!;
  }
  for (let i = 0; i < weights.length; i++) if (!keep.has(i)) weights[i] = 0;
  return kept;
}
