import type { Dim } from '../graph/dim.ts';
import { dimMul } from '../graph/dim.ts';
import type { DType, GraphBuilder, Node } from '../graph/ir.ts';
import type { Architecture, AttentionKind, Projection } from './architectures/architecture.ts';
import { GroupedAttention, type KeyValues, type PastKeyValues, softcap } from './attention.ts';
import { type OverlayShape, overlayExtent, overlayInput } from './overlay.ts';

/** Stored dtype and extents of checkpoint tensors. */
export type TensorTable = (name: string) => { dtype: DType; shape: readonly number[] };

/** Multiplies a component's output: q / k / v heads as [N, heads, headDim], MLP neurons as [N, F]. */
export type Gate = (layer: number, kind: 'q' | 'k' | 'v' | 'mlp', y: Node) => Node;

/** Rotary angles of tokens [..., headDim]. */
export interface Angles {
  cos: Node;
  sin: Node;
}

/**
 * Tokens that attend to each other. `ids` [B, T]; what stands before or after a sequence is padding, which `bias`
 * [B, T, P+T] (0 or a large negative number, per attention kind) hides.
 * `rotary` gives angles [B, T, headDim]. `past` holds cached keys and values by layer.
 * `sharedBias` [B, T, S] hides what a sliding layer no longer sees of a shared prefix.
 */
export interface Sequences {
  batch: Dim;
  length: Dim;
  ids: Node;
  rotary(kind: AttentionKind): Angles;
  bias(kind: AttentionKind): Node;
  sharedBias(): Node;
  past?: readonly PastKeyValues[];
}

/**
 * A prompt prefix that all sequences share: computed in this graph (`live`: ids [S], angles [S, headDim] and its own
 * causal bias [S, S]), or cached keys and values [Hkv, 1, S, headDim] by layer.
 */
export type Shared =
  | {
      kind: 'live';
      length: Dim;
      ids: Node;
      rotary(kind: AttentionKind): Angles;
      bias(kind: AttentionKind): Node;
    }
  | { kind: 'cached'; length: Dim; kv: readonly KeyValues[] };

/** One matrix's operands, kept for whoever wants gradients of whole matrices. */
export interface LinearSite {
  tensor: string;
  x: Node;
  y: Node;
}

const headNorm = { q: 'query', k: 'key' } as const;

/** Builds the forward pass of a decoder-only transformer into a graph. */
export class Decoder {
  readonly g: GraphBuilder;
  readonly arch: Architecture;
  /** Matrices in execution order, with inputs [N, in] and outputs [N, out]. */
  readonly sites: LinearSite[] = [];
  private readonly tensors: TensorTable;
  private readonly overlay: OverlayShape;
  private readonly gate: Gate;
  private readonly dropout: boolean;
  /** What the rows of a matrix's input stand for: all B*T positions, or one of each sequence. */
  private rows: { all: Dim; at: Node | undefined } = { all: 0, at: undefined };

  /** @param dropout inputs of low-rank updates are multiplied by factors that are fed (overlayInput.dropout) */
  constructor(
    g: GraphBuilder,
    arch: Architecture,
    tensors: TensorTable,
    overlay: OverlayShape,
    gate: Gate = (_layer, _kind, y) => y,
    dropout = false,
  ) {
    this.g = g;
    this.arch = arch;
    this.tensors = tensors;
    this.overlay = overlay;
    this.gate = gate;
    this.dropout = dropout;
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

  /** x [N, in] through a projection, [N, out]: its columns of what the matrix that holds it gives. */
  private linear(layer: number, projection: Projection, x: Node): Node {
    const { first, count } = this.arch.rows(projection);
    const tensor = this.arch.weight(layer, projection);
    const known = this.sites.find((site) => site.tensor === tensor && site.x === x);
    const y = known?.y ?? this.matrix(tensor, this.arch.bias(layer, projection), x);
    if (!known) this.sites.push({ tensor, x, y });
    return this.g.slice(y, 1, first, count);
  }

  /** x [N, in] times a matrix [out, in] transposed, plus bias and whatever the overlay adds: [N, out]. */
  private matrix(tensor: string, bias: string | null, x: Node): Node {
    const { g } = this;
    const [out, width] = this.tensors(tensor).shape as [number, number];
    let y = g.matmul(x, this.param(tensor), { transB: true });
    if (bias !== null) y = g.add(y, this.param(bias));
    for (const { axis } of this.overlay.deltas.filter((d) => d.tensor === tensor)) {
      const count = overlayExtent.changed(tensor, axis);
      const indices = g.input(overlayInput.indices(tensor, axis), [count], 'i64');
      const delta = g.input(overlayInput.delta(tensor, axis), [count, axis === 0 ? width : out]);
      y =
        axis === 0
          ? g.scatterAdd(y, indices, g.matmul(x, delta, { transB: true }), 1)
          : g.add(y, g.matmul(g.gather(x, indices, 1), delta));
    }
    if (this.overlay.lowRank.some((l) => l.tensor === tensor)) {
      const rank = overlayExtent.rank(tensor);
      const a = g.input(overlayInput.a(tensor), [rank, width]);
      const b = g.input(overlayInput.b(tensor), [out, rank]);
      const scale = g.input(overlayInput.scale(tensor), [1]);
      const kept = this.dropout ? this.dropped(tensor, x, width) : x;
      y = g.add(y, g.mul(g.matmul(g.matmul(kept, a, { transB: true }), b, { transB: true }), scale));
    }
    return y;
  }

  /** x [N, in] times the factors of its rows; where only one row of each sequence is there, theirs. */
  private dropped(tensor: string, x: Node, width: number): Node {
    const { all, at } = this.rows;
    const factors = this.g.input(overlayInput.dropout(tensor), [all, width]);
    return this.g.mul(x, x.shape[0] === all ? factors : this.g.gather(factors, at!));
  }

  /** RMSNorm over the last axis of x; x itself where the family has no such norm. */
  private norm(name: string | null, x: Node): Node {
    const { g } = this;
    if (name === null) return x;
    const { normOffset, config } = this.arch;
    const weight = this.param(name);
    const factor = normOffset === 0 ? weight : g.add(weight, g.scalar(normOffset));
    return g.mul(g.mul(x, g.invRms(x, config.rmsNormEps)), factor);
  }

  /** x [N, heads, headDim] rotated by angles [N, 1, headDim]. */
  private rope(x: Node, { cos, sin }: Angles): Node {
    return this.g.add(this.g.mul(x, cos), this.g.mul(this.g.rotateHalf(x), sin));
  }

  private activate(x: Node): Node {
    const { g } = this;
    switch (this.arch.activation) {
      case 'silu':
        return g.mul(x, g.sigmoid(x));
      case 'geluTanh': {
        const inner = g.mul(x, g.add(g.scale(g.mul(x, x), 0.044715), g.scalar(1)));
        return g.mul(g.scale(x, 0.5), g.add(g.tanh(g.scale(inner, Math.sqrt(2 / Math.PI))), g.scalar(1)));
      }
    }
  }

  /** Heads of one kind before RoPE, normalised and gated: [N, heads, headDim]. `pick` keeps the wanted rows of x. */
  private heads(layer: number, kind: 'q' | 'k' | 'v', x: Node, pick = (node: Node) => node): Node {
    const { g, arch } = this;
    const { headDim } = arch.config;
    const projection = `${kind}_proj` as const;
    // A fused matrix is multiplied once, with the rows that the other projections need.
    const fused = arch.weight(layer, 'q_proj') === arch.weight(layer, 'k_proj');
    const y = fused ? pick(this.linear(layer, projection, x)) : this.linear(layer, projection, pick(x));
    const width = y.shape[1] as number;
    const apart = (node: Node) => g.reshape(node, [node.shape[0]!, width / headDim, headDim]);
    const together = (node: Node) => g.reshape(node, [node.shape[0]!, width]);
    const name = kind === 'v' ? null : arch.norm(layer, headNorm[kind]);
    if (name === null) return this.gate(layer, kind, apart(y));
    const gateFirst = arch.gatePoint === 'projection';
    const input = gateFirst ? this.gate(layer, kind, apart(y)) : apart(y);
    const normed = arch.qkNorm === 'full' ? apart(this.norm(name, together(input))) : this.norm(name, input);
    return gateFirst ? normed : this.gate(layer, kind, normed);
  }

  /** Gated MLP of x [N, hidden], before its output norm. */
  private mlp(layer: number, x: Node): Node {
    const gate = this.activate(this.linear(layer, 'gate_proj', x));
    const neurons = this.g.mul(gate, this.linear(layer, 'up_proj', x));
    return this.linear(layer, 'down_proj', this.gate(layer, 'mlp', neurons));
  }

  /**
   * Run the layers.
   * @param at row (b*T + t) of the one position per sequence that is wanted, int64 [B]: the top layer then computes
   * one query and one MLP row a sequence
   * @returns `hidden` before the final norm, [B*T, hidden] (or [B, hidden] with `at`); the embedding rows
   * [S+B*T, hidden]; by layer the own tokens' keys and values, [Hkv, B, T, headDim]
   */
  run(own: Sequences, { shared, at }: { shared?: Shared | undefined; at?: Node | undefined } = {}) {
    const { g, arch } = this;
    const { numLayers, headDim } = arch.config;
    const { batch, length } = own;
    const attention = new GroupedAttention(g, arch);
    const rows = dimMul(batch, length);
    this.rows = { all: rows, at };
    const live = shared?.kind === 'live' ? shared : undefined;
    const join = (a: Node | undefined, b: Node) => (a ? g.concat([a, b], 0) : b);
    const ofShared = (x: Node) => g.slice(x, 0, 0, live!.length);
    const ofOwn = (x: Node) => (live ? g.slice(x, 0, live.length, rows) : x);
    const angles = (kind: AttentionKind): Angles => {
      const [before, mine] = [live?.rotary(kind), own.rotary(kind)];
      const joined = (name: keyof Angles) =>
        join(
          before && g.reshape(before[name], [live!.length, 1, headDim]),
          g.reshape(mine[name], [rows, 1, headDim]),
        );
      return { cos: joined('cos'), sin: joined('sin') };
    };
    const allIds = join(live?.ids, g.reshape(own.ids, [rows]));
    const embedding = g.cast(g.gather(this.stored(arch.embedding), allIds), 'f32');
    const kv: KeyValues[] = [];

    let x = g.scale(embedding, arch.embeddingScale);
    for (let layer = 0; layer < numLayers; layer++) {
      const kind = arch.attention(layer);
      const narrow = layer === numLayers - 1 ? at : undefined;
      /** The rows whose output is wanted: all of them below the top layer. */
      const wanted = (node: Node) => (narrow ? g.gather(ofOwn(node), narrow) : node);
      const { cos, sin } = angles(kind);
      const h = this.norm(arch.norm(layer, 'preAttention'), x);
      const q = this.rope(this.heads(layer, 'q', h, wanted), { cos: wanted(cos), sin: wanted(sin) });
      const k = this.rope(this.heads(layer, 'k', h), { cos, sin });
      const v = this.heads(layer, 'v', h);

      const mine = {
        k: attention.headsFirst(ofOwn(k), batch, length),
        v: attention.headsFirst(ofOwn(v), batch, length),
      };
      kv.push(mine);
      const before: KeyValues | undefined = live
        ? {
            k: attention.headsFirst(ofShared(k), 1, live.length),
            v: attention.headsFirst(ofShared(v), 1, live.length),
          }
        : shared?.kind === 'cached'
          ? shared.kv[layer]
          : undefined;
      /** What a bias [B, T, s] says of the wanted queries. */
      const seen = (bias: Node) =>
        narrow ? g.gather(g.reshape(bias, [rows, bias.shape[2]!]), narrow) : bias;
      const attended = attention.attend(
        narrow ? q : ofOwn(q),
        batch,
        narrow ? 1 : length,
        mine,
        seen(own.bias(kind)),
        {
          past: own.past?.[layer],
          shared: before && { ...before, bias: kind === 'sliding' ? seen(own.sharedBias()) : undefined },
        },
      );
      const onShared =
        live && !narrow ? attention.attend(ofShared(q), 1, live.length, before!, live.bias(kind)) : undefined;
      const o = this.linear(layer, 'o_proj', join(onShared, attended));
      x = g.add(wanted(x), this.norm(arch.norm(layer, 'postAttention'), o));
      const m = this.mlp(layer, this.norm(arch.norm(layer, 'preMlp'), x));
      x = g.add(x, this.norm(arch.norm(layer, 'postMlp'), m));
    }
    return { hidden: at ? x : ofOwn(x), embedding, kv };
  }

  /** Logits [R, V] of hidden rows [R, hidden]. */
  logits(hidden: Node): Node {
    return this.project(hidden, this.param(this.arch.head));
  }

  /** Logits [R, K] of only the tokens `ids` [K]: the rest of the vocabulary is never multiplied. */
  logitsOf(hidden: Node, ids: Node): Node {
    return this.project(hidden, this.g.cast(this.g.gather(this.stored(this.arch.head), ids), 'f32'));
  }

  private project(hidden: Node, head: Node): Node {
    const normed = this.norm(this.arch.finalNorm, hidden);
    return softcap(this.g, this.g.matmul(normed, head, { transB: true }), this.arch.finalSoftcap);
  }
}
