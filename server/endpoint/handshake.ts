import { InputError } from '../errors.ts';
import { greedy } from '../generate/sampler.ts';
import type { Client } from './client.ts';
import { Fault, Refusal, Unreachable } from './faults.ts';
import { type Answer, FORMS, type Form, questionBody, readAnswer, readModelNames } from './protocol.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Tokens of the trial completion: enough to see that both sides mean the same by an id. */
const TRIAL_TOKENS = 8;

/**
 * Finds out how a server takes prompts and tells tokens, and that it serves this model.
 * @param prompt token ids to try with
 * @throws InputError for another model, another tokenizer, or a server that cannot be used
 */
export async function handshake(
  client: Client,
  model: string,
  vocabulary: Vocabulary,
  prompt: readonly number[],
): Promise<Form> {
  await checkModel(client, model);
  const text = vocabulary.promptText(prompt);
  let refused: Refusal | Fault | undefined;
  for (const form of FORMS) {
    if (form.prompt === 'text' && text === null) continue;
    const question = {
      model,
      prompt: form.prompt === 'ids' ? prompt : text!,
      maxTokens: TRIAL_TOKENS,
      sampling: greedy,
      seed: null,
      stream: false,
    };
    try {
      const answer = await ask(client, questionBody(form, question, vocabulary.size));
      checkTokens(client.where, vocabulary, prompt, answer);
      return { ...form, logProbabilities: form.logProbabilities && answer.logProbabilities !== null };
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Fault)) throw error;
      if (error.status === 404) throw notServed(client, model, error.message);
      if (error instanceof Unreachable) throw ended(client, client.givenUp(error, 1));
      refused ??= error;
    }
  }
  const what = `takes no form of request that is known here (${client.shown(refused?.message ?? '')})`;
  const remedy = 'See to the server; the prompt may be too long for it.';
  throw ended(client, new InputError(client.where, what, remedy));
}

/** Servers that serve one model often answer under any name, so the list is asked first, where there is one. */
async function checkModel(client: Client, model: string): Promise<void> {
  let names: string[] | null;
  try {
    names = await client.request(
      'models',
      null,
      async (values) => readModelNames(await first(values)),
      (fault) => fault instanceof Unreachable,
    );
  } catch (error) {
    if (error instanceof Refusal) return;
    // A server that is not there is not waited for.
    throw error instanceof Fault ? ended(client, client.givenUp(error, 1)) : error;
  }
  if (names === null || names.includes(model)) return;
  const some = names.slice(0, 5).map((name) => JSON.stringify(client.shown(name)));
  const more = names.length > some.length ? ` and ${names.length - some.length} more` : '';
  throw notServed(client, model, `it serves ${some.join(', ') || 'none'}${more}`);
}

function notServed(client: Client, model: string, why: string): InputError {
  const what = `does not serve ${JSON.stringify(model)} (${why})`;
  return ended(client, new InputError(client.where, what, "Give the model's name there (--endpoint-model)."));
}

/** An error after which nothing more is asked of the server. */
function ended(client: Client, error: InputError): InputError {
  client.fail(error);
  return error;
}

/** A failure within the server may come of the form (log-probabilities that it was not set up for), so few are borne. */
async function ask(client: Client, body: object): Promise<Answer> {
  return client.request(
    'completions',
    body,
    async (values) => readAnswer(await first(values)),
    (fault, failures) => fault instanceof Unreachable || (fault.status === 500 && failures >= 2),
  );
}

async function first(values: AsyncIterable<unknown>): Promise<unknown> {
  for await (const value of values) return value;
  throw new Fault('the answer is empty');
}

/** @throws InputError where the server's tokens are others than ours */
function checkTokens(
  where: string,
  vocabulary: Vocabulary,
  prompt: readonly number[],
  { text, ids, tokens, promptIds, promptTokens }: Answer,
): void {
  const differs = promptIds && `${promptIds}` !== `${prompt}`;
  if (differs || (promptTokens !== null && promptTokens !== prompt.length)) {
    const count = promptIds?.length ?? promptTokens;
    throw mismatch(where, `sees ${count} tokens in a prompt that has ${prompt.length} here, or other ones`);
  }
  const known = ids ?? (tokens && vocabulary.idsOf(tokens));
  if (!known) return;
  const strange = known.find((id) => id >= vocabulary.size);
  if (strange !== undefined) throw mismatch(where, `makes the token ${strange} of ${vocabulary.size}`);
  if (!vocabulary.agrees(known, text, true)) {
    const [there, here] = [text, vocabulary.tokenizer.decode(known)].map((one) => JSON.stringify(one));
    throw mismatch(where, `reads its tokens as ${there}, which are ${here} here`);
  }
}

/** The server's tokenizer is another one than the model folder's. */
function mismatch(where: string, what: string): InputError {
  const remedy = 'Serve the model of the folder that --model names, with its own tokenizer.';
  return new InputError(where, `${what}: its tokenizer is not this model's`, remedy);
}
