/** The completions protocol: what is asked, and the shapes in which servers answer. */
import type { Sampling } from '../generate/sampler.ts';
import { Fault } from './faults.ts';

/** How a server wants to be asked; found out by asking. */
export interface Form {
  /** Prompts as token ids, or as text where it takes no other. */
  prompt: 'ids' | 'text';
  /** Whether it takes fields that OpenAI's own protocol does not have. */
  extended: boolean;
  /** Whether it tells log-probabilities. */
  logProbabilities: boolean;
}

/** From the most exact to the least. */
export const FORMS: readonly Form[] = [
  { prompt: 'ids', extended: true, logProbabilities: true },
  { prompt: 'ids', extended: true, logProbabilities: false },
  { prompt: 'ids', extended: false, logProbabilities: true },
  { prompt: 'ids', extended: false, logProbabilities: false },
  { prompt: 'text', extended: true, logProbabilities: true },
  { prompt: 'text', extended: true, logProbabilities: false },
  { prompt: 'text', extended: false, logProbabilities: true },
  { prompt: 'text', extended: false, logProbabilities: false },
];

export interface Question {
  model: string;
  prompt: readonly number[] | string;
  maxTokens: number;
  sampling: Sampling;
  /** Null for greedy. */
  seed: number | null;
  stream: boolean;
}

/**
 * Body of POST /completions. Servers fill in what is not said from the model's generation_config.json or from settings
 * of their own, so everything that changes the distribution is said.
 */
export function questionBody(form: Form, question: Question, vocab: number): Record<string, unknown> {
  const { model, prompt, maxTokens, sampling, seed, stream } = question;
  return {
    model,
    prompt,
    max_tokens: maxTokens,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    presence_penalty: 0,
    frequency_penalty: 0,
    ...(seed !== null && { seed }),
    stream,
    ...(form.logProbabilities && { logprobs: 1 }),
    ...(form.extended && {
      ...(stream && { stream_options: { include_usage: true } }),
      // All tokens: what stands for that (0, -1) differs from server to server.
      top_k: sampling.topK > 0 ? sampling.topK : vocab,
      min_p: 0,
      // vLLM and SGLang; llama.cpp.
      repetition_penalty: 1,
      repeat_penalty: 1,
      // vLLM, as lists and as names in the log-probabilities; llama.cpp.
      return_token_ids: true,
      return_tokens_as_token_ids: true,
      return_tokens: true,
    }),
  };
}

/** A piece of an answer, or all of it. */
export interface Answer {
  text: string;
  /** Token ids; null where it tells none. */
  ids: number[] | null;
  /** Texts of the tokens; null where it tells none. */
  tokens: string[] | null;
  logProbabilities: (number | null)[] | null;
  /** Why it ended; null while it goes on. */
  finish: string | null;
  /** The token that ended it. */
  stopToken: number | null;
  promptIds: number[] | null;
  promptTokens: number | null;
  completionTokens: number | null;
}

/** @throws Fault for what is no answer, or says that generating failed */
export function readAnswer(value: unknown): Answer {
  const answer = record(value);
  if (!answer) throw new Fault('the answer is not an object');
  if (answer.error) {
    const { message } = record(answer.error) ?? {};
    throw new Fault(`the server failed: ${String(message ?? answer.error)}`);
  }
  const usage = record(answer.usage);
  // The last piece of a stream has the usage and no choice.
  const choice = Array.isArray(answer.choices) ? record(answer.choices[0]) : null;
  if (!choice && !usage) throw new Fault('the answer has no choices');
  const { text, finish_reason: finish, stop_reason: stopReason } = choice ?? {};
  if (choice && typeof text !== 'string') throw new Fault('the answer has no text');
  const log = record(choice?.logprobs);
  const listed = log ? tokensOf(log) : null;
  const named = [choice?.token_ids, choice?.response_token_ids, choice?.tokens, answer.tokens];
  return {
    text: typeof text === 'string' ? text : '',
    ids: named.map(integers).find((ids) => ids !== null) ?? listed?.ids ?? null,
    tokens: listed?.tokens ?? null,
    logProbabilities: listed?.logProbabilities ?? null,
    finish: typeof finish === 'string' ? finish : null,
    stopToken: Number.isInteger(stopReason) ? (stopReason as number) : null,
    promptIds: integers(choice?.prompt_token_ids) ?? integers(answer.prompt_token_ids),
    promptTokens: integer(usage?.prompt_tokens),
    completionTokens: integer(usage?.completion_tokens),
  };
}

/** Tokens of the log-probabilities: OpenAI's parallel lists (vLLM: `token_id:17`), or llama.cpp's list of objects. */
function tokensOf(log: Record<string, unknown>) {
  if (Array.isArray(log.content)) {
    const entries = log.content.map((entry) => record(entry) ?? {});
    return {
      ids: integers(entries.map(({ id }) => id)),
      tokens: entries.map(({ token }) => String(token)),
      logProbabilities: entries.map(({ logprob }) => finite(logprob)),
    };
  }
  if (!Array.isArray(log.tokens)) return null;
  const tokens = log.tokens.map(String);
  const ids = tokens.map((token) => /^token_id:(\d+)$/.exec(token)?.[1]);
  return {
    ids: integers(ids.map((id) => (id === undefined ? null : Number(id)))),
    tokens,
    logProbabilities: Array.isArray(log.token_logprobs) ? log.token_logprobs.map(finite) : null,
  };
}

/** Names of GET /models; null where it is something else. */
export function readModelNames(value: unknown): string[] | null {
  const data = record(value)?.data;
  if (!Array.isArray(data)) return null;
  return data.map((entry) => record(entry)?.id).filter((id) => typeof id === 'string');
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

const integer = (value: unknown): number | null => (Number.isSafeInteger(value) ? (value as number) : null);
const finite = (value: unknown): number | null => (Number.isFinite(value) ? (value as number) : null);

/** A list of at least one integer, and of nothing else. */
function integers(value: unknown): number[] | null {
  return Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => Number.isSafeInteger(one) && one >= 0)
    ? (value as number[])
    : null;
}
