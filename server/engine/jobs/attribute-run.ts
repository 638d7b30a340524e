import path from 'node:path';
import { Runner } from '../../generate/forward.ts';
import { eachAttribution } from '../../inspect/attribute.ts';
import {
  type AttributionKey,
  attributed,
  hashPairs,
  readAttribution,
  writeAttribution,
} from '../../inspect/attribution-file.ts';
import { MeanAttribution } from '../../inspect/purpose.ts';
import { ComponentSpace } from '../../model/components.ts';
import { ATTRIBUTION_NAME } from '../../runs/folder.ts';
import { readAnyPairs } from '../inputs/pairs.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

/** Pairs remembered for each component. */
const SERVED = 5;

export interface AttributeRunParams {
  model: ModelRef;
  /** Run folder: its pairs are read, and the result is kept in it. */
  run: string;
}

export interface AttributeRunEvent {
  event: 'pairs';
  done: number;
  total: number;
}

export interface AttributeRunResult {
  /** Mean gradient of -(logit[desired] - logit[undesired]) by every gate at mask 1, flat by ComponentSpace. */
  mean: Float32Array;
  pairs: number;
}

/** Mean attribution of all components over a run's pairs; computed once for a model and its pairs. */
export const attributeRun =
  (models: Models) =>
  ({ model: ref, run }: AttributeRunParams, { signal, emit }: JobContext<AttributeRunEvent>) =>
    models.use(ref, signal, async ({ model }): Promise<AttributeRunResult> => {
      const pairs = attributed(await readAnyPairs(model, run));
      const key: AttributionKey = { model: await model.checkpoint.hash(), pairs: hashPairs(pairs) };
      const file = path.join(run, ATTRIBUTION_NAME);
      const { size } = new ComponentSpace(model.config);
      const stored = readAttribution(file);
      if (stored?.model === key.model && stored.pairs === key.pairs && stored.size === size) {
        return { mean: stored.mean(), pairs: stored.count };
      }
      const runner = await Runner.create(model);
      const mean = new MeanAttribution(size, SERVED);
      let done = 0;
      for await (const { gates } of eachAttribution(runner, pairs, { inputs: false, signal })) {
        mean.add(done++, gates!);
        emit({ event: 'pairs', done, total: pairs.length });
      }
      writeAttribution(file, key, mean, { size, top: SERVED, count: pairs.length });
      return { mean: mean.mean(), pairs: pairs.length };
    });
