import { defaultThreads, type ModelRef, type Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

export interface LoadResult {
  device: string;
  /** Why there. */
  reason: string;
  threads: number;
}

/** Loads a model, so that the next job finds it, and tells where it runs. */
export const load =
  (models: Models) =>
  (model: ModelRef, { signal }: JobContext<never>): Promise<LoadResult> =>
    models.use(model, signal, async ({ device: { device, reason } }) => ({
      device,
      reason,
      threads: model.threads ?? defaultThreads(),
    }));
