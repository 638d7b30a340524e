import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { expectedTensors, type ModelConfig, readConfig } from '../../server/checkpoint/config.ts';
import { type Graph, type Node, topological } from '../../server/graph/ir.ts';
import { forwardGraph, maskGraph } from '../../server/model/graphs.ts';
import { Model } from '../../server/model/model.ts';
import { writeRandomCheckpoint } from './checkpoint.ts';
import { attainable, decodeStep, maskStep, prefill } from './roofline.ts';
import { models, quickModel } from './sizes.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'roofline-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const shape = { numLayers: 2, hiddenSize: 4, intermediateSize: 8, numHeads: 2, numKvHeads: 1, headDim: 2 };
const tiny = { ...shape, vocabSize: 10 } as ModelConfig;

test('work of a step, counted by hand', () => {
  // q, k and v of a layer: 4 x (4 + 2 + 2) = 32; o: 16; MLP: 3 x 4 x 8 = 96. Two layers: 288. Head: 40.
  // A token seen by a query: 2 layers x 2 heads x (2 + 2) multiplications and additions x 2, and 2 x (2 + 2) floats.
  expect(decodeStep(tiny, 4, 3, 5)).toEqual({
    flops: 2 * 3 * 328 + 3 * 5 * 32,
    bytes: 4 * 328 + 3 * 5 * 32,
  });
  expect(prefill(tiny, 2, 6)).toEqual({ flops: 2 * (6 * 288 + 40) + 21 * 32, bytes: 2 * 328 });
  expect(maskStep(tiny, 4, 3, 5)).toEqual({
    flops: 2 * 3 * (576 - 32) + 2 * 3 * 5 * 32,
    bytes: 4 * (576 - 32) + 2 * 3 * 5 * 32,
  });
});

test('the slower of reading and multiplying is the bound, at the best rates measured', () => {
  const rates = { bandwidth: [5, 10], gemm: [100, 50] };
  expect(attainable({ flops: 100, bytes: 20 }, rates)).toEqual({ seconds: 2, by: 'bandwidth' });
  expect(attainable({ flops: 300, bytes: 20 }, rates)).toEqual({ seconds: 3, by: 'gemm' });
});

test('the matrices counted are those that the graphs multiply by', async () => {
  const folder = temporaryFolder();
  await writeRandomCheckpoint(folder, quickModel, 'F32');
  const model = await Model.load(folder);
  /** Weights of the matrices of all products; one that is multiplied by twice counts twice. */
  const multiplied = (graph: Graph) =>
    topological(graph.outputs.values())
      .flatMap((node: Node) => (node.op.kind === 'matmul' ? node.inputs : []))
      .filter((input) => input.op.kind === 'weight')
      .reduce((sum, { shape }) => sum + (shape as number[]).reduce((a, b) => a * b), 0);
  const decoding = forwardGraph(model.context(), { past: true, shared: 'none' });
  expect(decodeStep(model.config, 1, 1, 0).bytes).toBe(multiplied(decoding));
  expect(prefill(model.config, 1, 7).bytes).toBe(multiplied(decoding));
  const mask = maskGraph(model.context(), { objective: 'margin', shared: 'none', slots: 2 });
  expect(maskStep(model.config, 1, 1, 0).bytes).toBe(multiplied(mask));
});

test.each([
  ['0.5', 494_032_768],
  ['1.5', 1_543_714_304],
])('Qwen2.5 of %s billion parameters has as many as the published one', (params, count) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'config.json'), JSON.stringify(models[params]));
  const tensors = expectedTensors(readConfig(folder));
  expect(tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0)).toBe(count);
});
