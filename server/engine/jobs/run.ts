import path from 'node:path';
import type { Tokenizer } from '../../checkpoint/tokenizer.ts';
import type { Signal } from '../../control.ts';
import { collect } from '../../data/jsonl.ts';
import { templateFiles } from '../../data/templates.ts';
import { readTraces } from '../../data/traces.ts';
import { InputError } from '../../errors.ts';
import { readMaskFile } from '../../mask/mask-file.ts';
import type { Model } from '../../model/model.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import type { Report } from '../../pipeline/report.ts';
import {
  type Given,
  type RunData,
  runAll,
  type StageName,
  stagePlan,
  stageSettings,
} from '../../pipeline/run.ts';
import type { Settings } from '../../pipeline/settings.ts';
import type { VariantName } from '../../pipeline/variants.ts';
import { readManifest } from '../../runs/manifest.ts';
import type { PlannedStage } from '../../runs/progress.ts';
import { type ControlsRef, loadControls, loadText, splitControls } from '../inputs/controls.ts';
import { type EndpointSettings, remoteOf, servedModel } from '../inputs/endpoint.ts';
import { excludedTraces, readAnyPairs, withExclusion } from '../inputs/pairs.ts';
import { amplifying } from '../inputs/phases.ts';
import { loadProblems, type ProblemsRef, type PromptOptions, promptSettings } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import {
  dataOf,
  inRunFolder,
  numbered,
  type ReadyEvent,
  type RunParams,
  roles,
  type Work,
} from '../run-folder.ts';

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
  /** A server that generates traces and completes branches in place of the model here. */
  endpoint?: EndpointSettings | null;
  /** End after this stage; null for all. */
  until: StageName | null;
  /** Do this stage and those after it again; null keeps what is finished. */
  redo: StageName | null;
  /** Run folder whose traces and pairs are taken over, if it is of the same model; null. */
  from: string | null;
  /** Pairs in place of located ones: a file, a run folder or a folder of trace documents; null. */
  pairs: string | null;
  /** Mask file in place of a selected circuit; null. */
  circuit: string | null;
}

/** The stages to come and their expected costs relative to each other. */
export interface PlanEvent {
  event: 'plan';
  stages: PlannedStage[];
}

/** The whole amplification; writes every stage's files and report.json. */
export const run =
  (models: Models) =>
  async (
    params: RunAllParams,
    context: JobContext<StageEvent | ReadyEvent | PlanEvent>,
  ): Promise<Report | null> => {
    const { problems, prompts, controls, watch, text, settings, variants, seed } = params;
    checkData(params);
    context.emit({ event: 'plan', stages: planOf(params) });
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
      async ({ model }) => {
        const prepared = checked(params, {
          ...(await loadData(params, model.tokenizer, context.signal)),
          given: await loadGiven(params, model),
        });
        const { endpoint = null, until } = params;
        return {
          prepared,
          phases: amplifying(model, prepared, settings, {
            variants,
            remote: endpoint !== null,
            until,
          }),
          work: {
            data: {
              ...(await problemSources(files)),
              ...(prompts.fewShot !== null && { fewShot: prompts.fewShot }),
              ...roles('controls', controls),
              ...roles('watch', watch ?? []),
              ...numbered('text', text ?? []),
              ...givenFiles(params),
            },
            stages: withData(stageSettings(settings, seed, variants), params),
            redo: redone(params),
          },
        };
      },
      (run, data, { device }) => {
        const remote = remoteOf(params.endpoint ?? null, run);
        return runAll(run, data, settings, {
          seed,
          variants,
          device: device.device,
          until: params.until,
          remote,
        });
      },
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
  params: RunAllParams,
): Record<string, Record<string, unknown>> {
  const { problems, prompts, controlLimit, from, circuit, endpoint = null } = params;
  const served = servedModel(endpoint);
  const { generate, localize, mask, evaluate, ...rest } = stages;
  const { limit, split, instances } = problems.train;
  const chat = prompts.chat ? { chat: prompts.chat } : {};
  const drawn = instances === undefined ? {} : { instances };
  // A stage whose results are taken over depends on none of its settings.
  const imported = { imported: true };
  return {
    generate:
      from === null
        ? { ...generate, limit, split, ...promptSettings(prompts), ...drawn, ...served }
        : imported,
    localize: pairsOf(params) === null ? { ...localize, ...served } : imported,
    mask: circuit === null ? mask : imported,
    ...rest,
    evaluate: { ...evaluate, limit: problems.test.limit, controlLimit, ...chat, ...drawn },
  };
}

/** A run's own pairs come with its traces, unless others are given. */
function pairsOf({ pairs, from }: RunAllParams): string | null {
  return pairs ?? from;
}

async function problemSources(files: Readonly<Record<string, ProblemsRef>>): Promise<Work['data']> {
  const sources: Record<string, Work['data'][string]> = {};
  for (const [name, { file, instances }] of Object.entries(files)) {
    sources[name] = instances === undefined ? file : { path: file, files: await templateFiles(file) };
  }
  return sources;
}

/** What is taken over, by the stage that it stands for. */
function givenFiles(params: RunAllParams): Record<string, string> {
  const { from, circuit } = params;
  return {
    ...dataOf('generate', { traces: from === null ? null : path.join(from, 'traces.jsonl') }),
    ...dataOf('localize', { pairs: pairsOf(params) }),
    ...dataOf('mask', { circuit }),
  };
}

async function loadGiven(params: RunAllParams, model: Model): Promise<Given> {
  const { from, circuit } = params;
  const hash = () => model.checkpoint.hash();
  if (from !== null) {
    const manifest = readManifest(from);
    if (!manifest) throw new InputError(from, 'is not a run folder', 'Give the folder of a run.');
    if (manifest.model?.hash !== (await hash()))
      throw new InputError(from, 'is a run of another model', 'Give a run of the model that is amplified.');
  }
  const vocab = model.config.vocabSize;
  const pairs = pairsOf(params);
  const excluded = await excludedTraces(from, params.pairs);
  const traces = from === null ? null : await collect(readTraces(path.join(from, 'traces.jsonl'), { vocab }));
  return {
    traces: traces?.map((trace) => withExclusion(trace, excluded)) ?? null,
    pairs: pairs === null ? null : await readAnyPairs(model, pairs),
    circuit: circuit === null ? null : readMaskFile(circuit, model.config, await hash()),
  };
}

/** @throws InputError where traces or pairs that are taken over come from problems that score the result */
function checked({ from, pairs }: RunAllParams, data: RunData): RunData {
  const scoring = new Set(
    [...data.validation, ...Object.values(data.test).flat()].map((problem) => problem.id),
  );
  const { given } = data;
  for (const [source, records] of [
    [from, given?.traces],
    [pairs ?? from, given?.pairs],
  ] as const) {
    const leak = records?.find(({ problem_id }) => problem_id !== undefined && scoring.has(problem_id));
    if (!leak) continue;
    const what = `has ${leak.problem_id}, a problem that validates or scores this run`;
    throw new InputError(source!, what, 'Use the same problem files and the same seed for the split.');
  }
  return data;
}

/** The stage to do again and all after it. */
function redone({ redo, variants }: RunAllParams): string[] {
  if (redo === null) return [];
  const names = planOf({ variants, until: null }).map(({ name }) => name);
  return names.slice(names.indexOf(redo));
}

/** The data of a run as its stages take them. */
export async function loadData(
  {
    problems,
    prompts,
    controls,
    watch,
    text,
    controlLimit,
    seed,
  }: Pick<RunAllParams, 'problems' | 'prompts' | 'controls' | 'watch' | 'text' | 'controlLimit' | 'seed'>,
  tokenizer: Tokenizer,
  signal: Signal,
): Promise<RunData> {
  const load = (ref: ProblemsRef) => loadProblems(ref, prompts, { seed, tokenizer, signal });
  const further: Record<string, Awaited<ReturnType<typeof loadProblems>>> = {};
  for (const [name, ref] of Object.entries(problems.further)) {
    further[name] = await load(ref);
  }
  const items = await loadControls(controls, controlLimit);
  // What is not given comes out of the scoring suites: no item may serve two ends.
  const parts = splitControls(items, seed, { guard: watch === null, text: text === null });
  return {
    train: await load(problems.train),
    validation: await load(problems.validation),
    test: { test: await load(problems.test), ...further },
    guard: watch === null ? parts.guard : await loadControls(watch, controlLimit),
    controls: parts.test,
    text: text === null ? parts.text : await loadText(text),
  };
}

/** A variant trains like stage 3 and is evaluated once where the run evaluates two models. */
function planOf({ variants, until }: Pick<RunAllParams, 'variants' | 'until'>): PlannedStage[] {
  if (until !== null) return stagePlan.slice(0, stagePlan.findIndex(({ name }) => name === until) + 1);
  const cost = (name: string) => stagePlan.find((stage) => stage.name === name)!.cost;
  const each = cost('amplify') + cost('evaluate') / 2;
  return [...stagePlan, ...variants.map((name) => ({ name: `variant-${name}`, cost: each }))];
}
