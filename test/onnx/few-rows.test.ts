/** Batched products of few rows with matrices of any length, which are lowered row by row. */
import { expect, test } from 'vitest';
import { GraphBuilder } from '../../server/graph/ir.ts';
import { createSession, f32 } from '../../server/onnx/session.ts';
import { Rng } from '../../server/random.ts';

const noWeights = {
  folder: '/',
  locate: (name: string): never => {
    throw new Error(`no weight ${name}`);
  },
};

test.each([1, 2, 3, 8, 9])('%i rows with keys and with values of 5 and of 130 tokens', async (rows) => {
  const [heads, batch, width] = [2, 3, 4] as const;
  const g = new GraphBuilder();
  const q = g.input('q', [heads, 'B', rows, width]);
  const w = g.input('w', [heads, 'B', rows, 'P']);
  const kv = g.input('kv', [heads, 'B', 'P', width]);
  const graph = g.graph({ scores: g.matmul(q, kv, { transB: true }), values: g.matmul(w, kv) });
  const session = await createSession(graph, noWeights, { provider: 'cpu', threads: 1, prepack: false });
  const rng = new Rng(rows);
  for (const length of [5, 130]) {
    const random = (n: number) => Float32Array.from({ length: heads * batch * n }, () => rng.normal());
    const data = { q: random(rows * width), w: random(rows * length), kv: random(length * width) };
    const out = await session.run({
      q: f32(data.q, heads, batch, rows, width),
      w: f32(data.w, heads, batch, rows, length),
      kv: f32(data.kv, heads, batch, length, width),
    });
    expect(out.scores!.dims).toEqual([heads, batch, rows, length]);
    expect(out.values!.dims).toEqual([heads, batch, rows, width]);
    for (let n = 0; n < heads * batch; n++) {
      for (let r = 0; r < rows; r++) {
        const values = new Float64Array(width);
        for (let p = 0; p < length; p++) {
          let score = 0;
          for (let c = 0; c < width; c++) {
            const x = data.kv[(n * length + p) * width + c]!;
            score += data.q[(n * rows + r) * width + c]! * x;
            values[c]! += data.w[(n * rows + r) * length + p]! * x;
          }
          expect(out.scores!.data[(n * rows + r) * length + p]).toBeCloseTo(score, 4);
        }
        values.forEach((value, c) => {
          expect(out.values!.data[(n * rows + r) * width + c]).toBeCloseTo(value, 4);
        });
      }
    }
  }
  await session.release();
});
