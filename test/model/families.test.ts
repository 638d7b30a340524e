/**
 * What the decoder families have beside Llama's parts. Logits, decoding, masks, rows and training of every family are
 * compared with PyTorch in oracle.test.ts and oracle-training.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedTensors, type ModelConfig } from '../../server/checkpoint/config.ts';
import { readTensorF32 } from '../../server/checkpoint/safetensors.ts';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { generate } from '../../server/generate/generate.ts';
import { greedy } from '../../server/generate/sampler.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import type { Architecture, NormPlace, Projection } from '../../server/model/architectures/architecture.ts';
import { blockFeeds } from '../../server/model/batch.ts';
import {
  ComponentSpace,
  circuitDeltas,
  componentKinds,
  rowSpan,
  rowsOf,
  tensorOf,
} from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay, overlayInput } from '../../server/model/overlay.ts';
import { TextLoss } from '../../server/optimize/text-loss.ts';
import { familyNames, loadOracle, oracleNames } from '../oracle.ts';
import { flat, maxAbs, relative } from './compare.ts';
import { asPairs } from './pairs.ts';

const signal = neverAborted;
const projections: Projection[] = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
];
const normPlaces: NormPlace[] = ['preAttention', 'postAttention', 'preMlp', 'postMlp', 'query', 'key'];

describe.each(familyNames)('%s', (name) => {
  const oracle = loadOracle(name);
  const pairs = asPairs(oracle.pairs);
  let model: Model;
  beforeAll(async () => {
    model = await Model.load(oracle.folder);
  });
  afterAll(() => model.release());

  test('gradient of every norm weight and bias', async () => {
    const { sequences, loss, grad } = oracle.vectors;
    const dense = new Map(
      Object.keys(grad).map((tensor) => {
        const info = model.checkpoint.tensors.get(tensor)!;
        return [tensor, { data: readTensorF32(info), dims: info.shape }];
      }),
    );
    const vectors = [...model.checkpoint.tensors.values()].filter(({ shape }) => shape.length === 1);
    expect([...dense.keys()].sort()).toEqual(vectors.map((info) => info.name).sort());
    const overlay = { ...noOverlay, dense };
    const runner = await Runner.create(model);
    const text = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay' }, overlay);
    const count = sequences.reduce((sum, { positions }) => sum + positions.length, 0);
    const result = await text.run(
      sequences.map(({ ids, positions }) => ({ ids, rows: positions, share: 1 / count })),
      sequences.map(({ ids, positions }) => ({
        kind: 'crossEntropy',
        labels: positions.map((t) => ids[t + 1]!),
      })),
      { overlay, signal },
    );
    expect(result.loss).toBeCloseTo(loss, 5);
    for (const [tensor, { data }] of Object.entries(grad)) {
      expect(relative(result.gradients.get(overlayInput.dense(tensor))!, data), tensor).toBeLessThan(2e-5);
    }
  });

  test('gates behind a shared prefix: the same margins and gradients as over whole prefixes', async () => {
    const prompt = oracle.logits.ids.slice(0, 13);
    const longer = pairs.map((pair) => ({ ...pair, prefix: [...prompt, ...pair.prefix] }));
    const gate = flat(oracle.mask.random.m).map((x) => 2 * x);
    const batch = pairs.map((_, i) => i);
    const [whole, behind] = await Promise.all(
      [[], prompt].map(async (shared) => {
        const runner = await Runner.create(model, noOverlay, shared);
        const steps = await MaskSteps.create(runner, longer, 'margin', signal);
        return steps.run(batch, gate, { signal });
      }),
    );
    expect(maxAbs(behind!.margins, whole!.margins)).toBeLessThan(2e-5);
    expect(relative(behind!.gradients, whole!.gradients)).toBeLessThan(2e-5);
  });

  test('greedy ids behind a shared prefix that windows leave behind', async () => {
    const { prompts, ids } = oracle.greedy;
    const [prompt, expected] = [prompts.at(-1)!, ids.at(-1)!];
    const runner = await Runner.create(model, noOverlay, prompt.slice(0, 14));
    const request = { sampling: greedy, maxTokens: 64 };
    const completions = await generate(
      runner,
      // Beside a much shorter one, so that the rows of the batch differ.
      [
        { ...request, ids: prompt.slice(14) },
        { ...request, ids: prompt.slice(14, 15), maxTokens: 30 },
      ],
      { batch: 2, stop: () => false },
    );
    expect(completions[0]!.ids).toEqual(expected);
  });
});

describe.each(oracleNames)('tensors of %s', (name) => {
  let model: Model;
  let arch: Architecture;
  beforeAll(async () => {
    model = await Model.load(loadOracle(name).folder);
    arch = model.arch;
  });
  afterAll(() => model.release());

  test('the graphs use every tensor of the checkpoint and no other', () => {
    const used = new Set([arch.embedding, arch.finalNorm, arch.head]);
    for (let layer = 0; layer < model.config.numLayers; layer++) {
      for (const projection of projections) {
        used.add(arch.weight(layer, projection));
        const bias = arch.bias(layer, projection);
        if (bias !== null) used.add(bias);
      }
      for (const place of normPlaces) {
        const norm = arch.norm(layer, place);
        if (norm !== null) used.add(norm);
      }
    }
    expect([...used].sort()).toEqual(
      expectedTensors(model.config)
        .map((t) => t.name)
        .sort(),
    );
  });

  test('all components together own every row of their matrices once', () => {
    const space = new ComponentSpace(model.config);
    const deltas = circuitDeltas(
      arch,
      space.circuit(() => true),
      'up+gate+down',
    );
    expect(new Set(deltas.map((d) => `${d.tensor} ${d.axis}`)).size).toBe(deltas.length);
    for (const { tensor, axis, indices, delta } of deltas) {
      const shape = model.tensors(tensor).shape;
      expect([...indices], tensor).toEqual(Array.from({ length: shape[axis]! }, (_, i) => i));
      expect(delta.length).toBe(indices.length * shape[1 - axis]!);
    }
    for (const kind of componentKinds) {
      const { first, count } = rowSpan(arch, kind);
      expect(count).toBe(rowsOf(arch, kind) * space.width(kind));
      expect(first + count).toBeLessThanOrEqual(model.tensors(tensorOf(arch, kind, 0)).shape[0]!);
    }
  });
});

test('gate point: behind the norm where every head of queries and keys has its own', async () => {
  const points = await Promise.all(
    familyNames.map(async (name) => [name, (await Model.load(loadOracle(name).folder)).arch.gatePoint]),
  );
  expect(Object.fromEntries(points)).toEqual({
    mistral: 'projection',
    qwen2: 'projection',
    'qwen2-f16': 'projection',
    qwen3: 'norm',
    gemma2: 'projection',
    gemma3: 'norm',
    olmo2: 'projection',
    phi3: 'projection',
    smollm2: 'projection',
  });
});

test('a change of one head of a fused matrix is the same change of its rows in the whole matrix', async () => {
  const { folder, logits } = loadOracle('phi3');
  const model = await Model.load(folder);
  const { arch } = model;
  const none = [[], []];
  for (const circuit of [
    { q: [[], [2]], k: none, v: none, mlp: none },
    { q: none, k: [[1], []], v: none, mlp: none },
    { q: none, k: none, v: [[], [0]], mlp: none },
    { q: none, k: none, v: none, mlp: [[5], []] },
    { q: [[0], []], k: [[0], []], v: [[1], []], mlp: [[], [4, 40]] },
  ]) {
    const deltas = circuitDeltas(arch, circuit, 'up+gate+down');
    const dense = new Map<string, { data: Float32Array; dims: readonly number[] }>();
    for (const { tensor, axis, indices, delta } of deltas) {
      delta.forEach((_, i) => {
        delta[i] = Math.sin(i + 1) / 4;
      });
      const info = model.checkpoint.tensors.get(tensor)!;
      const [rows, columns] = info.shape as [number, number];
      const data = readTensorF32(info);
      const width = axis === 0 ? columns : rows;
      indices.forEach((index, j) => {
        for (let i = 0; i < width; i++) {
          const at = axis === 0 ? index * columns + i : i * columns + index;
          data[at] = data[at]! + delta[j * width + i]!;
        }
      });
      dense.set(tensor, { data, dims: info.shape });
    }
    const run = async (overlay: typeof noOverlay) => {
      const runner = await Runner.create(model, overlay);
      const [out] = await runner.forward([{ ids: logits.ids, rows: logits.ids.map((_, i) => i) }]);
      return out!.logits;
    };
    const [sparse, whole] = [await run({ ...noOverlay, deltas }), await run({ ...noOverlay, dense })];
    expect(maxAbs(sparse, whole)).toBeLessThan(2e-5);
    expect(maxAbs(sparse, logits.values.data)).toBeGreaterThan(0.01);
  }
  await model.release();
});

describe('feeds', () => {
  const context = async (name: (typeof familyNames)[number]) => Model.load(loadOracle(name).folder);
  const rows = [{ ids: [7, 8, 9], offset: 20, cached: 4 }];

  test('angles once where layers rotate alike, by kind where they do not', async () => {
    const names = async (name: (typeof familyNames)[number]) =>
      Object.keys(blockFeeds(await context(name), rows, { length: 3, past: 4, align: 'left' }).feeds).sort();
    expect(await names('olmo2')).toEqual(['bias.full', 'cos', 'ids', 'sin']);
    expect(await names('gemma2')).toEqual(['bias.full', 'bias.prefix', 'bias.sliding', 'cos', 'ids', 'sin']);
    expect(await names('gemma3')).toEqual([
      'bias.full',
      'bias.prefix',
      'bias.sliding',
      'cos.full',
      'cos.sliding',
      'ids',
      'sin.full',
      'sin.sliding',
    ]);
  });

  test('a window of 9 ends in the shared prefix, the own cache or the own tokens', async () => {
    const model = await context('gemma2');
    const { feeds } = blockFeeds(model, rows, { length: 3, past: 4, align: 'left' });
    // Tokens 20, 21, 22 after 4 cached ones (16 to 19) and a prefix of 16.
    const seen = (name: string, width: number) =>
      Array.from({ length: 3 }, (_, t) =>
        Array.from(feeds[name]!.data.subarray(t * width, (t + 1) * width), Number).filter((b) => b === 0),
      ).map((row) => row.length);
    expect(feeds['bias.prefix']!.dims).toEqual([1, 3, 16]);
    expect(seen('bias.prefix', 16)).toEqual([4, 3, 2]);
    expect(seen('bias.sliding', 7)).toEqual([5, 6, 7]);
  });
});

test('Gemma scales embeddings by the root of the width rounded to float32', async () => {
  const { arch } = await Model.load(loadOracle('gemma2').folder);
  expect(arch.embeddingScale).toBe(Math.fround(Math.sqrt((arch.config as ModelConfig).hiddenSize)));
});
