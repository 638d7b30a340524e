import { describe, expect, it } from 'vitest';
import { gradient } from '../../server/graph/gradient.ts';
import { GraphBuilder, type Node } from '../../server/graph/ir.ts';
import { printGraph } from '../../server/graph/print.ts';
import { createSession, type Feeds, f32, i64 } from '../../server/onnx/session.ts';
import { Rng } from '../../server/random.ts';

const noWeights = {
  folder: '/',
  locate: (name: string): never => {
    throw new Error(`no weight ${name}`);
  },
};
const cpu = { provider: 'cpu', threads: 1, prepack: false } as const;

interface Case {
  /** Differentiable inputs: shape and the range that values are drawn from. */
  inputs: { shape: number[]; low?: number; high?: number }[];
  indices?: Record<string, number[]>;
  build(g: GraphBuilder, x: Node[], index: Record<string, Node>): Node;
}

const pairwise = (op: 'add' | 'sub' | 'mul' | 'div'): Case => ({
  inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1], low: 0.5, high: 2 }],
  build: (g, [a, b]) => g[op](a!, b!),
});
const single = (
  op: 'neg' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'tanh' | 'erf' | 'softplus',
  low = -1.5,
  high = 1.5,
): Case => ({
  inputs: [{ shape: [3, 4], low, high }],
  build: (g, [x]) => g[op](x!),
});
const product = (transA: boolean, transB: boolean, a: number[], b: number[]): Case => ({
  inputs: [{ shape: a }, { shape: b }],
  build: (g, [x, y]) => g.matmul(x!, y!, { transA, transB }),
});

/** Parts of x with constant matrices [2, 1, 2, 3], [2, 1, 2, 1] and [2, 1, 2, 4]; the longest is shorter than the columns. */
const ragged = (transB: boolean): Case => ({
  inputs: [{ shape: transB ? [2, 3, 2, 5] : [2, 3, 2, 2] }],
  indices: {
    a: [1, -2, 3, 0, 2, 1, -1, 1, 2, -3, 1, 2],
    b: [2, -1, 1, 3],
    c: [1, 0, -1, 2, 2, 1, 1, -2, 3, 1, 0, -1, 1, 1, -2, 2],
  },
  build: (g, [x], index) => {
    const each = Object.values(index).map((values) =>
      g.reshape(g.cast(values, 'f32'), [2, 1, 2, (values.shape[0] as number) / 4]),
    );
    return g.raggedMatmul(x!, each, { columns: 5, transB });
  },
});

const cases: Record<string, Case> = {
  add: pairwise('add'),
  sub: pairwise('sub'),
  mul: pairwise('mul'),
  div: pairwise('div'),
  neg: single('neg'),
  exp: single('exp'),
  log: single('log', 0.5, 2),
  sqrt: single('sqrt', 0.5, 2),
  sigmoid: single('sigmoid'),
  tanh: single('tanh'),
  erf: single('erf'),
  softplus: single('softplus'),
  invRms: { inputs: [{ shape: [3, 6] }], build: (g, [x]) => g.mul(x!, g.invRms(x!, 1e-5)) },
  rotateHalf: { inputs: [{ shape: [3, 6] }], build: (g, [x]) => g.rotateHalf(x!) },
  'rotateHalf inverse': { inputs: [{ shape: [3, 6] }], build: (g, [x]) => g.rotateHalf(x!, true) },
  'matmul 2-D': product(false, false, [3, 4], [4, 5]),
  'matmul 2-D a^T': product(true, false, [4, 3], [4, 5]),
  'matmul 2-D b^T': product(false, true, [3, 4], [5, 4]),
  'matmul 2-D both': product(true, true, [4, 3], [5, 4]),
  'matmul batched': product(false, false, [2, 3, 4], [2, 4, 5]),
  'matmul batched a^T': product(true, false, [2, 4, 3], [2, 4, 5]),
  'matmul batched b^T, broadcast': product(false, true, [2, 2, 3, 4], [1, 2, 5, 4]),
  'matmul batched both': product(true, true, [2, 4, 3], [2, 5, 4]),
  raggedMatmul: ragged(false),
  'raggedMatmul b^T': ragged(true),
  reshape: { inputs: [{ shape: [2, 6] }], build: (g, [x]) => g.exp(g.reshape(x!, [3, 4])) },
  transpose: { inputs: [{ shape: [2, 3, 4] }], build: (g, [x]) => g.exp(g.transpose(x!, [2, 0, 1])) },
  concat: { inputs: [{ shape: [2, 3] }, { shape: [2, 4] }], build: (g, [a, b]) => g.concat([a!, b!, a!], 1) },
  slice: { inputs: [{ shape: [2, 7] }], build: (g, [x]) => g.exp(g.slice(x!, 1, 2, 3)) },
  expand: { inputs: [{ shape: [3, 1] }], build: (g, [x]) => g.expand(x!, [2, 3, 4]) },
  reduceSum: { inputs: [{ shape: [2, 3, 4] }], build: (g, [x]) => g.exp(g.reduceSum(x!, [0, 2])) },
  softmax: { inputs: [{ shape: [3, 5] }], build: (g, [x]) => g.softmax(x!) },
  logSoftmax: { inputs: [{ shape: [3, 5] }], build: (g, [x]) => g.logSoftmax(x!) },
  'gather rows': {
    inputs: [{ shape: [5, 3] }],
    indices: { at: [4, 0, 4] },
    build: (g, [x], { at }) => g.gather(x!, at!, 0),
  },
  'gather columns': {
    inputs: [{ shape: [3, 5] }],
    indices: { at: [4, 0, 4] },
    build: (g, [x], { at }) => g.gather(x!, at!, 1),
  },
  'scatterAdd rows': {
    inputs: [{ shape: [5, 3] }, { shape: [2, 3] }],
    indices: { at: [4, 1] },
    build: (g, [x, u], { at }) => g.exp(g.scatterAdd(x!, at!, u!, 0)),
  },
  'scatterAdd columns': {
    inputs: [{ shape: [3, 5] }, { shape: [3, 2] }],
    indices: { at: [4, 1] },
    build: (g, [x, u], { at }) => g.exp(g.scatterAdd(x!, at!, u!, 1)),
  },
  pick: {
    inputs: [{ shape: [3, 5] }],
    indices: { at: [4, 0, 2] },
    build: (g, [x], { at }) => g.pick(x!, at!),
  },
  unpick: {
    inputs: [{ shape: [3, 5] }, { shape: [3] }],
    indices: { at: [4, 0, 2] },
    build: (g, [x, u], { at }) => g.exp(g.unpick(x!, at!, u!)),
  },
};

describe('gradient rules against central differences', () => {
  for (const [name, { inputs, indices = {}, build }] of Object.entries(cases)) {
    it(name, async () => {
      const rng = new Rng(name);
      const g = new GraphBuilder();
      const x = inputs.map(({ shape }, i) => g.input(`x${i}`, shape));
      const at = Object.fromEntries(
        Object.entries(indices).map(([key, values]) => [key, g.input(key, [values.length], 'i64')]),
      );
      const y = build(g, x, at);
      const seed = g.input('seed', y.shape);
      const loss = g.reduceSum(
        g.mul(y, seed),
        y.shape.map((_, i) => i),
      );
      const gradients = gradient(g, [{ node: loss, seed: g.scalar(1) }], x);
      const session = await createSession(
        g.graph({ loss, ...Object.fromEntries(gradients.map((dx, i) => [`dx${i}`, dx])) }),
        noWeights,
        cpu,
      );
      const random = (shape: readonly number[], low = -1, high = 1) =>
        f32(
          Float32Array.from(
            { length: shape.reduce((a, b) => a * b, 1) },
            () => low + (high - low) * rng.float(),
          ),
          ...shape,
        );
      const feeds: Feeds = { seed: random(y.shape as number[]) };
      inputs.forEach(({ shape, low, high }, i) => {
        feeds[`x${i}`] = random(shape, low, high);
      });
      for (const [key, values] of Object.entries(indices)) feeds[key] = i64(values);
      const analytic = await session.run(feeds);
      const lossAt = async () => Number((await session.run(feeds)).loss!.data[0]);
      for (let i = 0; i < inputs.length; i++) {
        const data = feeds[`x${i}`]!.data as Float32Array;
        for (let j = 0; j < data.length; j++) {
          const original = data[j]!;
          const step = 1e-2;
          data[j] = original + step;
          const up = await lossAt();
          data[j] = original - step;
          const down = await lossAt();
          data[j] = original;
          const numeric = (up - down) / (2 * step);
          expect(Number(analytic[`dx${i}`]!.data[j])).toBeCloseTo(numeric, 2);
        }
      }
      await session.release();
    });
  }
});

describe('symbolic extents', () => {
  it('prints the graph and prunes what a wanted gradient does not need', () => {
    const g = new GraphBuilder();
    const x = g.input('x', ['B*T', 4]);
    const w = g.input('w', [3, 4]);
    const loss = g.reduceSum(g.sigmoid(g.matmul(x, w, { transB: true })), [0, 1]);
    const [dw] = gradient(g, [{ node: loss, seed: g.scalar(1) }], [w]);
    expect(printGraph(g.graph({ dw: dw! }))).toMatchInlineSnapshot(`
      "%0 = scalar{value=1} : f32[]
      %1 = reshape %0 : f32[1, 1]
      %2 = expand %1 : f32[B*T, 3]
      %3 = input{name=x} : f32[B*T, 4]
      %4 = input{name=w} : f32[3, 4]
      %5 = matmul{transB} %3 %4 : f32[B*T, 3]
      %6 = sigmoid %5 : f32[B*T, 3]
      %7 = sub %0 %6 : f32[B*T, 3]
      %8 = mul %6 %7 : f32[B*T, 3]
      %9 = mul %2 %8 : f32[B*T, 3]
      %10 = matmul{transA} %9 %3 : f32[3, 4]
      dw <- %10"
    `);
  });

  it('rejects a reshape that changes the number of elements', () => {
    const g = new GraphBuilder();
    expect(() => g.reshape(g.input('x', ['B', 'T', 4]), ['B*T', 8])).toThrow('reshape of [B,T,4] to [B*T,8]');
  });

  it('splits and rejoins a concatenation at a symbolic offset', async () => {
    const g = new GraphBuilder();
    const a = g.input('a', ['P', 2]);
    const b = g.input('b', ['T', 2]);
    const joined = g.concat([a, b], 0);
    const loss = g.reduceSum(g.mul(joined, joined), [0, 1]);
    const [da, db] = gradient(g, [{ node: loss, seed: g.scalar(1) }], [a, b]);
    const session = await createSession(g.graph({ da: da!, db: db! }), noWeights, cpu);
    const out = await session.run({
      a: f32(new Float32Array([1, 2]), 1, 2),
      b: f32(new Float32Array([3, 4, 5, 6]), 2, 2),
    });
    expect([...out.da!.data]).toEqual([2, 4]);
    expect([...out.db!.data]).toEqual([6, 8, 10, 12]);
    await session.release();
  });
});
