import type { StageEvent } from '../../pipeline/context.ts';
import type { GenerateSettings } from '../../pipeline/settings.ts';
import { type GenerateSummary, generateStage } from '../../pipeline/stages/generate.ts';
import { type Shard, shardName } from '../../runs/shard.ts';
import { type EndpointSettings, remoteOf, servedModel } from '../inputs/endpoint.ts';
import { decoding } from '../inputs/phases.ts';
import { loadProblems, type ProblemsRef, type PromptOptions, promptSettings } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { dataOf, inRunFolder, type ReadyEvent, type RunParams } from '../run-folder.ts';

export interface GenerateParams extends RunParams {
  problems: ProblemsRef;
  prompts: PromptOptions;
  settings: GenerateSettings;
  /** A server that completes in place of the model here. */
  endpoint?: EndpointSettings | null;
  /** Only a part of the problems. */
  shard?: Shard | null;
}

/** Stage 1: writes traces.jsonl. */
export const generate =
  (models: Models) =>
  (params: GenerateParams, context: JobContext<StageEvent | ReadyEvent>): Promise<GenerateSummary> => {
    const { problems: ref, prompts, settings, seed, endpoint = null, shard = null } = params;
    return inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const prepared = await loadProblems(ref, prompts, {
          seed,
          tokenizer: model.tokenizer,
          signal: context.signal,
        });
        return {
          prepared,
          phases: endpoint ? [] : [decoding(model, prepared, settings)],
          work: {
            data: dataOf('generate', { problems: ref.file, fewShot: prompts.fewShot }),
            stages: {
              generate: {
                ...settings,
                seed,
                split: ref.split,
                limit: ref.limit,
                ...promptSettings(prompts),
                ...servedModel(endpoint),
                ...(shard && { shard: shardName(shard) }),
              },
            },
          },
        };
      },
      async (run, problems) => {
        const remote = remoteOf(endpoint, run);
        return (await generateStage(run, { problems, settings, seed, shard, remote })).summary;
      },
    );
  };
