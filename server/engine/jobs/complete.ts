import { extractAnswer } from '../../data/answers.ts';
import { InputError } from '../../errors.ts';
import { Runner } from '../../generate/forward.ts';
import { generate } from '../../generate/generate.ts';
import { greedy } from '../../generate/sampler.ts';
import { Stopper, type StopRule } from '../../generate/stop.ts';
import { openPatch, type PatchStack } from '../inputs/patch.ts';
import { checkIds } from '../inputs/token-ids.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

/** A sequence to go on from. */
export interface PrefixRef {
  /** Token ids, at least one. */
  ids: readonly number[];
  /** How many of them are the prompt; what follows already belongs to the completion. */
  prompt: number;
}

export interface CompleteParams {
  model: ModelRef;
  patch: PatchStack;
  prefixes: readonly PrefixRef[];
  /** Tokens of a completion at most, those in its prefix included. */
  maxTokens: number;
  stop: StopRule;
}

/** Tokens made so far, over all prefixes. */
export interface CompleteEvent {
  event: 'tokens';
  tokens: number;
}

export interface Completed {
  /** The whole completion, from the prompt's end on, cut where it stops. */
  ids: number[];
  text: string;
  /** null: no number in it. */
  answer: number | null;
  /** Ended at the token limit and not at a stop. */
  truncated: boolean;
}

/** Completes prefixes greedily, side by side. */
export const complete =
  (models: Models) =>
  (params: CompleteParams, { signal, emit }: JobContext<CompleteEvent>): Promise<Completed[]> =>
    models.use(params.model, signal, async ({ model }) => {
      const { prefixes, maxTokens } = params;
      for (const { ids, prompt } of prefixes) {
        checkIds(model, 'the prefix', ids);
        if (ids.length > 0 && prompt > 0 && prompt <= ids.length) continue;
        throw new InputError('the prefix', 'has no prompt', 'Give at least one token to go on from.');
      }
      const runner = await Runner.create(model, await openPatch(model, params.patch));
      const stopper = new Stopper(model.tokenizer, model.config.eosTokenIds, params.stop);
      const heads = prefixes.map(({ ids, prompt }) => ids.slice(prompt));
      // A prefix that has ended, or reached the limit, has nothing to complete.
      const open = heads.flatMap((head, i) =>
        (head.length > 0 && stopper.isOver(head)) || head.length >= maxTokens ? [] : [i],
      );
      const made = await generate(
        runner,
        open.map((i) => ({
          ids: prefixes[i]!.ids,
          sampling: greedy,
          maxTokens: maxTokens - heads[i]!.length,
        })),
        {
          batch: Math.max(1, open.length),
          signal,
          stop: (ids, request) => stopper.isOver([...heads[open[request]!]!, ...ids]),
          onTokens: (tokens) => emit({ event: 'tokens', tokens }),
        },
      );
      return heads.map((head, i) => {
        const own = made[open.indexOf(i)];
        const ids = stopper.trim([...head, ...(own?.ids ?? [])]);
        const text = stopper.text(ids);
        const truncated = own ? own.truncated : !stopper.isOver(head);
        return { ids, text, answer: extractAnswer(text), truncated };
      });
    });
