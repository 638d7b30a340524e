import type { ControlItem, Pair, Problem, Trace } from '../data/records.ts';
import type { Remote } from '../generate/completer.ts';
import { encodeTexts } from '../generate/traces.ts';
import type { MaskFile } from '../mask/mask-file.ts';
import type { Circuit } from '../model/components.ts';
import { noOverlay } from '../model/overlay.ts';
import { patchOverlay } from '../patch/overlay.ts';
import { quirksOf } from './quirks.ts';
import { compareSuites, flipsOf, type Report } from './report.ts';
import type { Settings, VariantSettings } from './settings.ts';
import { amplifyStage } from './stages/amplify.ts';
import type { RunContext } from './stages/common.ts';
import { evaluateStage, type Suites } from './stages/evaluate.ts';
import { generateStage } from './stages/generate.ts';
import { importCircuit, importPairs, importTraces } from './stages/import.ts';
import { localizeStage } from './stages/localize.ts';
import { maskStage, usablePairs } from './stages/mask.ts';
import { type TrainingData, typicalLength } from './train.ts';
import { type VariantName, variantStage } from './variants.ts';

/** Everything a whole amplification reads. */
export interface RunData {
  train: readonly Problem[];
  validation: readonly Problem[];
  /** Problem sets that score the result; `test` is the target. */
  test: Readonly<Record<string, readonly Problem[]>> & { test: readonly Problem[] };
  /** Controls watched while training, and the ones that score the result. */
  guard: readonly ControlItem[];
  controls: readonly ControlItem[];
  /** Plain texts for the KL term and the Fisher information. */
  text: readonly string[];
  /** Results taken over in place of a stage's own; null for none. */
  given?: Given;
}

/** What a run takes over from elsewhere: traces for stage 1, pairs for its pivots, a circuit for stage 2. */
export interface Given {
  traces: readonly Trace[] | null;
  pairs: readonly Pair[] | null;
  circuit: { file: MaskFile; circuit: Circuit } | null;
}

/** Prior cost of each stage in seconds on two cores for the demo: only the ratios matter. */
export const stagePlan = [
  { name: 'generate', cost: 10 },
  { name: 'localize', cost: 3 },
  { name: 'mask', cost: 3 },
  { name: 'amplify', cost: 20 },
  { name: 'evaluate', cost: 26 },
] as const;

export type StageName = (typeof stagePlan)[number]['name'];

/** Settings of every stage as the run folder's manifest records them. */
export function stageSettings(settings: Settings, seed: number, variants: readonly VariantName[]) {
  const { generate, localize, mask, amplify, evaluate } = settings;
  return {
    generate: { ...generate, seed },
    localize: { ...localize },
    mask: { ...mask, seed },
    amplify: { ...amplify, seed },
    evaluate: { ...evaluate },
    ...Object.fromEntries(
      variants.map((name) => [
        `variant-${name}`,
        { seed, ...(name in settings.variants && settings.variants[name as keyof VariantSettings]) },
      ]),
    ),
  };
}

/**
 * The whole amplification: traces, pivots, circuit, training under guard, evaluation, and the report.
 * @returns null where `until` ends it before the evaluation
 */
export async function runAll(
  context: RunContext,
  data: RunData,
  settings: Settings,
  {
    seed,
    variants = [],
    device,
    until = null,
    remote = null,
  }: {
    seed: number;
    variants?: readonly VariantName[];
    device: string;
    until?: StageName | null;
    /** Generates traces and completes branches in place of the model here. */
    remote?: Remote | null;
  },
): Promise<Report | null> {
  const { model, run } = context;
  const { given } = data;
  const seconds: Report['stages'] = {};
  const { traces, summary: generated } = given?.traces
    ? await importTraces(context, given.traces)
    : await generateStage(context, { problems: data.train, settings: settings.generate, seed, remote });
  if (until === 'generate') return null;
  const { pairs: all, summary: located } = given?.pairs
    ? await importPairs(context, given.pairs)
    : await localizeStage(context, {
        traces,
        settings: settings.localize,
        generation: settings.generate,
        remote,
      });
  if (until === 'localize') return null;
  const pairs = usablePairs(all);
  const controlText = encodeTexts(model, data.text);
  const {
    circuit,
    file,
    summary: chosen,
  } = given?.circuit
    ? await importCircuit(context, given.circuit)
    : await maskStage(context, { pairs, controlText, settings: settings.mask, seed });
  if (until === 'mask') return null;
  const training: TrainingData = {
    pairs,
    controlText,
    traces: traces.filter((t) => t.correct && t.decoding.strategy === 'greedy' && t.excluded !== true),
    validation: data.validation,
    guard: data.guard,
  };
  const { patch, summary: trained } = await amplifyStage(context, {
    circuit,
    data: training,
    settings: settings.amplify,
    evaluate: settings.evaluate,
    seed,
  });
  if (until === 'amplify') return null;
  const suites: Suites = { problems: data.test, controls: data.controls };
  const {
    outcomes: { base, amplified },
    seconds: evaluated,
  } = await evaluateStage(context, {
    models: { base: noOverlay, amplified: patchOverlay(patch) },
    suites,
    settings: settings.evaluate,
    guess: typicalLength(training.traces),
  });
  seconds.generate = { seconds: generated.seconds };
  seconds.localize = { seconds: located.seconds };
  seconds.mask = { seconds: chosen.seconds };
  seconds.amplify = { seconds: trained.seconds };
  seconds.evaluate = { seconds: evaluated };
  const compared = compareSuites(base!, amplified!, suites, seed);
  const { test, ...sets } = compared.problems;
  const report: Report = {
    seed,
    model: { path: model.checkpoint.folder, hash: await model.checkpoint.hash() },
    device,
    target: test!,
    sets,
    controls: compared.controls,
    circuit: {
      components: chosen.components,
      total: chosen.total,
      fraction: chosen.components / chosen.total,
      byKind: chosen.byKind,
      weights: trained.weights,
      method: file.method,
      lambda: chosen.lambda,
    },
    pairs: {
      pairs: located.pairs,
      completions: located.completions,
      naiveCompletions: located.naiveCompletions,
    },
    training: {
      steps: trained.steps,
      best: trained.best,
      breach: trained.breach,
      asked: trained.asked,
    },
    quirks: quirksOf(settings),
    stages: seconds,
    variants: {},
  };
  run.writeArtefact(
    'flips.jsonl',
    flipsOf(base!, amplified!, suites)
      .map((flip) => `${JSON.stringify(flip)}\n`)
      .join(''),
  );
  for (const name of variants) {
    const { outcomes, seconds: spent } = await variantStage(context, name, {
      circuit,
      training,
      traces,
      settings,
      suites,
      seed,
    });
    report.variants[name] = compareSuites(base!, outcomes, suites, seed);
    seconds[`variant-${name}`] = { seconds: spent };
  }
  run.writeArtefact('report.json', `${JSON.stringify(report, null, 2)}\n`);
  return report;
}
