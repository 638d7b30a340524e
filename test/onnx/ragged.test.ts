/** Products with matrices of different lengths, against plain loops. */
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

test.each([
  [1, 3],
  [3, 3],
  [3, 1],
  [2, 9],
])('%i parts of any length, %i rows', async (parts, rows) => {
  const [heads, width] = [2, 4] as const;
  const g = new GraphBuilder();
  const q = g.input('q', [heads, parts, rows, width]);
  const w = g.input('w', [heads, parts, rows, 'P']);
  const each = Array.from({ length: parts }, (_, i) => g.input(`b${i}`, [heads, 1, width, `P${i}`]));
  const scores = g.raggedMatmul(q, each, { columns: 'P' });
  const values = g.raggedMatmul(w, each, { columns: 'P', transB: true });
  const session = await createSession(g.graph({ scores, values }), noWeights, {
    provider: 'cpu',
    threads: 1,
    prepack: false,
  });
  const rng = new Rng('ragged');
  const random = (n: number) => Float32Array.from({ length: n }, () => rng.normal());
  for (const lengths of [
    [7, 1, 5],
    [2, 9, 9],
  ]) {
    const used = lengths.slice(0, parts);
    const columns = Math.max(...used);
    const [x, y] = [random(heads * parts * rows * width), random(heads * parts * rows * columns)];
    const b = used.map((length) => random(heads * width * length));
    const out = await session.run({
      q: f32(x, heads, parts, rows, width),
      w: f32(y, heads, parts, rows, columns),
      ...Object.fromEntries(b.map((data, i) => [`b${i}`, f32(data, heads, 1, width, used[i]!)])),
    });
    expect(out.scores!.dims).toEqual([heads, parts, rows, columns]);
    expect(out.values!.dims).toEqual([heads, parts, rows, width]);
    for (let row = 0; row < heads * parts * rows; row++) {
      const part = Math.floor(row / rows) % parts;
      const head = Math.floor(row / rows / parts);
      const length = used[part]!;
      const at = (d: number, column: number) => b[part]![(head * width + d) * length + column]!;
      const sum = new Float64Array(width);
      for (let c = 0; c < columns; c++) {
        const column = c - (columns - length);
        let score = 0;
        for (let d = 0; d < width; d++) {
          if (column < 0) continue;
          score += x[row * width + d]! * at(d, column);
          sum[d]! += y[row * columns + c]! * at(d, column);
        }
        expect(out.scores!.data[row * columns + c]).toBeCloseTo(score, 4);
      }
      sum.forEach((value, d) => {
        expect(out.values!.data[row * width + d]).toBeCloseTo(value, 4);
      });
    }
  }
  await session.release();
});

test('parts and matrices must be as many, and of one width', () => {
  const g = new GraphBuilder();
  const q = g.input('q', [2, 2, 3, 4]);
  const b = (width: number) => g.input(`b${width}`, [2, 1, width, 'P']);
  expect(() => g.raggedMatmul(q, [b(4)], { columns: 'P' })).toThrow('raggedMatmul of');
  expect(() => g.raggedMatmul(q, [b(5), b(5)], { columns: 'P' })).toThrow('raggedMatmul of');
});
