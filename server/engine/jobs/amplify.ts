import { collect } from '../../data/jsonl.ts';
import { readTraces } from '../../data/traces.ts';
import { encodeTexts } from '../../generate/traces.ts';
import { readMaskFile } from '../../mask/mask-file.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import type { AmplifySettings, EvaluateSettings } from '../../pipeline/settings.ts';
import { type AmplifySummary, amplifyStage } from '../../pipeline/stages/amplify.ts';
import { usablePairs } from '../../pipeline/stages/mask.ts';
import { type ControlsRef, loadControls, loadText } from '../inputs/controls.ts';
import { decodingLike, type GivenDecoding } from '../inputs/decoding.ts';
import { excludedTraces, readAnyPairs, withExclusion } from '../inputs/pairs.ts';
import { answering, decoding, training } from '../inputs/phases.ts';
import { loadProblems, type PromptOptions } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import {
  asRecord,
  dataOf,
  inRunFolder,
  numbered,
  type ReadyEvent,
  type RunParams,
  roles,
} from '../run-folder.ts';

export interface AmplifyParams extends RunParams {
  /** Pairs: a file, a run folder, or a folder of trace documents. */
  pairs: string;
  /** Pairs at most; null for all. */
  limit: number | null;
  /** File of the circuit. */
  mask: string;
  /** File of validation problems. */
  validation: string;
  prompts: PromptOptions;
  /** File of the model's traces, for the KL term on correct ones; null for none. */
  traces: string | null;
  /** Control suites watched while training. */
  watch: readonly ControlsRef[];
  /** Files of control text. */
  text: readonly string[];
  settings: AmplifySettings;
  /** Of validation problems and watched suites. */
  evaluate: EvaluateSettings;
  /** How validation problems are completed, where it is not to be as the traces and pairs were made. */
  decoding: GivenDecoding;
}

/** Stage 3: writes patch.safetensors. */
export const amplify =
  (models: Models) =>
  (params: AmplifyParams, context: JobContext<StageEvent | ReadyEvent>): Promise<AmplifySummary> => {
    const { pairs, limit, mask, validation, prompts, traces, watch, text, settings, seed } = params;
    const evaluate = { ...params.evaluate, ...decodingLike('traces', [traces, pairs], params.decoding) };
    return inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const vocab = model.config.vocabSize;
        const all = traces === null ? [] : await collect(readTraces(traces, { vocab }));
        const excluded = await excludedTraces(pairs);
        const hash = await model.checkpoint.hash(context.signal);
        const { circuit } = await readMaskFile(mask, model.config, hash);
        const data = {
          pairs: usablePairs(await readAnyPairs(model, pairs)).slice(0, limit ?? undefined),
          controlText: encodeTexts(model, await loadText(text)),
          traces: all
            .map((trace) => withExclusion(trace, excluded))
            .filter((t) => t.correct && t.decoding.strategy === 'greedy' && t.excluded !== true),
          validation: await loadProblems({ file: validation, split: null, limit: null }, prompts, {
            seed,
            tokenizer: model.tokenizer,
            signal: context.signal,
          }),
          guard: await loadControls(watch, null),
        };
        return {
          prepared: { circuit, data },
          phases: [
            training(model, circuit, data, settings),
            decoding(model, data.validation, evaluate),
            ...answering(model, data.guard, evaluate),
          ],
          work: {
            data: dataOf('amplify', {
              pairs,
              mask,
              validation,
              traces,
              fewShot: prompts.fewShot,
              ...numbered('text', text),
              ...roles('watch', watch),
            }),
            stages: {
              amplify: {
                ...settings,
                seed,
                limit,
                ...(prompts.chat && { chat: prompts.chat }),
                evaluate: asRecord(evaluate),
              },
            },
          },
        };
      },
      async (run, { circuit, data }) =>
        (await amplifyStage(run, { circuit, data, settings, evaluate, seed })).summary,
    );
  };
