/** A token that could have stood there. */
export interface Alternative {
  id: number;
  logprob: number;
}

/** What a next-token distribution says of the token that came. */
export interface Prediction {
  logprob: number;
  rank: number;
  entropy: number;
  top: Alternative[];
}

/**
 * Log-probability, rank (1 = most probable, of equal logits the lower id first), entropy in nats and the `topK` most
 * probable tokens.
 * @param logits [V]
 */
export function predict(logits: Float32Array, id: number, topK: number): Prediction {
  const own = logits[id]!;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > max) max = logits[i]!;
  let sum = 0;
  let weighted = 0;
  let rank = 1;
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i]!;
    const below = x - max;
    const weight = Math.exp(below);
    sum += weight;
    // 0 * -Infinity is NaN; the limit is 0.
    if (weight > 0) weighted += weight * below;
    if (x > own || (x === own && i < id)) rank++;
  }
  const logZ = Math.log(sum);
  return {
    logprob: own - max - logZ,
    rank,
    entropy: logZ - weighted / sum,
    top: highest(logits, topK).map((i) => ({ id: i, logprob: logits[i]! - max - logZ })),
  };
}

/** Indices of the `count` highest values, highest first, ties to the lower index. */
function highest(values: Float32Array, count: number): number[] {
  const kept: number[] = [];
  if (count === 0) return kept;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    if (kept.length === count) {
      if (x <= values[kept[count - 1]!]!) continue;
      kept.pop();
    }
    let at = kept.length;
    while (at > 0 && values[kept[at - 1]!]! < x) at--;
    kept.splice(at, 0, i);
  }
  return kept;
}
