import { dimAdd } from './dim.ts';
import { type GraphBuilder, type Node, type OpKind, topological } from './ir.ts';

/**
 * Gradient rule of one op: given its node y and dL/dy, the contribution to each input, in broadcast shape (the
 * driver sums it down) or null where an input has none. `wants(i)` tells whether input i needs one.
 */
type Rule = (g: GraphBuilder, y: Node, dy: Node, wants: (input: number) => boolean) => (Node | null)[];

const unary =
  (rule: (g: GraphBuilder, x: Node, y: Node, dy: Node) => Node): Rule =>
  (g, y, dy) => [rule(g, y.inputs[0]!, y, dy)];

/** Ops whose rule is null have no gradient: a path through one is cut. */
const rules: Record<OpKind, Rule | null> = {
  input: null,
  weight: null,
  scalar: null,
  zeros: null,
  argmax: null,
  reduceMax: null,
  add: (_g, _y, dy) => [dy, dy],
  sub: (g, _y, dy, wants) => [dy, wants(1) ? g.neg(dy) : null],
  mul: (g, y, dy, wants) => [
    wants(0) ? g.mul(dy, y.inputs[1]!) : null,
    wants(1) ? g.mul(dy, y.inputs[0]!) : null,
  ],
  div: (g, y, dy, wants) => [
    wants(0) ? g.div(dy, y.inputs[1]!) : null,
    wants(1) ? g.neg(g.div(g.mul(dy, y), y.inputs[1]!)) : null,
  ],
  neg: unary((g, _x, _y, dy) => g.neg(dy)),
  exp: unary((g, _x, y, dy) => g.mul(dy, y)),
  log: unary((g, x, _y, dy) => g.div(dy, x)),
  sqrt: unary((g, _x, y, dy) => g.div(g.scale(dy, 0.5), y)),
  sigmoid: unary((g, _x, y, dy) => g.mul(dy, g.mul(y, g.sub(g.scalar(1), y)))),
  tanh: unary((g, _x, y, dy) => g.mul(dy, g.sub(g.scalar(1), g.mul(y, y)))),
  erf: unary((g, x, _y, dy) => g.mul(dy, g.scale(g.exp(g.neg(g.mul(x, x))), 2 / Math.sqrt(Math.PI)))),
  softplus: unary((g, x, _y, dy) => g.mul(dy, g.sigmoid(x))),
  invRms: unary((g, x, y, dy) => {
    // dr/dx = -r^3 x / width; the factor of the small side is built before it meets the wide x.
    const width = x.shape.at(-1)!;
    if (typeof width !== 'number') throw new Error('invRms needs a fixed width');
    return g.mul(g.scale(g.mul(dy, g.mul(y, g.mul(y, y))), -1 / width), x);
  }),
  rotateHalf: (g, y, dy) => [g.rotateHalf(dy, !(y.op.kind === 'rotateHalf' && y.op.inverse))],
  matmul: (g, y, dy, wants) => {
    if (y.op.kind !== 'matmul') throw new Error('not a matmul');
    const [a, b] = y.inputs as [Node, Node];
    const { transA, transB } = y.op;
    return [
      !wants(0)
        ? null
        : transA
          ? g.matmul(b, dy, { transA: transB, transB: true })
          : g.matmul(dy, b, { transB: !transB }),
      !wants(1)
        ? null
        : transB
          ? g.matmul(dy, a, { transA: true, transB: transA })
          : g.matmul(a, dy, { transA: !transA }),
    ];
  },
  raggedMatmul: (g, y, dy, wants) => {
    if (y.op.kind !== 'raggedMatmul') throw new Error('not a raggedMatmul');
    const [a, ...each] = y.inputs as [Node, ...Node[]];
    if (each.some((_, i) => wants(i + 1))) throw new Error('raggedMatmul takes constants on the right');
    const { transB } = y.op;
    const columns = (transB ? a : y).shape[3]!;
    return [g.raggedMatmul(dy, each, { columns, transB: !transB })];
  },
  reshape: (g, y, dy) => [g.reshape(dy, y.inputs[0]!.shape)],
  transpose: (g, y, dy) => {
    if (y.op.kind !== 'transpose') throw new Error('not a transpose');
    const inverse = new Array<number>(y.op.perm.length);
    y.op.perm.forEach((p, i) => {
      inverse[p] = i;
    });
    return [g.transpose(dy, inverse)];
  },
  concat: (g, y, dy, wants) => {
    if (y.op.kind !== 'concat') throw new Error('not a concat');
    const { axis } = y.op;
    let offset: number | string = 0;
    return y.inputs.map((part, i) => {
      const size = part.shape[axis]!;
      const start = offset;
      offset = dimAdd(offset, size);
      return wants(i) ? g.slice(dy, axis, start, size) : null;
    });
  },
  slice: (g, y, dy) => {
    if (y.op.kind !== 'slice') throw new Error('not a slice');
    const { axis, start, end } = y.op;
    const x = y.inputs[0]!;
    const zeros = (size: number | string) => g.zeros(x.shape.map((d, i) => (i === axis ? size : d)));
    const total = x.shape[axis]!;
    const rest = dimSubtract(total, end);
    const parts = [...(start === 0 ? [] : [zeros(start)]), dy, ...(rest === 0 ? [] : [zeros(rest)])];
    return [g.concat(parts, axis)];
  },
  expand: (_g, _y, dy) => [dy],
  reduceSum: (g, y, dy) => [g.expand(dy, y.inputs[0]!.shape)],
  softmax: unary((g, _x, y, dy) => g.mul(y, g.sub(dy, g.reduceSum(g.mul(dy, y), [-1], { keep: true })))),
  logSoftmax: unary((g, _x, y, dy) => g.sub(dy, g.mul(g.exp(y), g.reduceSum(dy, [-1], { keep: true })))),
  gather: (g, y, dy) => {
    if (y.op.kind !== 'gather') throw new Error('not a gather');
    const [data, indices] = y.inputs as [Node, Node];
    return [g.scatterAdd(g.zeros(data.shape), indices, dy, y.op.axis), null];
  },
  scatterAdd: (g, y, dy, wants) => {
    if (y.op.kind !== 'scatterAdd') throw new Error('not a scatterAdd');
    return [dy, null, wants(2) ? g.gather(dy, y.inputs[1]!, y.op.axis) : null];
  },
  pick: (g, y, dy) => {
    const [x, labels] = y.inputs as [Node, Node];
    return [g.unpick(g.zeros(x.shape), labels, dy), null];
  },
  unpick: (g, y, dy, wants) => [dy, null, wants(2) ? g.pick(dy, y.inputs[1]!) : null],
  cast: (_g, y, dy) => (y.inputs[0]!.dtype === 'i64' ? [null] : [dy]),
};

/** a - b for extents where b is a prefix sum of a's parts. */
function dimSubtract(a: number | string, b: number | string): number | string {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (a === b) return 0;
  const remaining = String(a).split('+');
  for (const part of b === 0 ? [] : String(b).split('+')) {
    const at = remaining.indexOf(part);
    if (at < 0) throw new Error(`cannot subtract extent ${b} from ${a}`);
    remaining.splice(at, 1);
  }
  return remaining.length === 0 ? 0 : dimAdd(...remaining.map((r) => (/^\d+$/.test(r) ? Number(r) : r)));
}

/**
 * Reverse-mode differentiation, graph to graph.
 * @param targets nodes with dL/dnode for each (the seed, of the node's shape; a scalar loss takes scalar(1))
 * @param wrt nodes whose gradient is wanted
 * @returns dL/dnode for each of `wrt`, of its shape; zeros where the targets do not depend on it. Gradients of
 * 16-bit weights are float32. Only nodes on a path from `wrt` to a target are visited, so what lies below the
 * lowest trainable part costs nothing.
 */
export function gradient(
  g: GraphBuilder,
  targets: readonly { node: Node; seed: Node }[],
  wrt: readonly Node[],
): Node[] {
  const order = topological(targets.map((t) => t.node));
  const needed = new Set<Node>(wrt);
  for (const node of order) {
    if (rules[node.op.kind] && node.inputs.some((input) => needed.has(input))) needed.add(node);
  }
  const gradients = new Map<Node, Node>();
  const accumulate = (node: Node, dy: Node) => {
    const sum = gradients.get(node);
    gradients.set(node, sum ? g.add(sum, dy) : dy);
  };
  for (const { node, seed } of targets) if (needed.has(node)) accumulate(node, g.expand(seed, node.shape));
  for (const node of order.reverse()) {
    const dy = gradients.get(node);
    const rule = rules[node.op.kind];
    if (!dy || !rule || !needed.has(node)) continue;
    const contributions = rule(g, node, dy, (i) => needed.has(node.inputs[i]!));
    node.inputs.forEach((input, i) => {
      const contribution = contributions[i];
      if (contribution && needed.has(input)) accumulate(input, g.sumTo(contribution, input.shape));
    });
  }
  return wrt.map((node) => gradients.get(node) ?? g.zeros(node.shape));
}
