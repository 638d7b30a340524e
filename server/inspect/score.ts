import { breathe, neverAborted, type Signal } from '../control.ts';
import { Runner } from '../generate/forward.ts';
import { pastFeeds } from '../generate/kv.ts';
import { blockFeeds } from '../model/batch.ts';
import type { Feeds, Value } from '../onnx/session.ts';
import { i64 } from '../onnx/session.ts';
import { type Alternative, type Prediction, predict } from './prediction.ts';

/** Logits of one run, at most: rows of a whole vocabulary grow faster than anything else here. */
const LOGIT_BYTES = 64 * 2 ** 20;
/** Tokens of one run, at most. More rows make the products hardly faster and what an editor shows arrive later. */
const WINDOW_TOKENS = 256;

/** One token of a text and what the model thought of it. */
export interface TokenScore {
  id: number;
  /** For display, by the tokenizer's `tokenText`. */
  text: string;
  /** UTF-16 offsets into the decoded ids. */
  start: number;
  end: number;
  /** ln p(id | everything before); null where nothing stands before the token. So are the next two. */
  logprob: number | null;
  /** 1: the most probable token. Of equal logits the lower id is ahead. */
  rank: number | null;
  /** Of the distribution that the token was drawn from, in nats. */
  entropy: number | null;
  /** The most probable tokens, best first. */
  top: (Alternative & { text: string })[];
}

export interface ScoreOptions {
  /** Alternatives per token. */
  topK?: number;
  /** Token ids between the runner's shared prefix and the text that are read but not scored: bos, a prompt. */
  context?: readonly number[];
  /** Report from this token to the end first, then from 0 up to it (what an editor shows comes first). */
  start?: number;
  /** Tokens of one run, at most. */
  window?: number;
  signal?: Signal;
  /** Scores of tokens from, from + 1, ... as they are made. */
  onTokens?(from: number, tokens: TokenScore[]): void;
}

/** Tokens of one run: `window` at most, and no more than whose logits stay within 64 MB, but one. */
export function windowSize(vocabSize: number, window = WINDOW_TOKENS): number {
  return Math.max(1, Math.min(window, Math.floor(LOGIT_BYTES / (4 * vocabSize))));
}

/**
 * Score every token of a text given all tokens before it, by teacher forcing in windows over cached keys and values.
 * The first token has a prediction only behind a shared prefix or a context. Tokens before `start` cost a second
 * forward pass, since their logits are not kept for memory's sake.
 * @param ids the text, after the runner's shared prefix
 * @throws Cancelled when `signal` fires
 */
export async function scoreText(
  runner: Runner,
  ids: readonly number[],
  {
    topK = 5,
    context = [],
    start = 0,
    window = WINDOW_TOKENS,
    signal = neverAborted,
    onTokens,
  }: ScoreOptions = {},
): Promise<TokenScore[]> {
  const { tokenizer, config } = runner.model;
  const { spans } = tokenizer.tokenSpans(ids);
  const scores = new Array<TokenScore>(ids.length);
  const size = windowSize(config.vocabSize, window);
  const score = (j: number, prediction: Prediction | null): TokenScore => ({
    id: ids[j]!,
    text: tokenizer.tokenText(ids[j]!),
    ...spans[j]!,
    logprob: prediction?.logprob ?? null,
    rank: prediction?.rank ?? null,
    entropy: prediction?.entropy ?? null,
    top: prediction?.top.map((one) => ({ ...one, text: tokenizer.tokenText(one.id) })) ?? [],
  });
  const report = (from: number, tokens: TokenScore[]) => {
    tokens.forEach((token, k) => {
      scores[from + k] = token;
    });
    onTokens?.(from, tokens);
  };

  const all = [...context, ...ids];
  const scoreRange = async (from: number, to: number) => {
    if (from >= to) return;
    let first = from;
    // The first token, which the text does not predict: told with those after it.
    let before: TokenScore[] = [];
    if (first === 0 && context.length === 0) {
      const logits = await sharedPrefixLogits(runner, signal);
      before = [score(0, logits && predict(logits, ids[0]!, topK))];
      first = 1;
    }
    // Token j is predicted by the row of the token before it.
    const shift = 1 - context.length;
    for await (const { row, logits } of rowLogits(runner, all, first - shift, to - shift, size, signal)) {
      const count = logits.length / config.vocabSize;
      const tokens = Array.from({ length: count }, (_, k) => {
        const j = row + k + shift;
        const line = logits.subarray(k * config.vocabSize, (k + 1) * config.vocabSize);
        return score(j, predict(line, ids[j]!, topK));
      });
      report(row + shift - before.length, [...before, ...tokens]);
      before = [];
    }
    if (before.length > 0) report(0, before);
  };
  const begin = Math.min(Math.max(0, start), ids.length);
  await scoreRange(begin, ids.length);
  await scoreRange(0, begin);
  return scores;
}

/** Next-token logits [rows, V] of the rows from <= row < to of `ids`, in windows over the keys and values so far. */
async function* rowLogits(
  runner: Runner,
  ids: readonly number[],
  from: number,
  to: number,
  size: number,
  signal: Signal,
): AsyncGenerator<{ row: number; logits: Float32Array }> {
  if (from >= to) return;
  const { model } = runner;
  const offset = runner.sharedIds.length;
  const layerNames = Array.from({ length: model.config.numLayers }, (_, l) => ({ k: `k.${l}`, v: `v.${l}` }));
  const cache: Feeds = {};
  for (let past = 0, end = 0; past < to; past = end) {
    await breathe(signal);
    end = Math.min(past + size, past < from ? from : to);
    const row = {
      ids: ids.slice(past, end),
      offset: offset + past,
      cached: past,
      total: offset + ids.length,
    };
    const length = end - past;
    const wanted = past >= from;
    const out = await runner.run(past > 0, {
      ...blockFeeds(model, [row], { length, past, align: 'left' }).feeds,
      ...cache,
      rows: i64(wanted ? row.ids.map((_, i) => i) : [0]),
    });
    for (const { k, v } of end < to ? layerNames : []) {
      cache[`past.${k}`] = extended(cache[`past.${k}`], out[k]!);
      cache[`past.${v}`] = extended(cache[`past.${v}`], out[v]!);
    }
    if (wanted) yield { row: past, logits: out.logits!.data as Float32Array };
  }
}

/** Cached keys or values [Hkv, 1, P, headDim] with those of further tokens behind them. */
function extended(past: Value | undefined, added: Value): Value {
  const [heads, , count, width] = added.dims as [number, number, number, number];
  const before = past?.dims[2] ?? 0;
  const data = new Float32Array(heads * (before + count) * width);
  for (let h = 0; h < heads; h++) {
    const at = h * (before + count) * width;
    if (past)
      data.set((past.data as Float32Array).subarray(h * before * width, (h + 1) * before * width), at);
    data.set(
      (added.data as Float32Array).subarray(h * count * width, (h + 1) * count * width),
      at + before * width,
    );
  }
  return { data, dims: [heads, 1, before + count, width] };
}

/** Next-token logits [V] behind the runner's shared prefix, from its last token once more; null without a prefix. */
async function sharedPrefixLogits(runner: Runner, signal: Signal): Promise<Float32Array | null> {
  const { model, overlay, shared, sharedIds } = runner;
  if (!shared) return null;
  await breathe(signal);
  const before = shared.length - 1;
  // A cache of no columns is not fed: one that nothing sees stands in.
  const past = Math.max(1, before);
  const alone = await Runner.create(model, overlay);
  const out = await alone.run(true, {
    ...blockFeeds(model, [{ ids: sharedIds.slice(-1), offset: before, cached: before }], {
      length: 1,
      past,
      align: 'right',
    }).feeds,
    ...pastFeeds(model.config, [{ block: shared, length: before }], past),
    rows: i64([0]),
  });
  return out.logits!.data as Float32Array;
}
