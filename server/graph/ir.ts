import { broadcastShapes, type Dim, dimAdd, dimMul } from './dim.ts';

export type DType = 'f32' | 'f16' | 'bf16' | 'i64';

/** The closed set of operations. Gradient rules (gradient.ts) and ONNX lowering (onnx/lower.ts) are exhaustive over it. */
export type Op =
  /** Fed at run time. */
  | { kind: 'input'; name: string }
  /** A tensor of the checkpoint, by its safetensors name; stays in the user's file. */
  | { kind: 'weight'; name: string }
  | { kind: 'scalar'; value: number }
  /** Zeros of a (possibly symbolic) shape. */
  | { kind: 'zeros' }
  | { kind: 'add' | 'sub' | 'mul' | 'div' }
  | { kind: 'neg' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'tanh' | 'erf' | 'softplus' }
  /** 1 / sqrt(mean(x^2, last axis) + eps), last axis kept with extent 1 (RMSNorm's factor). */
  | { kind: 'invRms'; eps: number }
  /** RoPE's (x1, x2) -> (-x2, x1) on halves of the last axis; inverse: (x2, -x1). */
  | { kind: 'rotateHalf'; inverse: boolean }
  /** Batched product over the last two axes, leading axes broadcast. */
  | { kind: 'matmul'; transA: boolean; transB: boolean }
  /**
   * (a, b_0, ... b_n-1): part i of a [H, n, M, K] times a matrix of its own, b_i [H, 1, K, p_i], zeros before its p_i columns.
   * transB: the last p_i columns of part i of a [H, n, M, K] times the transpose of b_i [H, 1, N, p_i].
   */
  | { kind: 'raggedMatmul'; transB: boolean }
  | { kind: 'reshape' }
  | { kind: 'transpose'; perm: readonly number[] }
  | { kind: 'concat'; axis: number }
  | { kind: 'slice'; axis: number; start: Dim; end: Dim }
  /** Broadcast to the node's shape. */
  | { kind: 'expand' }
  | { kind: 'reduceSum' | 'reduceMax'; axes: readonly number[] }
  | { kind: 'softmax' | 'logSoftmax' }
  /** (data, indices [k]) -> data with `axis` replaced by k. */
  | { kind: 'gather'; axis: number }
  /** (base, indices [k], updates) -> base with updates added at indices along `axis`. */
  | { kind: 'scatterAdd'; axis: number }
  /** (x [N, V], labels [N]) -> [N]. */
  | { kind: 'pick' }
  /** (base [N, V], labels [N], updates [N]) -> base with updates[n] added at (n, labels[n]). */
  | { kind: 'unpick' }
  | { kind: 'cast'; to: DType }
  | { kind: 'argmax' };

export type OpKind = Op['kind'];

/** One value of a graph. Nodes are immutable and unique per (op, inputs): equal computations are shared. */
export interface Node {
  readonly id: number;
  readonly op: Op;
  readonly inputs: readonly Node[];
  readonly shape: readonly Dim[];
  readonly dtype: DType;
}

/** A graph: the nodes reachable from the named outputs. */
export interface Graph {
  readonly outputs: ReadonlyMap<string, Node>;
}

/** Nodes that the outputs depend on, inputs before users. */
export function topological(outputs: Iterable<Node>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const output of outputs) {
    if (!seen.has(output)) stack.push({ node: output, next: 0 });
    seen.add(output);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const input = top.node.inputs[top.next++];
      if (!input) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(input)) {
        seen.add(input);
        stack.push({ node: input, next: 0 });
      }
    }
  }
  return order;
}

export interface RaggedOptions {
  /** At least the longest matrix's. */
  columns: Dim;
  transB?: boolean;
}

/** Builds nodes, checking shapes as it goes. Shape errors are bugs, so they throw plain Errors with the shapes. */
export class GraphBuilder {
  private nodes = new Map<string, Node>();
  private nextId = 0;

  private make(op: Op, inputs: readonly Node[], shape: readonly Dim[], dtype: DType = 'f32'): Node {
    const key = JSON.stringify([op, inputs.map((n) => n.id), shape, dtype]);
    const known = this.nodes.get(key);
    if (known) return known;
    const node: Node = { id: this.nextId++, op, inputs, shape, dtype };
    this.nodes.set(key, node);
    return node;
  }

  input(name: string, shape: readonly Dim[], dtype: DType = 'f32'): Node {
    return this.make({ kind: 'input', name }, [], shape, dtype);
  }

  /** A checkpoint tensor in its stored dtype. Cast it where it is used: gathers move less data before the cast. */
  weight(name: string, shape: readonly number[], dtype: DType): Node {
    return this.make({ kind: 'weight', name }, [], shape, dtype);
  }

  scalar(value: number): Node {
    return this.make({ kind: 'scalar', value }, [], []);
  }

  zeros(shape: readonly Dim[]): Node {
    return this.make({ kind: 'zeros' }, [], shape);
  }

  private binary(kind: 'add' | 'sub' | 'mul' | 'div', a: Node, b: Node): Node {
    return this.make({ kind }, [a, b], broadcastShapes(a.shape, b.shape));
  }

  add = (a: Node, b: Node): Node => this.binary('add', a, b);
  sub = (a: Node, b: Node): Node => this.binary('sub', a, b);
  mul = (a: Node, b: Node): Node => this.binary('mul', a, b);
  div = (a: Node, b: Node): Node => this.binary('div', a, b);

  /** x times a number. */
  scale(x: Node, factor: number): Node {
    return factor === 1 ? x : this.mul(x, this.scalar(factor));
  }

  private unary(
    kind: 'neg' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'tanh' | 'erf' | 'softplus',
    x: Node,
  ): Node {
    return this.make({ kind }, [x], x.shape);
  }

  neg = (x: Node): Node => this.unary('neg', x);
  exp = (x: Node): Node => this.unary('exp', x);
  log = (x: Node): Node => this.unary('log', x);
  sqrt = (x: Node): Node => this.unary('sqrt', x);
  sigmoid = (x: Node): Node => this.unary('sigmoid', x);
  tanh = (x: Node): Node => this.unary('tanh', x);
  erf = (x: Node): Node => this.unary('erf', x);
  softplus = (x: Node): Node => this.unary('softplus', x);

  invRms(x: Node, eps: number): Node {
    return this.make({ kind: 'invRms', eps }, [x], [...x.shape.slice(0, -1), 1]);
  }

  rotateHalf(x: Node, inverse = false): Node {
    return this.make({ kind: 'rotateHalf', inverse }, [x], x.shape);
  }

  /** Product over the last two axes: op(a) [..., M, K] times op(b) [..., K, N]. */
  matmul(a: Node, b: Node, { transA = false, transB = false } = {}): Node {
    const [am, ak] = transA ? [a.shape.at(-1), a.shape.at(-2)] : [a.shape.at(-2), a.shape.at(-1)];
    const [bk, bn] = transB ? [b.shape.at(-1), b.shape.at(-2)] : [b.shape.at(-2), b.shape.at(-1)];
    if (am === undefined || bn === undefined || ak !== bk) {
      throw new Error(`matmul of [${a.shape}]${transA ? '^T' : ''} and [${b.shape}]${transB ? '^T' : ''}`);
    }
    const lead = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return this.make({ kind: 'matmul', transA, transB }, [a, b], [...lead, am, bn]);
  }

  /**
   * Products with n matrices of different lengths p_i, each[i] [H, 1, width, p_i], of the parts of a's second axis:
   * a [H, n, M, width] times each[i], [H, n, M, columns] with zeros before the last p_i; with `transB` the last p_i of
   * a [H, n, M, columns] times the transpose of each[i], [H, n, M, width].
   */
  raggedMatmul(a: Node, each: readonly Node[], { columns, transB = false }: RaggedOptions): Node {
    const [h, n, m, k] = a.shape as [Dim, Dim, Dim, Dim];
    const width = each[0]!.shape[2]!;
    const fits = each.every((b) => b.shape[0] === h && b.shape[1] === 1 && b.shape[2] === width);
    if (n !== each.length || !fits || k !== (transB ? columns : width))
      throw new Error(`raggedMatmul of [${a.shape}] and ${each.map((b) => `[${b.shape}]`).join(', ')}`);
    const inputs = [a, ...each];
    return this.make({ kind: 'raggedMatmul', transB }, inputs, [h, n, m, transB ? width : columns]);
  }

  reshape(x: Node, shape: readonly Dim[]): Node {
    if (dimMul(...x.shape) !== dimMul(...shape)) throw new Error(`reshape of [${x.shape}] to [${shape}]`);
    if (JSON.stringify(x.shape) === JSON.stringify(shape)) return x;
    const source = x.op.kind === 'reshape' ? x.inputs[0]! : x;
    return this.make({ kind: 'reshape' }, [source], shape, x.dtype);
  }

  transpose(x: Node, perm: readonly number[]): Node {
    if (perm.every((p, i) => p === i)) return x;
    return this.make(
      { kind: 'transpose', perm },
      [x],
      perm.map((p) => x.shape[p]!),
      x.dtype,
    );
  }

  concat(parts: readonly Node[], axis: number): Node {
    const first = parts[0]!;
    if (parts.length === 1) return first;
    for (const part of parts) {
      if (part.shape.some((d, i) => i !== axis && d !== first.shape[i])) {
        throw new Error(`concat on axis ${axis} of ${parts.map((p) => `[${p.shape}]`).join(', ')}`);
      }
    }
    const shape = [...first.shape];
    shape[axis] = dimAdd(...parts.map((p) => p.shape[axis]!));
    return this.make({ kind: 'concat', axis }, parts, shape, first.dtype);
  }

  /** Elements [offset, offset + size) of an axis. */
  slice(x: Node, axis: number, offset: Dim, size: Dim): Node {
    if (offset === 0 && size === x.shape[axis]) return x;
    const shape = [...x.shape];
    shape[axis] = size;
    return this.make({ kind: 'slice', axis, start: offset, end: dimAdd(offset, size) }, [x], shape, x.dtype);
  }

  expand(x: Node, shape: readonly Dim[]): Node {
    if (JSON.stringify(x.shape) === JSON.stringify(shape)) return x;
    if (JSON.stringify(broadcastShapes(x.shape, shape)) !== JSON.stringify(shape)) {
      throw new Error(`expand of [${x.shape}] to [${shape}]`);
    }
    return this.make({ kind: 'expand' }, [x], shape);
  }

  private reduce(kind: 'reduceSum' | 'reduceMax', x: Node, axes: readonly number[], keep: boolean): Node {
    const normal = axes.map((a) => (a < 0 ? a + x.shape.length : a)).sort((a, b) => a - b);
    const kept = x.shape.map((d, i) => (normal.includes(i) ? 1 : d));
    const node = this.make({ kind, axes: normal }, [x], kept);
    return keep
      ? node
      : this.reshape(
          node,
          x.shape.filter((_, i) => !normal.includes(i)),
        );
  }

  /** Sum over axes; the axes stay with extent 1 when `keep`. */
  reduceSum(x: Node, axes: readonly number[], { keep = false } = {}): Node {
    return axes.length === 0 ? x : this.reduce('reduceSum', x, axes, keep);
  }

  /** Maximum over axes; has no gradient (use it to stabilise exponentials). */
  reduceMax(x: Node, axes: readonly number[], { keep = false } = {}): Node {
    return this.reduce('reduceMax', x, axes, keep);
  }

  /** Sum a gradient down to the shape that was broadcast. */
  sumTo(x: Node, shape: readonly Dim[]): Node {
    const lead = x.shape.length - shape.length;
    const axes = x.shape
      .map((_, i) => i)
      .filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
    return axes.length === 0
      ? this.reshape(x, shape)
      : this.reshape(this.reduceSum(x, axes, { keep: true }), shape);
  }

  /** Softmax over the last axis. */
  softmax(x: Node): Node {
    return this.make({ kind: 'softmax' }, [x], x.shape);
  }

  /** Log-softmax over the last axis. */
  logSoftmax(x: Node): Node {
    return this.make({ kind: 'logSoftmax' }, [x], x.shape);
  }

  gather(data: Node, indices: Node, axis = 0): Node {
    const shape = [...data.shape];
    shape[axis] = indices.shape[0]!;
    return this.make({ kind: 'gather', axis }, [data, indices], shape, data.dtype);
  }

  scatterAdd(base: Node, indices: Node, updates: Node, axis = 0): Node {
    return this.make({ kind: 'scatterAdd', axis }, [base, indices, updates], base.shape);
  }

  pick(x: Node, labels: Node): Node {
    return this.make({ kind: 'pick' }, [x, labels], [x.shape[0]!]);
  }

  unpick(base: Node, labels: Node, updates: Node): Node {
    return this.make({ kind: 'unpick' }, [base, labels, updates], base.shape);
  }

  cast(x: Node, to: DType): Node {
    return x.dtype === to ? x : this.make({ kind: 'cast', to }, [x], x.shape, to);
  }

  /** Index of the largest element of the last axis; the lowest index on a tie. */
  argmax(x: Node): Node {
    return this.make({ kind: 'argmax' }, [x], x.shape.slice(0, -1), 'i64');
  }

  graph(outputs: Record<string, Node>): Graph {
    return { outputs: new Map(Object.entries(outputs)) };
  }
}
