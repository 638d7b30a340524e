import type { Dim } from '../graph/dim.ts';
import { dimMul } from '../graph/dim.ts';
import type { DType, GraphBuilder, Node } from '../graph/ir.ts';
import type { Architecture, AttentionKind, Projection } from './architectures/architecture.ts';
import { type OverlayShape, overlayInput } from './overlay.ts';

/** Stored dtype and extents of checkpoint tensors. */
export type TensorTable = (name: string) => { dtype: DType; shape: readonly number[] };

/** Multiplies a component's output: q / k / v heads as [N, heads, headDim], MLP neurons as [N, F]. */
export type Gate = (layer: number, kind: 'q' | 'k' | 'v' | 'mlp', y: Node) => Node;

/**
 * Tokens that attend to each other. `ids` [B, T], right-aligned: every sequence ends at column T-1 and what stands
 * before its start is padding, which `bias` [B, T, P+T] (0 or a large negative number, per attention kind) hides.
 * `cos`, `sin` [B, T, headDim] carry the rotary angles. `past` holds cached keys and values
 * [Hkv, B, P, headDim] by layer.
 */
export interface Sequences {
  batch: Dim;
  length: Dim;
  ids: Node;
  cos: Node;
  sin: Node;
  bias(kind: AttentionKind): Node;
  past?: readonly { k: Node; v: Node }[];
}

/**
 * A prompt prefix that all sequences share: computed in this graph (`live`: ids [S] and its own causal bias
 * [S, S]), or cached keys and values [Hkv, 1, S, headDim] by layer.
 */
export type Shared =
  | { kind: 'live'; length: Dim; ids: Node; cos: Node; sin: Node; bias(kind: AttentionKind): Node }
  | { kind: 'cached'; length: Dim; kv: readonly { k: Node; v: Node }[] };

/** One linear map's operands, kept for whoever wants gradients of whole matrices. */
export interface LinearSite {
  tensor: string;
  x: Node;
  y: Node;
}

/** Builds the forward pass of a decoder-only transformer into a graph. */
export class Decoder {
  readonly g: GraphBuilder;
  readonly arch: Architecture;
  /** Linear maps in execution order, with inputs [N, in] and outputs [N, out]. */
  readonly sites: LinearSite[] = [];
  private readonly tensors: TensorTable;
  private readonly overlay: OverlayShape;
  private readonly gate: Gate;

  constructor(
    g: GraphBuilder,
    arch: Architecture,
    tensors: TensorTable,
    overlay: OverlayShape,
    gate: Gate = (_layer, _kind, y) => y,
  ) {
    this.g = g;
    this.arch = arch;
    this.tensors = tensors;
    this.overlay = overlay;
    this.gate = gate;
  }

  /** A tensor as stored, or the input that replaces it. */
  private stored(name: string): Node {
    const { dtype, shape } = this.tensors(name);
    return this.overlay.dense.includes(name)
      ? this.g.input(overlayInput.dense(name), shape)
      : this.g.weight(name, shape, dtype);
  }

  private param(name: string): Node {
    return this.g.cast(this.stored(name), 'f32');
  }

  /** x [N, in] through a projection and whatever the overlay adds: [N, out]. */
  private linear(layer: number, projection: Projection, x: Node): Node {
    const { g } = this;
    const tensor = this.arch.weight(layer, projection);
    const [out, width] = this.tensors(tensor).shape as [number, number];
    let y = g.matmul(x, this.param(tensor), { transB: true });
    const bias = this.arch.bias(layer, projection);
    if (bias !== null) y = g.add(y, this.param(bias));
    for (const { axis } of this.overlay.deltas.filter((d) => d.tensor === tensor)) {
      const count = `k${axis}_${layer}_${projection}`;
      const indices = g.input(overlayInput.indices(tensor, axis), [count], 'i64');
      const delta = g.input(overlayInput.delta(tensor, axis), [count, axis === 0 ? width : out]);
      y =
        axis === 0
          ? g.scatterAdd(y, indices, g.matmul(x, delta, { transB: true }), 1)
          : g.add(y, g.matmul(g.gather(x, indices, 1), delta));
    }
    if (this.overlay.lowRank.some((l) => l.tensor === tensor)) {
      const rank = `r_${layer}_${projection}`;
      const a = g.input(overlayInput.a(tensor), [rank, width]);
      const b = g.input(overlayInput.b(tensor), [out, rank]);
      const scale = g.input(overlayInput.scale(tensor), [1]);
      y = g.add(y, g.mul(g.matmul(g.matmul(x, a, { transB: true }), b, { transB: true }), scale));
    }
    this.sites.push({ tensor, x, y });
    return y;
  }

  /** RMSNorm with weight, over the last axis of x [N, hidden]. */
  private norm(name: string, x: Node): Node {
    return this.g.mul(this.g.mul(x, this.g.invRms(x, this.arch.config.rmsNormEps)), this.param(name));
  }

  /** x [N, heads, headDim] rotated by the angles in cos, sin [N, 1, headDim]. */
  private rope(x: Node, cos: Node, sin: Node): Node {
    return this.g.add(this.g.mul(x, cos), this.g.mul(this.g.rotateHalf(x), sin));
  }

  /**
   * Run the layers.
   * @param at row (b*T + t) of the one position per sequence that is wanted, int64 [B]: the top layer then computes
   * one query and one MLP row a sequence
   * @returns `hidden` before the final norm, [B*T, hidden] (or [B, hidden] with `at`); the embedding rows
   * [S+B*T, hidden]; by layer the keys and values of past + own tokens, [Hkv, B, P+T, headDim]
   */
  run(own: Sequences, { shared, at }: { shared?: Shared | undefined; at?: Node | undefined } = {}) {
    const { g, arch } = this;
    const { numLayers, numHeads, numKvHeads, headDim } = arch.config;
    const group = numHeads / numKvHeads;
    const { batch, length } = own;
    const rows = dimMul(batch, length);
    const live = shared?.kind === 'live' ? shared : undefined;
    const flat = (node: Node, width: number) => g.reshape(node, [rows, 1, width]);
    const join = (a: Node | undefined, b: Node, axis = 0) => (a ? g.concat([a, b], axis) : b);
    const part = (x: Node, which: 'shared' | 'own') =>
      !live ? x : which === 'shared' ? g.slice(x, 0, 0, live.length) : g.slice(x, 0, live.length, rows);
    const angle = (name: 'cos' | 'sin') =>
      join(live && g.reshape(live[name], [live.length, 1, headDim]), flat(own[name], headDim));
    const [cos, sin] = [angle('cos'), angle('sin')];
    const allIds = join(live?.ids, g.reshape(own.ids, [rows]));
    const embedding = g.cast(g.gather(this.stored(arch.embedding), allIds), 'f32');
    const kv: { k: Node; v: Node }[] = [];

    /** [n*t, heads*dh] rows of n sequences to [heads, n, t, dh]. */
    const headsFirst = (x: Node, n: Dim, t: Dim, heads: number) =>
      g.transpose(g.reshape(x, [n, t, heads, headDim]), [2, 0, 1, 3]);
    /** Queries [n*t, Hq*dh] with the query group folded into the rows: [Hkv, n, G*t, dh]. */
    const foldQueries = (x: Node, n: Dim, t: Dim) =>
      g.reshape(g.transpose(g.reshape(x, [n, t, numKvHeads, group, headDim]), [2, 0, 3, 1, 4]), [
        numKvHeads,
        n,
        dimMul(group, t),
        headDim,
      ]);
    const unfold = (x: Node, n: Dim, t: Dim) =>
      g.reshape(g.transpose(g.reshape(x, [numKvHeads, n, group, t, headDim]), [1, 3, 0, 2, 4]), [
        dimMul(n, t),
        numHeads * headDim,
      ]);
    /** Scores [Hkv, n, G*t, s] plus bias [n, t, s]. */
    const biased = (scores: Node, bias: Node, n: Dim, t: Dim, s: Dim) =>
      g.reshape(g.add(g.reshape(scores, [numKvHeads, n, group, t, s]), g.reshape(bias, [1, n, 1, t, s])), [
        numKvHeads,
        n,
        dimMul(group, t),
        s,
      ]);

    let x = embedding;
    for (let layer = 0; layer < numLayers; layer++) {
      const kind = arch.attention(layer);
      const narrow = layer === numLayers - 1 ? at : undefined;
      const h = this.norm(arch.inputNorm(layer), x);
      const hq = narrow ? g.gather(part(h, 'own'), narrow) : h;
      const heads = (projection: 'q_proj' | 'k_proj' | 'v_proj', input: Node, count: number) => {
        const y = g.reshape(this.linear(layer, projection, input), [input.shape[0]!, count, headDim]);
        return this.gate(layer, projection[0] as 'q' | 'k' | 'v', y);
      };
      const back = (y: Node) => g.reshape(y, [y.shape[0]!, dimMul(y.shape[1]!, headDim)]);
      const ofQueries = (node: Node) => (narrow ? g.gather(part(node, 'own'), narrow) : node);
      const q = back(this.rope(heads('q_proj', hq, numHeads), ofQueries(cos), ofQueries(sin)));
      const k = back(this.rope(heads('k_proj', h, numKvHeads), cos, sin));
      const v = back(heads('v_proj', h, numKvHeads));

      const queryLength: Dim = narrow ? 1 : length;
      const qOwn = foldQueries(narrow ? q : part(q, 'own'), batch, queryLength);
      const kNew = headsFirst(part(k, 'own'), batch, length, numKvHeads);
      const vNew = headsFirst(part(v, 'own'), batch, length, numKvHeads);
      const past = own.past?.[layer];
      const kOwn = join(past?.k, kNew, 2);
      const vOwn = join(past?.v, vNew, 2);
      kv.push({ k: kOwn, v: vOwn });
      const context = kOwn.shape[2]!;
      const scaledQ = g.scale(qOwn, arch.attentionScale);
      const fullBias = own.bias(kind);
      const bias = narrow ? g.gather(g.reshape(fullBias, [rows, context]), narrow) : fullBias;
      const ownScores = biased(g.matmul(scaledQ, kOwn, { transB: true }), bias, batch, queryLength, context);
      const queryRows = dimMul(group, queryLength);
      let attended: Node;
      let sharedOut: Node | undefined;
      if (shared) {
        // Every query of every sequence meets the shared keys in one product: the batch folds into the rows.
        const s = shared.length;
        const kShared = live
          ? headsFirst(part(k, 'shared'), 1, s, numKvHeads)
          : (shared as Extract<Shared, { kind: 'cached' }>).kv[layer]!.k;
        const vShared = live
          ? headsFirst(part(v, 'shared'), 1, s, numKvHeads)
          : (shared as Extract<Shared, { kind: 'cached' }>).kv[layer]!.v;
        const folded = (node: Node, width: Dim) =>
          g.reshape(node, [numKvHeads, 1, dimMul(batch, queryRows), width]);
        const unfolded = (node: Node, width: Dim) => g.reshape(node, [numKvHeads, batch, queryRows, width]);
        const sharedScores = unfolded(g.matmul(folded(scaledQ, headDim), kShared, { transB: true }), s);
        const weights = g.softmax(g.concat([sharedScores, ownScores], 3));
        const onShared = g.matmul(folded(g.slice(weights, 3, 0, s), s), vShared);
        attended = g.add(unfolded(onShared, headDim), g.matmul(g.slice(weights, 3, s, context), vOwn));
        if (live && !narrow) {
          const qShared = g.scale(foldQueries(part(q, 'shared'), 1, s), arch.attentionScale);
          const scores = biased(
            g.matmul(qShared, kShared, { transB: true }),
            g.reshape(live.bias(kind), [1, s, s]),
            1,
            s,
            s,
          );
          sharedOut = unfold(g.matmul(g.softmax(scores), vShared), 1, s);
        }
      } else {
        attended = g.matmul(g.softmax(ownScores), vOwn);
      }
      const o = join(sharedOut, unfold(attended, batch, queryLength));
      const residual = narrow ? g.gather(part(x, 'own'), narrow) : x;
      x = g.add(residual, this.linear(layer, 'o_proj', o));
      const m = this.norm(arch.mlpNorm(layer), x);
      const gate = this.linear(layer, 'gate_proj', m);
      const up = this.linear(layer, 'up_proj', m);
      const hidden = this.gate(layer, 'mlp', g.mul(g.mul(gate, g.sigmoid(gate)), up));
      x = g.add(x, this.linear(layer, 'down_proj', hidden));
    }
    return { hidden: at ? x : part(x, 'own'), embedding, kv };
  }

  /** Logits [R, V] of hidden rows [R, hidden]. */
  logits(hidden: Node): Node {
    return this.g.matmul(this.norm(this.arch.finalNorm, hidden), this.param(this.arch.head), {
      transB: true,
    });
  }

  /** Logits [R, K] of only the tokens `ids` [K]: the rest of the vocabulary is never multiplied. */
  logitsOf(hidden: Node, ids: Node): Node {
    const head = this.g.cast(this.g.gather(this.stored(this.arch.head), ids), 'f32');
    return this.g.matmul(this.norm(this.arch.finalNorm, hidden), head, { transB: true });
  }
}
