import type { Dim } from '../graph/dim.ts';
import { dimMul } from '../graph/dim.ts';
import type { GraphBuilder, Node } from '../graph/ir.ts';
import type { Architecture } from './architectures/architecture.ts';

/** Keys and values [Hkv, n, s, headDim] of n sequences of s tokens. */
export interface KeyValues {
  k: Node;
  v: Node;
}

/** Keys and values [Hkv, 1, s, headDim] that all sequences attend to; `bias` [n, t, s] hides some, if given. */
export interface SharedKeyValues extends KeyValues {
  bias?: Node | undefined;
}

/** c tanh(x / c), or x where c is null. */
export function softcap(g: GraphBuilder, x: Node, c: number | null): Node {
  return c === null ? x : g.scale(g.tanh(g.scale(x, 1 / c)), c);
}

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
    const apart = g.add(g.reshape(capped, [numKvHeads, n, group, t, s]), g.reshape(bias, [1, n, 1, t, s]));
    return g.reshape(apart, [numKvHeads, n, dimMul(group, t), s]);
  }

  /**
   * What queries [n*t, Hq, headDim] of n sequences attend to, [n*t, Hq*headDim]: each sequence's own keys, which
   * `bias` [n, t, s] hides in part, and before them those that all share.
   */
  attend(queries: Node, n: Dim, t: Dim, own: KeyValues, bias: Node, shared?: SharedKeyValues): Node {
    const { g } = this;
    const { numKvHeads, headDim } = this.arch.config;
    const q = g.scale(this.fold(queries, n, t), this.arch.attentionScale);
    const s = own.k.shape[2]!;
    const ownScores = this.scores(g.matmul(q, own.k, { transB: true }), bias, n, t, s);
    if (!shared) return this.unfold(g.matmul(g.softmax(ownScores), own.v), n, t);
    // Every query of every sequence meets the shared keys in one product: the batch folds into the rows.
    const rows = dimMul(this.group, t);
    const together = (x: Node, width: Dim) => g.reshape(x, [numKvHeads, 1, dimMul(n, rows), width]);
    const apart = (x: Node, width: Dim) => g.reshape(x, [numKvHeads, n, rows, width]);
    const before = shared.k.shape[2]!;
    const products = apart(g.matmul(together(q, headDim), shared.k, { transB: true }), before);
    const weights = g.softmax(g.concat([this.scores(products, shared.bias, n, t, before), ownScores], 3));
    const onShared = g.matmul(together(g.slice(weights, 3, 0, before), before), shared.v);
    const onOwn = g.matmul(g.slice(weights, 3, before, s), own.v);
    return this.unfold(g.add(apart(onShared, headDim), onOwn), n, t);
  }
}
