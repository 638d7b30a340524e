import { InputError } from '../../errors.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import type { Report } from '../../pipeline/report.ts';
import { type RunData, runAll, stagePlan, stageSettings } from '../../pipeline/run.ts';
import type { Settings } from '../../pipeline/settings.ts';
import type { VariantName } from '../../pipeline/variants.ts';
import type { PlannedStage } from '../../runs/progress.ts';
import { type ControlsRef, loadControls, loadText, splitControls } from '../inputs/controls.ts';
import { loadProblems, type ProblemsRef, type PromptOptions } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { inRunFolder, numbered, type ReadyEvent, type RunParams, roles } from '../run-folder.ts';

export interface RunAllParams extends RunParams {
  problems: {
    train: ProblemsRef;
    validation: ProblemsRef;
    test: ProblemsRef;
    /** Further test sets by name, such as templates never seen in a pair. */
    further: Readonly<Record<string, ProblemsRef>>;
  };
  prompts: PromptOptions;
  /** Suites that score the result. */
  controls: readonly ControlsRef[];
  /** Suites watched while training; null takes a fifth of each of `controls`. */
  watch: readonly ControlsRef[] | null;
  /** Files of control text; null takes a fifth of each of `controls`. */
  text: readonly string[] | null;
  /** Items of every control file at most; null for all. */
  controlLimit: number | null;
  settings: Settings;
  /** Matched controls to run beside it. */
  variants: readonly VariantName[];
}

/** The stages to come and their expected costs relative to each other. */
export interface PlanEvent {
  event: 'plan';
  stages: PlannedStage[];
}

/** The whole amplification; writes every stage's files and report.json. */
export const run =
  (models: Models) =>
  async (params: RunAllParams, context: JobContext<StageEvent | ReadyEvent | PlanEvent>): Promise<Report> => {
    const { problems, prompts, controls, watch, text, settings, variants, seed } = params;
    checkData(params);
    context.emit({ event: 'plan', stages: planOf(variants) });
    const files = {
      train: problems.train,
      validation: problems.validation,
      test: problems.test,
      ...problems.further,
    };
    return inRunFolder(
      models,
      params,
      context,
      async () => ({
        prepared: await loadData(params),
        work: {
          data: {
            ...Object.fromEntries(Object.entries(files).map(([name, ref]) => [name, ref.file])),
            ...(prompts.fewShot !== null && { fewShot: prompts.fewShot }),
            ...roles('controls', controls),
            ...roles('watch', watch ?? []),
            ...numbered('text', text ?? []),
          },
          stages: withData(stageSettings(settings, seed, variants), params),
        },
      }),
      (run, data, { device }) => runAll(run, data, settings, { seed, variants, device: device.device }),
    );
  };

/** @throws InputError where the settings need data that are not there */
function checkData({ controls, text, settings }: RunAllParams): void {
  if (settings.mask.select === 'fisher' && controls.length === 0 && (text ?? []).length === 0) {
    const what = 'is not given, and choosing components by fisher needs control text';
    throw new InputError('text', what, 'Give control text or control suites, or choose dcm.');
  }
}

/** What else the stages depend on, so that a resumed run notices a change of it. */
function withData(
  stages: ReturnType<typeof stageSettings>,
  { problems, prompts, controlLimit }: RunAllParams,
): Record<string, Record<string, unknown>> {
  const { generate, evaluate, ...rest } = stages;
  const { limit, split } = problems.train;
  return {
    generate: { ...generate, limit, split, template: prompts.template },
    ...rest,
    evaluate: { ...evaluate, limit: problems.test.limit, controlLimit },
  };
}

async function loadData({
  problems,
  prompts,
  controls,
  watch,
  text,
  controlLimit,
  seed,
}: RunAllParams): Promise<RunData> {
  const further: Record<string, Awaited<ReturnType<typeof loadProblems>>> = {};
  for (const [name, ref] of Object.entries(problems.further)) {
    further[name] = await loadProblems(ref, prompts, seed);
  }
  const items = await loadControls(controls, controlLimit);
  // What is not given comes out of the scoring suites: no item may serve two ends.
  const parts = splitControls(items, seed, { guard: watch === null, text: text === null });
  return {
    train: await loadProblems(problems.train, prompts, seed),
    validation: await loadProblems(problems.validation, prompts, seed),
    test: { test: await loadProblems(problems.test, prompts, seed), ...further },
    guard: watch === null ? parts.guard : await loadControls(watch, controlLimit),
    controls: parts.test,
    text: text === null ? parts.text : await loadText(text),
  };
}

/** A variant trains like stage 3 and is evaluated once where the run evaluates two models. */
function planOf(variants: readonly VariantName[]): PlannedStage[] {
  const cost = (name: string) => stagePlan.find((stage) => stage.name === name)!.cost;
  const each = cost('amplify') + cost('evaluate') / 2;
  return [...stagePlan, ...variants.map((name) => ({ name: `variant-${name}`, cost: each }))];
}
