import { InputError } from '../../errors.ts';
import { Runner } from '../../generate/forward.ts';
import { eachAttribution } from '../../inspect/attribute.ts';
import { type Component, ComponentSpace } from '../../model/components.ts';
import { readAnyPairs } from '../inputs/pairs.ts';
import { openPatch, type PatchStack } from '../inputs/patch.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

export interface AttributeParams {
  model: ModelRef;
  patch: PatchStack;
  /** File of pairs. */
  pairs: string;
  /** Only the pair at this place, from 0; null for all. */
  pair: number | null;
  /** Also the gradient by every component's gate. */
  components: boolean;
  /** Where the gates stand: gate = 2 x mask; 2 by default (mask 1), 1 for the model as it is. */
  gate?: number;
}

/** A pair's token with what it does to the margin. */
export interface TokenAttribution {
  id: number;
  text: string;
  /** Gradient x embedding of logit[desired] - logit[undesired]. Positive: it pushes toward desired. */
  attribution: number;
}

export interface AttributionEvent {
  event: 'attribution';
  done: number;
  total: number;
  /** Place in the file, from 0. */
  index: number;
  id: string;
  desired: { id: number; text: string };
  undesired: { id: number; text: string };
  /** logit[desired] - logit[undesired] of the model as it is, and with the gates in force (null without components). */
  margin: number;
  gatedMargin: number | null;
  tokens: TokenAttribution[];
  /** Gradient of -(logit[desired] - logit[undesired]) by every component's gate, flat by ComponentSpace. */
  gates: Float32Array | null;
}

export interface AttributeResult {
  pairs: number;
  /** Mean over the pairs of the gates' gradients, most helpful (most negative) first; null without components. */
  components: (Component & { gradient: number })[] | null;
}

export const attribute =
  (models: Models) =>
  (params: AttributeParams, { signal, emit }: JobContext<AttributionEvent>): Promise<AttributeResult> =>
    models.use(params.model, signal, async ({ model }) => {
      const all = await readAnyPairs(model, params.pairs);
      const first = params.pair ?? 0;
      if (first >= all.length) {
        const have = `the file has ${all.length} pairs, so there is no pair ${first + 1}`;
        throw new InputError(params.pairs, have, `Give a number from 1 to ${all.length}.`);
      }
      const pairs = params.pair === null ? all : [all[first]!];
      const runner = await Runner.create(model, await openPatch(model, params.patch));
      const space = new ComponentSpace(model.config);
      const sums = new Float64Array(space.size);
      const token = (id: number) => ({ id, text: model.tokenizer.tokenText(id) });
      let done = 0;
      const options = {
        components: params.components,
        signal,
        ...(params.gate !== undefined && { gate: params.gate }),
      };
      for await (const { pair, margin, inputs, gatedMargin, gates } of eachAttribution(
        runner,
        pairs,
        options,
      )) {
        gates?.forEach((g, i) => {
          sums[i] = sums[i]! + g;
        });
        emit({
          event: 'attribution',
          done: done + 1,
          total: pairs.length,
          index: first + done++,
          id: pair.id,
          desired: token(pair.desired),
          undesired: token(pair.undesired),
          margin,
          gatedMargin,
          tokens: pair.prefix.map((id, i) => ({ ...token(id), attribution: inputs![i]! })),
          gates,
        });
      }
      const components = Array.from(sums, (sum, i) => ({ ...space.at(i), gradient: sum / pairs.length }));
      components.sort((a, b) => a.gradient - b.gradient);
      return { pairs: pairs.length, components: params.components ? components : null };
    });
