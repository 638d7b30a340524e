import type { Model } from '../model/model.ts';
import type { Runner } from './forward.ts';
import { type Completion, type GenerateOptions, generate, type Request } from './generate.ts';

/** What completes sequences: the model here, or the same model served elsewhere. */
export interface Completer {
  /** The model whose tokens these are. */
  readonly model: Model;
  /** Token ids that every sequence starts with; requests leave them out. */
  readonly sharedIds: readonly number[];
  /** Whether a request's keys and values are of use to it. */
  readonly takesKv: boolean;
  /** @returns completions in the order of the requests; `onDone` tells of each as it ends */
  complete(requests: readonly Request[], options: GenerateOptions): Promise<Completion[]>;
}

/** A server that is to complete in place of the model here. */
export interface Remote {
  /** Requests that it works on at once. */
  concurrency: number;
  /**
   * @param prompt token ids of a prompt, to try it with
   * @param otherwise completes what cannot be asked of it exactly
   * @throws InputError where it cannot be used, or serves another model
   */
  connect(prompt: readonly number[], otherwise?: Completer): Promise<Completer>;
}

/** A runner completes with the model that is loaded here; what is a completer already stays it. */
export function completerOf(source: Runner | Completer): Completer {
  if ('complete' in source) return source;
  return {
    model: source.model,
    sharedIds: source.sharedIds,
    takesKv: true,
    complete: (requests, options) => generate(source, requests, options),
  };
}
