import type { Trace } from '../../data/records.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import type { LocalizeSettings } from '../../pipeline/settings.ts';
import { type LocalizeSummary, localizeStage } from '../../pipeline/stages/localize.ts';
import { type Shard, shardName } from '../../runs/shard.ts';
import { decodingLike, type GivenDecoding } from '../inputs/decoding.ts';
import { type EndpointSettings, remoteOf, servedModel } from '../inputs/endpoint.ts';
import { walking } from '../inputs/phases.ts';
import { readAnyTraces, tracesFiles } from '../inputs/traces.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { asRecord, dataOf, inRunFolder, type ReadyEvent, type RunParams } from '../run-folder.ts';

export interface LocalizeParams extends RunParams {
  /** File of traces. */
  traces: string;
  /** Problems at most; null for all. */
  limit: number | null;
  settings: LocalizeSettings;
  /** How branches are completed, where it is not to be as the traces were generated. */
  generation: GivenDecoding;
  /** A server that completes branches in place of the model here. */
  endpoint?: EndpointSettings | null;
  /** Only a part of the contrasts. */
  shard?: Shard | null;
}

/** Stage 1: writes pairs.jsonl. */
export const localize =
  (models: Models) =>
  (params: LocalizeParams, context: JobContext<StageEvent | ReadyEvent>): Promise<LocalizeSummary> =>
    inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const { traces: file, limit, settings, endpoint = null, shard = null } = params;
        const traces = await readAnyTraces(model, file);
        // A branch must end where its trace would have.
        const generation = decodingLike('traces', [file], params.generation);
        return {
          prepared: { traces: firstProblems(traces, limit), generation },
          phases: walking(traces, settings, generation),
          work: {
            data: dataOf('localize', { ...tracesFiles(file) }),
            stages: {
              localize: {
                ...settings,
                ...asRecord(generation),
                limit,
                ...servedModel(endpoint),
                ...(shard && { shard: shardName(shard) }),
              },
            },
          },
        };
      },
      async (run, { traces, generation }) => {
        const { settings, endpoint = null, shard = null } = params;
        const remote = remoteOf(endpoint, run);
        return (await localizeStage(run, { traces, settings, generation, shard, remote })).summary;
      },
    );

function firstProblems(traces: readonly Trace[], limit: number | null): Trace[] {
  const kept = new Set([...new Set(traces.map((trace) => trace.problem_id))].slice(0, limit ?? undefined));
  return traces.filter((trace) => kept.has(trace.problem_id));
}
