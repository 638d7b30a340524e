/** Decoding: same bytes for the same call, no trace of how sequences were batched, and exact sampling. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Runner } from '../../server/generate/forward.ts';
import { generate } from '../../server/generate/generate.ts';
import { greedy, type Sampling, sampleToken } from '../../server/generate/sampler.ts';
import { Model } from '../../server/model/model.ts';
import { Rng } from '../../server/random.ts';
import { loadOracle, oracleNames } from '../oracle.ts';

describe.each(oracleNames)('greedy decoding of %s', (name) => {
  const { folder, greedy: expected } = loadOracle(name);

  test('is the same in every batch size and order', async () => {
    const model = await Model.load(folder);
    const runner = await Runner.create(model);
    const { prompts, ids } = expected;
    for (const batch of [1, 2, 4, 5, 5]) {
      const order = batch % 2 === 0 ? [4, 2, 0, 3, 1] : [0, 1, 2, 3, 4];
      // Ragged ends, so that slots are refilled at different steps.
      const requests = order.map((i) => ({ ids: prompts[i]!, sampling: greedy, maxTokens: 64 - 11 * i }));
      const completions = await generate(runner, requests, { batch, stop: () => false });
      order.forEach((i, at) => {
        expect(completions[at]).toEqual({ ids: ids[i]!.slice(0, 64 - 11 * i), truncated: true });
      });
    }
    await model.release();
  });
});

test('a long prompt under dynamic RoPE is read as one pass reads it', async () => {
  const { folder, logits } = loadOracle('llama-rope-dynamic');
  const model = await Model.load(folder);
  const runner = await Runner.create(model);
  // Longer than the trained 24 positions, where a prefill that forgets the last token turns all others otherwise.
  const prompts = Array.from({ length: 13 }, (_, from) =>
    [27, 30, 32].map((length) => logits.ids.slice(from, from + length)),
  ).flat();
  const whole = await runner.forward(prompts.map((ids) => ({ ids, rows: [ids.length - 1] })));
  const completions = await generate(
    runner,
    prompts.map((ids) => ({ ids, sampling: greedy, maxTokens: 1 })),
    { batch: 8, stop: () => false },
  );
  expect(completions.map((c) => c.ids)).toEqual(whole.map((w) => w.argmax));
  await model.release();
});

describe('sampled decoding', () => {
  const { folder, greedy: expected } = loadOracle('llama-tied');
  const sampling: Sampling = { temperature: 1, topP: 0.95, topK: 40 };
  let model: Model;
  let runner: Runner;
  beforeAll(async () => {
    model = await Model.load(folder);
    runner = await Runner.create(model);
  });
  afterAll(() => model.release());

  const draw = async (seed: number, batch: number) => {
    const completions = await generate(
      runner,
      expected.prompts.map((ids, i) => ({
        ids,
        sampling,
        rng: new Rng(seed).fork(`prompt ${i}`),
        maxTokens: 40,
      })),
      { batch, stop: () => false },
    );
    return completions.map((c) => c.ids);
  };

  test('repeats with its seed, in any batch, and differs with another', async () => {
    const first = await draw(7, 3);
    expect(await draw(7, 3)).toEqual(first);
    expect(await draw(7, 1)).toEqual(first);
    const other = await draw(8, 3);
    for (let i = 0; i < first.length; i++) expect(other[i]).not.toEqual(first[i]);
  });

  test('stops at what it is told to stop at', async () => {
    const ids = expected.ids[0]!;
    const last = ids[5]!;
    const [completion] = await generate(
      runner,
      [{ ids: expected.prompts[0]!, sampling: greedy, maxTokens: 64 }],
      { batch: 1, stop: (made) => made.at(-1) === last },
    );
    expect(completion).toEqual({ ids: ids.slice(0, ids.indexOf(last) + 1), truncated: false });
  });
});

describe('sampleToken', () => {
  const logits = Float32Array.of(1.5, -2, 0.3, 2.2, 0.3, -0.7, 1.1, -4, 0.3, 2.0);

  /** transformers' warpers one after the other: temperature, top-k, top-p over what top-k left, softmax. */
  function exact({ temperature, topP, topK }: Sampling): number[] {
    const scaled = [...logits].map((x) => x / temperature);
    const order = scaled.map((_, i) => i).sort((a, b) => scaled[b]! - scaled[a]! || a - b);
    const kept = new Set(topK > 0 ? order.slice(0, topK) : order);
    const softmax = (set: ReadonlySet<number>) => {
      const total = [...set].reduce((sum, i) => sum + Math.exp(scaled[i]!), 0);
      return scaled.map((x, i) => (set.has(i) ? Math.exp(x) / total : 0));
    };
    const p = softmax(kept);
    // Ascending: a token goes while it and all less probable ones weigh at most 1 - topP. The best always stays.
    let tail = 0;
    for (const i of order.filter((id) => kept.has(id)).reverse()) {
      tail += p[i]!;
      if (tail <= 1 - topP && kept.size > 1) kept.delete(i);
    }
    return softmax(kept);
  }

  test.each<Sampling>([
    { temperature: 1, topP: 1, topK: 0 },
    { temperature: 0.8, topP: 1, topK: 0 },
    { temperature: 1.2, topP: 1, topK: 4 },
    { temperature: 1, topP: 1, topK: 6 },
    { temperature: 1, topP: 0.9, topK: 0 },
    { temperature: 1.2, topP: 0.5, topK: 0 },
    { temperature: 0.7, topP: 0.8, topK: 5 },
    { temperature: 1, topP: 0.01, topK: 0 },
    { temperature: 1, topP: 1, topK: 1 },
  ])('draws from the exact distribution: %j', (sampling) => {
    // A draw is a function of one uniform number: a fine even grid of them measures every probability.
    const grid = 20_000;
    const counts = new Float64Array(logits.length);
    for (let i = 0; i < grid; i++) {
      const rng = { float: () => (i + 0.5) / grid } as unknown as Rng;
      counts[sampleToken(logits, sampling, rng)]! += 1;
    }
    exact(sampling).forEach((p, id) => {
      if (p === 0) expect(counts[id], `token ${id}`).toBe(0);
      else expect(Math.abs(counts[id]! / grid - p), `token ${id}`).toBeLessThanOrEqual(1 / grid);
    });
  });

  test('with a seeded stream, frequencies approach the probabilities', () => {
    const sampling: Sampling = { temperature: 0.9, topP: 0.85, topK: 0 };
    const rng = new Rng('frequencies');
    const n = 20_000;
    const counts = new Float64Array(logits.length);
    for (let i = 0; i < n; i++) counts[sampleToken(logits, sampling, rng)]! += 1;
    const p = exact(sampling);
    const chi2 = p.reduce((sum, q, id) => (q > 0 ? sum + (counts[id]! - n * q) ** 2 / (n * q) : sum), 0);
    // The 99.9 % point of chi-square with 9 degrees of freedom; fewer are left here.
    expect(chi2).toBeLessThan(27.9);
  });

  test('survives a token of probability 0 and a number next to 1', () => {
    const almostOne = { float: () => 1 - 2 ** -53 } as unknown as Rng;
    const hard = Float32Array.of(0, Number.NEGATIVE_INFINITY, 1, Number.NEGATIVE_INFINITY);
    expect(sampleToken(hard, { temperature: 1, topP: 1, topK: 0 }, almostOne)).toBe(2);
  });
});
