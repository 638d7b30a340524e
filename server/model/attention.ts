import type { Dim } from '../graph/dim.ts';
import { dimAdd, dimMul } from '../graph/dim.ts';
import type { GraphBuilder, Node } from '../graph/ir.ts';
import type { Architecture } from './architectures/architecture.ts';

/** Keys and values [Hkv, n, s, headDim] of n sequences of s tokens. */
export interface KeyValues {
  k: Node;
  v: Node;
}

/**
 * Cached keys and values of n sequences of different lengths, each where it lies: n nodes [Hkv, 1, headDim, p_i]. Transposed, so
 * that products of few rows with them, forward and backward, read rows as long as the sequence.
 */
export interface RaggedKeyValues {
  k: readonly Node[];
  v: readonly Node[];
  /** At least the longest p_i. */
  length: Dim;
}

/** Cached keys and values by sequence, or of all sequences together [Hkv, n, p, headDim]. */
export type PastKeyValues = KeyValues | RaggedKeyValues;

/** Keys and values [Hkv, 1, s, headDim] that all sequences attend to; `bias` [n, t, s] hides some, if given. */
export interface SharedKeyValues extends KeyValues {
  bias?: Node | undefined;
}

/** c tanh(x / c), or x where c is null. */
export function softcap(g: GraphBuilder, x: Node, c: number | null): Node {
  return c === null ? x : g.scale(g.tanh(g.scale(x, 1 / c)), c);
}

const pastLength = (past: PastKeyValues): Dim => ('length' in past ? past.length : past.k.shape[2]!);

/** Grouped-query attention, query groups folded into the rows: no key or value is repeated. */
export class GroupedAttention {
  private readonly g: GraphBuilder;
  private readonly arch: Architecture;
  private readonly group: number;

  constructor(g: GraphBuilder, arch: Architecture) {
    this.g = g;
    this.arch = arch;
    this.group = arch.config.numHeads / arch.config.numKvHeads;
  }

  /** [n*t, Hkv, headDim] to [Hkv, n, t, headDim]. */
  headsFirst(x: Node, n: Dim, t: Dim): Node {
    const { numKvHeads, headDim } = this.arch.config;
    return this.g.transpose(this.g.reshape(x, [n, t, numKvHeads, headDim]), [2, 0, 1, 3]);
  }

  /** Queries [n*t, Hq, headDim] to [Hkv, n, G*t, headDim]. */
  private fold(x: Node, n: Dim, t: Dim): Node {
    const { g, group } = this;
    const { numKvHeads, headDim } = this.arch.config;
    const grouped = g.transpose(g.reshape(x, [n, t, numKvHeads, group, headDim]), [2, 0, 3, 1, 4]);
    return g.reshape(grouped, [numKvHeads, n, dimMul(group, t), headDim]);
  }

  /** [Hkv, n, G*t, headDim] to [n*t, Hq*headDim]. */
  private unfold(x: Node, n: Dim, t: Dim): Node {
    const { g, group } = this;
    const { numHeads, numKvHeads, headDim } = this.arch.config;
    const ungrouped = g.transpose(g.reshape(x, [numKvHeads, n, group, t, headDim]), [1, 3, 0, 2, 4]);
    return g.reshape(ungrouped, [dimMul(n, t), numHeads * headDim]);
  }

  /** Products [Hkv, n, G*t, s] capped, plus bias [n, t, s]. */
  private scores(products: Node, bias: Node | undefined, n: Dim, t: Dim, s: Dim): Node {
    const { g, group } = this;
    const { numKvHeads } = this.arch.config;
    const capped = softcap(g, products, this.arch.attentionSoftcap);
    if (!bias) return capped;
    if (t === 1) return g.add(capped, g.reshape(bias, [1, n, 1, s]));
    const apart = g.add(g.reshape(capped, [numKvHeads, n, group, t, s]), g.reshape(bias, [1, n, 1, t, s]));
    return g.reshape(apart, [numKvHeads, n, dimMul(group, t), s]);
  }

  private pastScores(q: Node, past: PastKeyValues): Node {
    const { g } = this;
    return 'length' in past
      ? g.raggedMatmul(q, past.k, { columns: past.length })
      : g.matmul(q, past.k, { transB: true });
  }

  private pastValues(weights: Node, past: PastKeyValues): Node {
    const { g } = this;
    return 'length' in past
      ? g.raggedMatmul(weights, past.v, { columns: past.length, transB: true })
      : g.matmul(weights, past.v);
  }

  /**
   * What queries [n*t, Hq, headDim] of n sequences attend to, [n*t, Hq*headDim]: each sequence's own keys; before them its
   * `past`, which is never joined with them, for it may be long; before that what all sequences share. `bias`
   * [n, t, p+s] hides part of past and own.
   */
  attend(
    queries: Node,
    n: Dim,
    t: Dim,
    own: KeyValues,
    bias: Node,
    { past, shared }: { past?: PastKeyValues | undefined; shared?: SharedKeyValues | undefined } = {},
  ): Node {
    const { g } = this;
    const { numKvHeads, headDim } = this.arch.config;
    const q = g.scale(this.fold(queries, n, t), this.arch.attentionScale);
    const rows = dimMul(this.group, t);
    // Every query of every sequence meets the shared keys in one product: the batch folds into the rows.
    const together = (x: Node, width: Dim) => g.reshape(x, [numKvHeads, 1, dimMul(n, rows), width]);
    const apart = (x: Node, width: Dim) => g.reshape(x, [numKvHeads, n, rows, width]);
    const [s, before] = [own, shared].map((kv) => kv?.k.shape[2] ?? 0) as [Dim, Dim];
    const p = past ? pastLength(past) : 0;
    const onOwn = g.matmul(q, own.k, { transB: true });
    const products = past ? g.concat([this.pastScores(q, past), onOwn], 3) : onOwn;
    const parts = [this.scores(products, bias, n, t, dimAdd(p, s))];
    if (shared) {
      const onShared = apart(g.matmul(together(q, headDim), shared.k, { transB: true }), before);
      parts.unshift(this.scores(onShared, shared.bias, n, t, before));
    }
    const weights = g.softmax(g.concat(parts, 3));
    const at = (from: Dim, width: Dim) => g.slice(weights, 3, from, width);
    let values = g.matmul(at(dimAdd(before, p), s), own.v);
    if (past) values = g.add(this.pastValues(at(before, p), past), values);
    if (shared) values = g.add(apart(g.matmul(together(at(0, before), before), shared.v), headDim), values);
    return this.unfold(values, n, t);
  }
}
