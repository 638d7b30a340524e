import type { Pair, Trace } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';

type Tokenizer = Runner['model']['tokenizer'];

/** Ids by way of their text, special tokens left out and put in again. */
function again(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  return tokenizer.encode(tokenizer.decode(ids, { skipSpecialTokens: true }));
}

/**
 * A trace with the ids of its text: the reference code stores texts, and encodes them anew where it looks for pivots.
 * A completion may get other tokens than the model chose, and loses its end-of-text token.
 */
export function reencodedTrace(tokenizer: Tokenizer, trace: Trace): Trace {
  const prompt_ids = again(tokenizer, trace.prompt_ids);
  const whole = again(tokenizer, [...trace.prompt_ids, ...trace.completion_ids]);
  // A token may reach over the end of the prompt: then each is encoded by itself, so that prompts stay equal.
  const apart = prompt_ids.some((id, i) => whole[i] !== id);
  const text = tokenizer.decode(trace.completion_ids, { skipSpecialTokens: true });
  const completion_ids = apart
    ? tokenizer.encode(text, { addSpecialTokens: false })
    : whole.slice(prompt_ids.length);
  return { ...trace, prompt_ids, completion_ids };
}

/** A pair with the ids of its prefix's text: the reference code's pair files hold texts. */
export function reencodedPair(tokenizer: Tokenizer, pair: Pair): Pair {
  return { ...pair, prefix: again(tokenizer, pair.prefix) };
}
