import { encodeTexts } from '../../generate/traces.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import type { MaskSettings } from '../../pipeline/settings.ts';
import { type MaskSummary, maskStage, usablePairs } from '../../pipeline/stages/mask.ts';
import { loadText } from '../inputs/controls.ts';
import { readAnyPairs } from '../inputs/pairs.ts';
import { choosing } from '../inputs/phases.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { dataOf, inRunFolder, numbered, type ReadyEvent, type RunParams } from '../run-folder.ts';

export interface MaskParams extends RunParams {
  /** Pairs: a file, a run folder, or a folder of trace documents. */
  pairs: string;
  /** Pairs at most; null for all. */
  limit: number | null;
  /** Files of control text. */
  text: readonly string[];
  settings: MaskSettings;
}

/** Stage 2: writes mask.json. */
export const mask =
  (models: Models) =>
  (params: MaskParams, context: JobContext<StageEvent | ReadyEvent>): Promise<MaskSummary> => {
    const { pairs: file, limit, text, settings, seed } = params;
    return inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const pairs = usablePairs(await readAnyPairs(model, file)).slice(0, limit ?? undefined);
        const controlText = encodeTexts(model, await loadText(text));
        return {
          prepared: { pairs, controlText },
          phases: [choosing(pairs, controlText, settings)],
          work: {
            data: dataOf('mask', { pairs: file, ...numbered('text', text) }),
            stages: { mask: { ...settings, seed, limit } },
          },
        };
      },
      async (run, prepared) => (await maskStage(run, { ...prepared, settings, seed })).summary,
    );
  };
