import { InputError } from '../../errors.ts';
import { Runner } from '../../generate/forward.ts';
import { scoreText, type TokenScore } from '../../inspect/score.ts';
import { openPatch, type PatchStack } from '../inputs/patch.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

export interface ScoreParams {
  model: ModelRef;
  patch: PatchStack;
  /** A text, or the token ids of one (a trace's, which are never made from text again). */
  text: string | readonly number[];
  /** Token ids before the text that are read and not scored; the tokenizer's own (bos) for a text. */
  context?: readonly number[];
  /** Alternatives per token. */
  topK: number;
  /** Token that is scored first, with those after it. */
  start?: number;
}

/** Scores of tokens `from`, `from` + 1, ... as they are made. */
export interface ScoreEvent {
  event: 'tokens';
  from: number;
  tokens: TokenScore[];
  done: number;
  total: number;
}

export interface ScoreResult {
  tokens: TokenScore[];
  /** Sum of the log-probabilities that there are, in nats, and their count. */
  logprob: number;
  scored: number;
}

export const score =
  (models: Models) =>
  (params: ScoreParams, { signal, emit }: JobContext<ScoreEvent>): Promise<ScoreResult> =>
    models.use(params.model, signal, async ({ model }) => {
      const { ids, before } =
        typeof params.text === 'string'
          ? encode(model.tokenizer, params.text)
          : { ids: params.text, before: [] };
      if (ids.length === 0)
        throw new InputError('the text', 'has no tokens', 'Give a text that is not empty.');
      const runner = await Runner.create(model, await openPatch(model, params.patch));
      let done = 0;
      const tokens = await scoreText(runner, ids, {
        topK: params.topK,
        context: params.context ?? before,
        start: params.start ?? 0,
        signal,
        onTokens: (from, part) => {
          done += part.length;
          emit({ event: 'tokens', from, tokens: part, done, total: ids.length });
        },
      });
      const logprobs = tokens.flatMap(({ logprob }) => (logprob === null ? [] : [logprob]));
      return { tokens, logprob: logprobs.reduce((a, b) => a + b, 0), scored: logprobs.length };
    });

/** A text's ids without special tokens, and those that the tokenizer puts before them. */
function encode(
  tokenizer: { encode(text: string, options?: { addSpecialTokens?: boolean }): number[] },
  text: string,
): { ids: number[]; before: number[] } {
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const whole = tokenizer.encode(text);
  const at = Array.from({ length: whole.length - ids.length + 1 }, (_, i) => i).find((i) =>
    ids.every((id, k) => whole[i + k] === id),
  );
  // A tokenizer may join the text with what stands before it: then all of it is the text.
  return at === undefined ? { ids: whole, before: [] } : { ids, before: whole.slice(0, at) };
}
