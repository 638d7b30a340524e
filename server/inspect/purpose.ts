import type { PairAttribution } from './attribute.ts';

/** A pair that a component serves: the more negative the gradient, the more the component's strength helps it. */
export interface ServedPair {
  /** Index of the pair. */
  pair: number;
  /** Gradient of -(logit[desired] - logit[undesired]) by the component's gate, below 0. */
  gradient: number;
}

/** What components are for: their gate gradients over many pairs, added one pair at a time. */
export class MeanAttribution {
  private readonly sums: Float64Array;
  private readonly top: number;
  /** Per component its `top` best pairs so far, most negative gradient first; -1 stands for none. */
  private readonly pairs: Int32Array;
  private readonly gradients: Float32Array;
  private count = 0;

  /**
   * @param size components of the model
   * @param top pairs remembered per component
   */
  constructor(size: number, top = 5) {
    this.sums = new Float64Array(size);
    this.top = top;
    this.pairs = new Int32Array(size * top).fill(-1);
    this.gradients = new Float32Array(size * top);
  }

  /** @param gates gradient of the pair's loss by every gate, flat by ComponentSpace */
  add(pair: number, gates: Float32Array): void {
    const { sums, top, pairs, gradients } = this;
    this.count++;
    for (let i = 0; i < sums.length; i++) {
      const g = gates[i]!;
      sums[i] = sums[i]! + g;
      if (g >= 0) continue;
      let at = top;
      while (at > 0 && gradients[i * top + at - 1]! > g) at--;
      if (at === top) continue;
      const slot = i * top + at;
      const last = (i + 1) * top - 1;
      pairs.copyWithin(slot + 1, slot, last);
      gradients.copyWithin(slot + 1, slot, last);
      pairs[slot] = pair;
      gradients[slot] = g;
    }
  }

  /** Mean gradient by component, flat by ComponentSpace; zeros without a pair. */
  mean(): Float32Array {
    return Float32Array.from(this.sums, (sum) => (this.count > 0 ? sum / this.count : 0));
  }

  /** The pairs that a component serves most, best first; ties to the earlier pair. */
  served(component: number): ServedPair[] {
    const out: ServedPair[] = [];
    for (let slot = component * this.top; slot < (component + 1) * this.top; slot++) {
      if (this.pairs[slot]! >= 0) out.push({ pair: this.pairs[slot]!, gradient: this.gradients[slot]! });
    }
    return out;
  }
}

/**
 * The pairs that components serve together, most first: by the sum over the components of their gradient at a token
 * times that at the pair. To first order that is what a pair's logit difference gains as each component is strengthened
 * by what it is worth to the token. Of every component only the pairs that it serves most are known; components that
 * hinder the token have no say.
 * @param attribution of the run's pairs
 * @param components with their gradients of -(logit difference) at the token
 */
export function servedTogether(
  attribution: { served(component: number): ServedPair[] },
  components: readonly { component: number; gradient: number }[],
): { pair: number; agreement: number }[] {
  const sums = new Map<number, number>();
  for (const { component, gradient } of components) {
    if (gradient >= 0) continue;
    for (const one of attribution.served(component)) {
      sums.set(one.pair, (sums.get(one.pair) ?? 0) + gradient * one.gradient);
    }
  }
  return [...sums]
    .map(([pair, agreement]) => ({ pair, agreement }))
    .sort((a, b) => b.agreement - a.agreement || a.pair - b.pair);
}

/**
 * Mean gate gradient of every component and the pairs that it serves most.
 * @param results of `attributePairs` with components; the pairs are numbered by their place here
 * @throws RangeError where a result has no components
 */
export function meanAttribution(results: readonly PairAttribution[], top = 5): MeanAttribution {
  const mean = new MeanAttribution(results[0]?.gates?.length ?? 0, top);
  results.forEach(({ gates, pair }, i) => {
    if (!gates) throw new RangeError(`pair ${pair.id} was attributed without its components`);
    mean.add(i, gates);
  });
  return mean;
}
