import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Cancelled } from '../../server/errors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { predict } from '../../server/inspect/prediction.ts';
import { scoreText, type TokenScore, windowSize } from '../../server/inspect/score.ts';
import { Model } from '../../server/model/model.ts';
import { loadOracle } from '../oracle.ts';

const { folder, logits } = loadOracle('llama-tied');
const { ids, values } = logits;
const vocab = 300;
let model: Model;
let runner: Runner;
beforeAll(async () => {
  model = await Model.load(folder);
  runner = await Runner.create(model);
});
afterAll(() => model.release());

/** Straight from PyTorch's logits, all in double precision. */
function exact(row: number, id: number) {
  const line = [...values.data.subarray(row * vocab, (row + 1) * vocab)];
  const sum = line.reduce((total, x) => total + Math.exp(x), 0);
  const p = line.map((x) => Math.exp(x) / sum);
  const order = line.map((_, i) => i).sort((a, b) => line[b]! - line[a]! || a - b);
  return {
    logprob: Math.log(p[id]!),
    rank: order.indexOf(id) + 1,
    entropy: -p.reduce((total, q) => total + q * Math.log(q), 0),
    top: order.map((i) => ({ id: i, logprob: Math.log(p[i]!) })),
  };
}

/** @param first tokens of the oracle's prompt that stand before the scored ones */
function expectExact(tokens: readonly TokenScore[], first: number): void {
  tokens.forEach((token, j) => {
    expect(token.id).toBe(ids[first + j]);
    if (first + j === 0) {
      expect(token).toMatchObject({ logprob: null, rank: null, entropy: null, top: [] });
      return;
    }
    const { logprob, rank, entropy, top } = exact(first + j - 1, token.id);
    expect(Math.abs(token.logprob! - logprob)).toBeLessThan(2e-5);
    expect(token.rank).toBe(rank);
    expect(Math.abs(token.entropy! - entropy)).toBeLessThan(2e-5);
    expect(token.top.map((t) => t.id)).toEqual(top.slice(0, token.top.length).map((t) => t.id));
    token.top.forEach((t, k) => {
      expect(Math.abs(t.logprob - top[k]!.logprob)).toBeLessThan(2e-5);
      expect(t.text).toBe(model.tokenizer.tokenText(t.id));
    });
  });
}

describe('scoreText', () => {
  test('gives what the logits of PyTorch give, whatever the window', async () => {
    for (const window of [1, 7, 49, 256]) {
      const tokens = await scoreText(runner, ids, { topK: 4, window });
      expect(tokens).toHaveLength(ids.length);
      expect(tokens[1]!.top).toHaveLength(4);
      expectExact(tokens, 0);
    }
  });

  test('reads a context, which also predicts the first token', async () => {
    expectExact(await scoreText(runner, ids.slice(1), { context: ids.slice(0, 1), window: 16 }), 1);
    expectExact(await scoreText(runner, ids.slice(20), { context: ids.slice(0, 20), window: 16 }), 20);
  });

  test('goes on from a shared prefix, of one token too', async () => {
    for (const length of [1, 2, 19]) {
      const behind = await Runner.create(model, undefined, ids.slice(0, length));
      expectExact(await scoreText(behind, ids.slice(length), { window: 8 }), length);
      const context = ids.slice(length, length + 3);
      expectExact(await scoreText(behind, ids.slice(length + 3), { window: 8, context }), length + 3);
    }
  });

  test('streams windows in order, from the asked start first', async () => {
    const seen: [number, number][] = [];
    const streamed: TokenScore[] = [];
    const tokens = await scoreText(runner, ids, {
      window: 10,
      start: 25,
      onTokens(from, part) {
        seen.push([from, part.length]);
        part.forEach((token, k) => {
          streamed[from + k] = token;
        });
      },
    });
    expect(seen).toEqual([
      [25, 10],
      [35, 10],
      [45, 5],
      [0, 11],
      [11, 10],
      [21, 4],
    ]);
    expect(streamed).toEqual(tokens);
    expectExact(tokens, 0);
  });

  test('places every token in the text', async () => {
    const text = 'Ann has 3 🍎🍏, 李 has 40.\n';
    const encoded = model.tokenizer.encode(text);
    const tokens = await scoreText(runner, encoded);
    const decoded = model.tokenizer.decode(encoded);
    expect(tokens.map(({ start, end }) => decoded.slice(start, end)).join('')).toBe(decoded);
    expect(tokens.map((t) => t.text)).toEqual(encoded.map((id) => model.tokenizer.tokenText(id)));
  });

  test('holds no more logits at once than the limit', async () => {
    for (const vocabSize of [300, 32_000, 151_936, 262_144, 2 ** 25]) {
      const rows = windowSize(vocabSize);
      expect(rows).toBeGreaterThan(0);
      expect(rows).toBeLessThanOrEqual(256);
      if (rows > 1) expect(rows * vocabSize * 4).toBeLessThanOrEqual(64 * 2 ** 20);
      if (rows > 1 && rows < 256) expect((rows + 1) * vocabSize * 4).toBeGreaterThan(64 * 2 ** 20);
    }
    const run = vi.spyOn(runner, 'run');
    await scoreText(runner, Array(8).fill(ids).flat());
    const results = await Promise.all(run.mock.results.map((r) => r.value));
    run.mockRestore();
    expect(results.map((out) => out.logits.dims)).toEqual([
      [256, vocab],
      [143, vocab],
    ]);
  });

  test('stops between windows and keeps what was streamed', async () => {
    const signal = { aborted: false };
    const seen: number[] = [];
    const scoring = scoreText(runner, ids, {
      window: 10,
      signal,
      onTokens(from) {
        seen.push(from);
        if (from === 11) signal.aborted = true;
      },
    });
    await expect(scoring).rejects.toThrow(Cancelled);
    expect(seen).toEqual([0, 11]);
  });

  test('turns all windows of a text by its whole length under dynamic RoPE', async () => {
    const dynamic = loadOracle('llama-rope-dynamic');
    const other = await Model.load(dynamic.folder);
    const text = dynamic.logits.ids;
    const tokens = await scoreText(await Runner.create(other), text, { window: 9 });
    tokens.slice(1).forEach((token, row) => {
      const line = dynamic.logits.values.data.subarray(row * vocab, (row + 1) * vocab);
      expect(Math.abs(token.logprob! - predict(line, token.id, 0).logprob)).toBeLessThan(2e-5);
    });
    await other.release();
  });

  test('has nothing to say of no text', async () => {
    expect(await scoreText(runner, [])).toEqual([]);
  });
});

describe('predict', () => {
  test('orders equal logits by id', () => {
    const prediction = predict(Float32Array.of(1, 3, 3, 0, 3), 2, 4);
    expect(prediction.rank).toBe(2);
    expect(prediction.top.map((t) => t.id)).toEqual([1, 2, 4, 0]);
    expect(predict(Float32Array.of(1, 3, 3, 0, 3), 0, 0)).toMatchObject({ rank: 4, top: [] });
  });

  test('survives impossible tokens and large logits', () => {
    const { logprob, entropy, top } = predict(Float32Array.of(-Infinity, 2000, 2000), 0, 3);
    expect(logprob).toBe(-Infinity);
    expect(entropy).toBeCloseTo(Math.log(2), 12);
    expect(top[0]!.logprob).toBeCloseTo(-Math.log(2), 12);
  });
});
