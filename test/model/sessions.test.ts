/** Sessions of a large checkpoint, each of which may copy it: how many there are, and that letting go of them changes nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { expectedTensors, readConfig } from '../../server/checkpoint/config.ts';
import { writeSafetensors } from '../../server/checkpoint/safetensors-write.ts';
import { neverAborted } from '../../server/control.ts';
import type { Pair } from '../../server/data/records.ts';
import { groupByLength, Runner } from '../../server/generate/forward.ts';
import { generate } from '../../server/generate/generate.ts';
import { greedy } from '../../server/generate/sampler.ts';
import { fisherScores } from '../../server/mask/fisher.ts';
import { type Circuit, ComponentSpace, circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay, type Overlay } from '../../server/model/overlay.ts';
import { logitRows, trainingRows } from '../../server/model/sizes.ts';
import { PairLoss } from '../../server/optimize/pair-loss.ts';
import { TextLoss } from '../../server/optimize/text-loss.ts';
import { Rng } from '../../server/random.ts';
import { loadOracle } from '../oracle.ts';

const count = vi.hoisted(() => ({ made: 0, live: 0, most: 0 }));

vi.mock('../../server/onnx/session.ts', async (original) => {
  const real = await original<typeof import('../../server/onnx/session.ts')>();
  const createSession: typeof real.createSession = async (...args) => {
    const session = await real.createSession(...args);
    count.made++;
    count.live++;
    count.most = Math.max(count.most, count.live);
    return {
      ...session,
      release: () => {
        count.live--;
        return session.release();
      },
    };
  };
  return { ...real, createSession };
});

const folder = mkdtempSync(join(tmpdir(), 'cca-sessions-'));

/** A model in 16 bits that does not count as small: 76 MB. */
beforeAll(() => {
  const config = {
    model_type: 'llama',
    vocab_size: 400,
    hidden_size: 512,
    intermediate_size: 2304,
    num_hidden_layers: 9,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    head_dim: 64,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const tokenizer = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, added_tokens: [] };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const rng = new Rng(1);
  const tensors = expectedTensors(readConfig(folder)).map(({ name, shape }) => {
    const bits = new Uint16Array(shape.reduce((a, b) => a * b, 1));
    // Norms are 1; of the others a random sign and mantissa, with sizes from 1/32 to 1/16.
    for (let i = 0; i < bits.length; i++)
      bits[i] = shape.length === 1 ? 0x3f80 : 0x3d00 | (rng.uint32() & 0x807f);
    return { name, dtype: 'BF16' as const, shape, data: new Uint8Array(bits.buffer) };
  });
  writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
});

afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => Object.assign(count, { made: 0, live: 0, most: 0 }));

const ids = (from: number, length = 12) => Array.from({ length }, (_, i) => (7 * i + from) % 400);
const pairs = [1, 2, 3].map(
  (i): Pair => ({
    id: `${i}`,
    prefix: ids(i),
    desired: i,
    undesired: i + 9,
    method: 'human',
    status: 'auto',
  }),
);
const signal = neverAborted;

describe('sessions of a model that is not small', () => {
  it('are made anew with the same results after they made room, and not for a decoded token', async () => {
    const model = await Model.load(folder);
    const runner = await Runner.create(model);
    const request = { ids: ids(1), sampling: greedy, maxTokens: 6 };
    const run = async () => (await generate(runner, [request], { batch: 1, stop: () => false }))[0]!.ids;
    const before = await run();
    expect(await run()).toEqual(before);
    expect(count).toEqual({ made: 1, live: 1, most: 1 });
    await model.makeRoom();
    expect(count.live).toBe(0);
    expect(await run()).toEqual(before);
    expect(count).toEqual({ made: 2, live: 1, most: 1 });
    await model.release();
    expect(count.live).toBe(0);
  });

  it('are one at a time where components are chosen by Fisher information, with the same scores in lean mode', async () => {
    const scores = async (lean: boolean) => {
      const model = await Model.load(folder, { lean });
      const runner = await Runner.create(model);
      const made = await fisherScores(
        runner,
        pairs,
        [ids(5, 9), ids(6, 11)],
        { eps: 1e-3, kinds: ['q', 'mlp'] },
        { plain: runner, rng: new Rng(3), signal },
      );
      const { most } = count;
      await model.release();
      return { made, most };
    };
    const full = await scores(false);
    expect(full.most).toBe(1);
    const lean = await scores(true);
    expect(full.made.some((score) => score > 0)).toBe(true);
    // The same products of the same numbers, in the same order.
    expect(lean.made).toEqual(full.made);
  });

  it('take turns between two losses without being made again', async () => {
    const model = await Model.load(folder);
    const runner = await Runner.create(model);
    const space = new ComponentSpace(model.config);
    const circuit: Circuit = space.circuit((i) => i % 1000 === 0);
    const overlay: Overlay = { ...noOverlay, deltas: circuitDeltas(model.arch, circuit, 'up') };
    const loss = await PairLoss.create(runner, 'softplus', { kind: 'overlay' }, overlay);
    const text = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay' }, overlay);
    const item = { ids: ids(2), rows: [3, 4], share: 0.5 };
    for (let step = 0; step < 3; step++) {
      await loss.run(pairs, { overlay, signal });
      await text.run([item], [{ kind: 'crossEntropy', labels: [1, 2] }], { overlay, signal });
    }
    expect(count).toEqual({ made: 2, live: 2, most: 2 });
    await model.release();
  });

  it('are three at most, and none is let go while it runs', async () => {
    const model = await Model.load(folder);
    const wanted = [0, 1, 2, 3, 4].map((layer) => {
      const circuit = new ComponentSpace(model.config).circuit((i) => i === layer);
      const q = Array.from({ length: 9 }, (_, l) => (l === layer ? [0] : []));
      const none = circuit.k.map(() => []);
      return { ...noOverlay, deltas: circuitDeltas(model.arch, { q, k: none, v: none, mlp: none }, 'up') };
    });
    const argmax = async (overlay: Overlay) => {
      const runner = await Runner.create(model, overlay);
      return (await runner.forward([{ ids: ids(3), rows: [11] }]))[0]!.argmax;
    };
    const expected = [];
    for (const overlay of wanted) expected.push(await argmax(overlay));
    expect(count).toEqual({ made: 5, live: 3, most: 3 });
    expect(await Promise.all(wanted.map(argmax))).toEqual(expected);
    await model.release();
    expect(count.live).toBe(0);
  });
});

describe.each(['llama-bf16', 'llama-f16'] as const)('lean mode on %s', (name) => {
  it('computes the same bits from weights that stay in 16 bits', async () => {
    const { folder: fixture, logits } = loadOracle(name);
    const run = async (lean: boolean) => {
      const model = await Model.load(fixture, { lean });
      const runner = await Runner.create(model);
      const [forwarded] = await runner.forward([{ ids: logits.ids, rows: logits.ids.map((_, t) => t) }]);
      const tensors = ['self_attn.q_proj', 'mlp.up_proj'].map((part) => `model.layers.1.${part}.weight`);
      const loss = await PairLoss.create(runner, 'margin', { kind: 'matrices', tensors });
      const own = pairs.map((pair) => ({ ...pair, prefix: logits.ids.slice(0, 9) }));
      const { gradients } = await loss.run(own, { signal });
      await model.release();
      return { logits: forwarded!.logits, gradients };
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

describe('blocks', () => {
  it('are bounded by tokens, by the rows that are wanted and by sequences', () => {
    const lengths = [4, 4, 4, 4];
    expect(groupByLength(lengths, 8)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(groupByLength(lengths, 100, { wanted: [1, 1, 1, 5], rows: 3 })).toEqual([[0, 1, 2], [3]]);
    expect(groupByLength(lengths, 100, { sequences: 3 })).toEqual([[0, 1, 2], [3]]);
    expect(groupByLength([50], 8, { wanted: [50], rows: 3 })).toEqual([[0]]);
  });

  it('are as many rows as ever for small models, and fewer for large vocabularies and deep models', () => {
    const { config } = openCheckpoint(loadOracle('llama-tied').folder);
    expect(logitRows(2048, 32_000)).toBe(2048);
    expect(logitRows(2048, 256_000)).toBe(262);
    expect(trainingRows(2048, config)).toBe(2048);
    expect(
      trainingRows(2048, { ...config, numLayers: 28, hiddenSize: 1536, intermediateSize: 8960 }),
    ).toBeLessThan(512);
  });
});
