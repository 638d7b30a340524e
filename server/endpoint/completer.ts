import type { Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import type { Completer } from '../generate/completer.ts';
import type { Completion, GenerateOptions, Request } from '../generate/generate.ts';
import type { Model } from '../model/model.ts';
import { Client } from './client.ts';
import { type Pace, Refusal } from './faults.ts';
import { handshake } from './handshake.ts';
import { type Form, questionBody, readAnswer } from './protocol.ts';
import { Reading } from './reading.ts';
import type { EndpointSettings } from './settings.ts';
import { Vocabulary } from './vocabulary.ts';

export interface ConnectOptions {
  signal: Signal;
  /** Told of a server that keeps failing, and of how it is asked. */
  notice(level: 'info' | 'warning', text: string): void;
  /** Completes what a server that takes prompts only as text cannot be asked exactly. */
  otherwise?: Completer;
  pace?: Pace;
}

/**
 * The model as a server serves it.
 * @param prompt token ids of a prompt, to try the server with
 * @throws InputError where the server cannot be used or serves another model
 */
export async function connect(
  model: Model,
  settings: EndpointSettings,
  prompt: readonly number[],
  { signal, notice, otherwise, pace }: ConnectOptions,
): Promise<Completer> {
  const { tokenizer, config } = model;
  const vocabulary = new Vocabulary(tokenizer, config.vocabSize, config.eosTokenIds);
  const client = new Client(settings, {
    signal,
    warn: (text) => notice('warning', text),
    ...(pace && { pace }),
  });
  const form = await handshake(client, settings.model, vocabulary, prompt);
  const asked = form.prompt === 'ids' ? 'token ids' : 'text, its token ids checked';
  notice('info', `${client.where}: ${settings.model}, prompts as ${asked}`);
  return new EndpointCompleter(model, client, settings.model, vocabulary, form, otherwise ?? null);
}

class EndpointCompleter implements Completer {
  readonly model: Model;
  readonly sharedIds: readonly number[] = [];
  readonly takesKv = false;
  private readonly client: Client;
  private readonly name: string;
  private readonly vocabulary: Vocabulary;
  private readonly form: Form;
  private readonly otherwise: Completer | null;

  constructor(
    model: Model,
    client: Client,
    name: string,
    vocabulary: Vocabulary,
    form: Form,
    otherwise: Completer | null,
  ) {
    this.model = model;
    this.client = client;
    this.name = name;
    this.vocabulary = vocabulary;
    this.form = form;
    this.otherwise = otherwise;
  }

  async complete(requests: readonly Request[], options: GenerateOptions): Promise<Completion[]> {
    const completions = new Array<Completion>(requests.length);
    let tokens = 0;
    const settle = (i: number, completion: Completion) => {
      completions[i] = completion;
      tokens += completion.ids.length;
      options.onDone?.(i, completion);
      options.onTokens?.(tokens);
    };
    const prompts = requests.map(({ ids }) => this.prompt(ids));
    const here = prompts.flatMap((prompt, i) => (prompt === null ? [i] : []));
    const outcomes = await Promise.allSettled(
      prompts.map(async (prompt, i) => {
        if (prompt === null) return;
        const completion = await this.one(prompt, requests[i]!, (ids) => options.stop(ids, i));
        options.signal?.worked?.('served', completion.ids.length);
        settle(i, completion);
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    if (here.length > 0) await this.completeHere(here, requests, options, settle);
    return completions;
  }

  /** What to send for a prompt; null where the server takes text and no text has exactly these tokens. */
  private prompt(ids: readonly number[]): readonly number[] | string | null {
    return this.form.prompt === 'ids' ? ids : this.vocabulary.promptText(ids);
  }

  private async one(
    prompt: readonly number[] | string,
    { sampling, rng, maxTokens }: Request,
    stop: (ids: readonly number[]) => boolean,
  ): Promise<Completion> {
    // The request's own stream decides: not the order in which requests are sent, nor how often.
    const seed = sampling.temperature > 0 ? rng!.uint32() >>> 1 : null;
    const question = { model: this.name, prompt, maxTokens, sampling, seed, stream: true };
    const body = questionBody(this.form, question, this.vocabulary.size);
    try {
      return await this.client.request('completions', body, async (values) => {
        const reading = new Reading(this.vocabulary, maxTokens, stop);
        for await (const value of values) if (reading.take(readAnswer(value))) break;
        return reading.end(this.name);
      });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const remedy =
        'See to the server, or shorten prompt or completions (--max-tokens); finished work is kept.';
      const refused = new InputError(this.client.where, `refuses a request (${error.message})`, remedy);
      this.client.fail(refused);
      throw refused;
    }
  }

  private async completeHere(
    indices: readonly number[],
    requests: readonly Request[],
    options: GenerateOptions,
    settle: (i: number, completion: Completion) => void,
  ): Promise<void> {
    if (!this.otherwise) {
      const what = 'takes prompts only as text, and there is a prompt whose tokens no text has';
      throw new InputError(
        this.client.where,
        what,
        'Use a server that takes token ids, or leave it out here.',
      );
    }
    const { sharedIds } = this.otherwise;
    await this.otherwise.complete(
      indices.map((i) => ({ ...requests[i]!, ids: requests[i]!.ids.slice(sharedIds.length) })),
      {
        ...options,
        stop: (ids, n) => options.stop(ids, indices[n]!),
        onDone: (n, completion) => settle(indices[n]!, completion),
        onTokens: () => undefined,
      },
    );
  }
}
