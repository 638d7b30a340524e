import type { Accuracy, Comparison } from '../../evaluate/compare.ts';
import { accuracyOf, type Outcome } from '../../evaluate/items.ts';
import { wilson } from '../../evaluate/statistics.ts';
import type { Overlay } from '../../model/overlay.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import { compareSuites, flipsOf } from '../../pipeline/report.ts';
import type { EvaluateSettings } from '../../pipeline/settings.ts';
import { evaluateStage, type Outcomes, type Suites } from '../../pipeline/stages/evaluate.ts';
import type { Run } from '../../runs/run.ts';
import { type Shard, shardName } from '../../runs/shard.ts';
import { type ControlsRef, loadControls } from '../inputs/controls.ts';
import { decodingLike, type GivenDecoding } from '../inputs/decoding.ts';
import { openPatch, type PatchRef } from '../inputs/patch.ts';
import { answering, decoding } from '../inputs/phases.ts';
import { loadProblems, type ProblemsRef, type PromptOptions, promptSettings } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { asRecord, dataOf, inRunFolder, type ReadyEvent, type RunParams, roles } from '../run-folder.ts';

export interface EvaluateParams extends RunParams {
  problems: ProblemsRef;
  prompts: PromptOptions;
  controls: readonly ControlsRef[];
  /** Items of every control file at most; null for all. */
  controlLimit: number | null;
  /** null measures the base model alone. */
  patch: PatchRef | null;
  /** What the patch is compared with; null for the base model. */
  against: PatchRef | null;
  settings: EvaluateSettings;
  /** How problems are completed, where it is not to be as they were when the patch was trained. */
  decoding: GivenDecoding;
  /** Only a part of the work, to be merged. */
  shard?: Shard | null;
}

/** report.json of an evaluation. With a patch the fields are those of a run's report, else plain accuracies. */
export type EvaluationReport = {
  seed: number;
  model: { path: string; hash: string };
  device: string;
  stages: { evaluate: { seconds: number } };
} & (
  | { kind: 'comparison'; target: Comparison; controls: Record<string, Comparison> }
  | { kind: 'accuracy'; target: Accuracy; controls: Record<string, Accuracy> }
);

/** What one shard of an evaluation has done; its figures come with the whole. */
export interface ShardReport {
  kind: 'shard';
  shard: string;
  /** Items that were answered, those of both models counted. */
  items: number;
  seconds: number;
}

/** Measures a model, or two against each other; writes report.json and flips.jsonl (a shard: only the answers). */
export const evaluate =
  (models: Models) =>
  (
    params: EvaluateParams,
    context: JobContext<StageEvent | ReadyEvent>,
  ): Promise<EvaluationReport | ShardReport> => {
    const { problems: ref, prompts, controls, controlLimit, patch, against, seed } = params;
    const sources = [patch?.file ?? null, against?.file ?? null];
    const settings = { ...params.settings, ...decodingLike('patch', sources, params.decoding) };
    const { shard = null } = params;
    return inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const suites = {
          problems: {
            test: await loadProblems(ref, prompts, {
              seed,
              tokenizer: model.tokenizer,
              signal: context.signal,
            }),
          },
          controls: await loadControls(controls, controlLimit),
        };
        return {
          phases: [
            decoding(model, suites.problems.test, settings),
            ...answering(model, suites.controls, settings),
          ],
          prepared: {
            suites,
            models: {
              base: await openPatch(model, against),
              ...(patch && { amplified: await openPatch(model, patch) }),
            } as Record<string, Overlay>,
          },
          work: {
            data: dataOf('evaluate', {
              problems: ref.file,
              fewShot: prompts.fewShot,
              ...roles('controls', controls),
              patch: patch?.file ?? null,
              against: against?.file ?? null,
            }),
            stages: {
              evaluate: {
                ...asRecord(settings),
                split: ref.split,
                limit: ref.limit,
                ...promptSettings(prompts),
                controlLimit,
                scale: patch?.scale ?? null,
                ...(shard && { shard: shardName(shard) }),
              },
            },
          },
        };
      },
      async (run, { suites, models: sides }, { device }) => {
        const { outcomes, seconds, items } = await evaluateStage(run, {
          models: sides,
          suites,
          settings,
          shard,
        });
        if (shard) return { kind: 'shard', shard: shardName(shard), items, seconds };
        const { folder } = run.model.checkpoint;
        const model = { path: folder, hash: await run.model.checkpoint.hash() };
        return writeEvaluation(run.run, outcomes, suites, { seed, model, device: device.device, seconds });
      },
    );
  };

/** Writes an evaluation's report and, where there are two models, the problems whose outcome changed. */
export function writeEvaluation(
  run: Run,
  { base, amplified }: Readonly<Record<string, Outcomes>>,
  suites: Suites,
  {
    seed,
    model,
    device,
    seconds,
  }: { seed: number; model: EvaluationReport['model']; device: string; seconds: number },
): EvaluationReport {
  const head = { seed, model, device, stages: { evaluate: { seconds } } };
  let report: EvaluationReport;
  if (amplified) {
    const compared = compareSuites(base!, amplified, suites, seed);
    report = { kind: 'comparison', ...head, target: compared.problems.test!, controls: compared.controls };
    const flips = flipsOf(base!, amplified, suites);
    run.writeArtefact('flips.jsonl', flips.map((flip) => `${JSON.stringify(flip)}\n`).join(''));
  } else report = { kind: 'accuracy', ...head, ...accuracies(base!) };
  run.writeArtefact('report.json', `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

function accuracy(outcomes: readonly Outcome[]): Accuracy {
  const correct = outcomes.filter((outcome) => outcome.correct).length;
  return { accuracy: accuracyOf(outcomes), interval: wilson(correct, outcomes.length), n: outcomes.length };
}

function accuracies({ problems, controls }: Outcomes): {
  target: Accuracy;
  controls: Record<string, Accuracy>;
} {
  const entries = Object.entries(controls).map(([name, outcomes]) => [name, accuracy(outcomes)] as const);
  return { target: accuracy(problems.test!), controls: Object.fromEntries(entries) };
}
