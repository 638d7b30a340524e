import type { Pair } from '../../data/records.ts';
import { Runner } from '../../generate/forward.ts';
import { attributePairs } from '../../inspect/attribute.ts';
import { openPatch, type PatchStack } from '../inputs/patch.ts';
import { checkIds } from '../inputs/token-ids.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

export interface AttributePivotParams {
  model: ModelRef;
  patch: PatchStack;
  /** Token ids before the pivot, at least one. */
  prefix: readonly number[];
  desired: number;
  undesired: number;
  /** Also the gradient by every component's gate. */
  components: boolean;
}

export interface AttributePivotResult {
  /** logit[desired] - logit[undesired]. */
  margin: number;
  /** For every prefix token, gradient x embedding of the margin. Positive: it pushes toward desired. */
  tokens: Float32Array;
  /** Gradient of -margin by every component's gate (at mask 1), flat by ComponentSpace; null where not asked for. */
  gates: Float32Array | null;
}

/** What pushes toward one pivot's desired token: token ids in, numbers out. */
export const attributePivot =
  (models: Models) =>
  (params: AttributePivotParams, { signal }: JobContext<never>): Promise<AttributePivotResult> =>
    models.use(params.model, signal, async ({ model }) => {
      const { prefix, desired, undesired, components } = params;
      checkIds(model, 'the pivot', [...prefix, desired, undesired]);
      const runner = await Runner.create(model, await openPatch(model, params.patch));
      const ids = [...prefix];
      const pair: Pair = { id: 'pivot', prefix: ids, desired, undesired, method: 'human', status: 'auto' };
      const [result] = await attributePairs(runner, [pair], { components, signal });
      const { margin, inputs, gates } = result!;
      return { margin, tokens: inputs!, gates };
    });
