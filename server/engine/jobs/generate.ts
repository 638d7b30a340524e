import type { StageEvent } from '../../pipeline/context.ts';
import type { GenerateSettings } from '../../pipeline/settings.ts';
import { type GenerateSummary, generateStage } from '../../pipeline/stages/generate.ts';
import { loadProblems, type ProblemsRef, type PromptOptions } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { dataOf, inRunFolder, type ReadyEvent, type RunParams } from '../run-folder.ts';

export interface GenerateParams extends RunParams {
  problems: ProblemsRef;
  prompts: PromptOptions;
  settings: GenerateSettings;
}

/** Stage 1: writes traces.jsonl. */
export const generate =
  (models: Models) =>
  (params: GenerateParams, context: JobContext<StageEvent | ReadyEvent>): Promise<GenerateSummary> => {
    const { problems: ref, prompts, settings, seed } = params;
    return inRunFolder(
      models,
      params,
      context,
      async () => ({
        prepared: await loadProblems(ref, prompts, seed),
        work: {
          data: dataOf('generate', { problems: ref.file, fewShot: prompts.fewShot }),
          stages: {
            generate: { ...settings, seed, split: ref.split, limit: ref.limit, template: prompts.template },
          },
        },
      }),
      async (run, problems) => (await generateStage(run, { problems, settings, seed })).summary,
    );
  };
