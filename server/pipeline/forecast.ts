/**
 * What a run is expected to take before it begins: a short measurement on the loaded model (how fast it works, how long its
 * completions of some of the problems are) times the expected work of every stage (work.ts). What cannot be known before is
 * a range: how many samples problems need, and how many of them give pairs.
 */

import { AmplifyObjective } from '../amplify/objective.ts';
import type { Signal } from '../control.ts';
import type { Pair, Problem, Trace } from '../data/records.ts';
import { Cancelled } from '../errors.ts';
import { encodePrompts, encodeTexts, greedyTraces } from '../generate/traces.ts';
import { ComponentSpace, circuitDeltas } from '../model/components.ts';
import type { Model } from '../model/model.ts';
import { noOverlay } from '../model/overlay.ts';
import { Rng } from '../random.ts';
import { makeRunners, type Runners } from './context.ts';
import { meanOf } from './expected.ts';
import type { RunData } from './run.ts';
import { selectionWork } from './select.ts';
import { budgetCount, type Settings } from './settings.ts';
import { evaluationWork } from './stages/evaluate.ts';
import { circuitWork, observer, type TrainingData, trainingWork } from './train.ts';
import { type Rates, ratesOf, sumOf, times, type Work } from './work.ts';

/** Seconds that completions are measured for, and problems at most. */
const PROBE_SECONDS = 1.5;
const PROBED = 32;
/** A forward pass of the measurement takes no longer than this, as far as is known. */
const PASS_SECONDS = 0.7;
/** Pairs that a measured training step has, at most. */
const TRAINED = 8;
/** What is measured in a second or two is not what hours give: machines are shared, batches shrink. */
const LOW = 0.7;
const HIGH = 1.6;
/** Branches that a contrast takes (localize), and the least part of the problems that gives one. */
const BRANCHES = 9 / 8;
const FEWEST_CONTRASTS = 0.25;
/** A mask comes to rest long before its last epoch. */
const MASK_EARLY = 0.2;
/** Fine-tuning on whole traces takes up to so many times the steps of a circuit. */
const LONG_VARIANT = 4;
/** Bytes on disk: a token of a trace (id and text), a component of a mask, a trained weight (old, new and the snapshots). */
const TOKEN_BYTES = 12;
const COMPONENT_BYTES = 14;
const WEIGHT_BYTES = 24;

export interface StageForecast {
  name: string;
  /** Seconds. */
  low: number;
  high: number;
}

export interface Forecast {
  stages: StageForecast[];
  /** Bytes that the run folder grows to. */
  disk: number;
}

/** Completions of some of the problems. */
interface Sample {
  traces: Trace[];
  /** Mean length of all, those that were still being made counted as what they had, and as the most that they can become. */
  least: number;
  most: number;
}

/** Samples by loaded model and by what was asked: an estimate that is asked for again measures nothing. */
const samples = new WeakMap<Model, Map<string, Sample>>();

/**
 * Measures, and forecasts every stage and variant. @param data as the run reads them
 * @throws Cancelled when asked to stop
 */
export async function forecastRun(
  model: Model,
  data: RunData,
  settings: Settings,
  variants: readonly string[],
  signal: Signal,
): Promise<Forecast> {
  const prompts = encodePrompts(model, data.train);
  const runners = await makeRunners(model, prompts);
  const rates = ratesOf(model);
  const sample = await sampled(runners, data.train, prompts, settings, rates, signal);
  const counts = { problems: data.train.length, prompt: meanOf(prompts.map((ids) => ids.length - 1)) };
  const low = works(model, runners, data, settings, variants, sample, counts, 'least');
  const high = works(model, runners, data, settings, variants, sample, counts, 'most');
  await model.makeRoom();
  const stages = Object.keys(high).map((name) => ({
    name,
    low: LOW * (rates.seconds(low[name]!) ?? 0),
    high: HIGH * (rates.seconds(high[name]!) ?? 0),
  }));
  return { stages, disk: diskBytes(model, data, settings, sample, counts) };
}

/** Completes some of the problems for a moment, and trains on what that gave. */
async function sampled(
  runners: Runners,
  problems: readonly Problem[],
  prompts: readonly (readonly number[])[],
  settings: Settings,
  rates: Rates,
  signal: Signal,
): Promise<Sample> {
  const { shared } = runners;
  const { model } = shared;
  const { generate: options } = settings;
  const key = JSON.stringify([problems.map(({ id }) => id), options.maxTokens, options.stop]);
  const known = samples.get(model) ?? new Map<string, Sample>();
  samples.set(model, known);
  const before = known.get(key);
  if (before) return before;
  // The first passes compile.
  await greedyTraces(
    shared,
    problems.slice(0, 1),
    { ...options, maxTokens: 4 },
    { signal: measuring(signal, rates) },
  );
  const length = meanOf(prompts.map((ids) => ids.length));
  const fits = Math.floor(PASS_SECONDS / (rates.seconds({ forward: length }) ?? 1));
  const count = Math.max(1, Math.min(PROBED, options.batch, problems.length, fits));
  const some = problems.filter((_, i) => i % Math.ceil(problems.length / count) === 0);
  let decoded = 0;
  const end = performance.now() + 1000 * PROBE_SECONDS;
  const timed: Signal = {
    get aborted() {
      return signal.aborted || performance.now() > end;
    },
    worked: (kind, tokens) => {
      if (kind === 'decode') decoded += tokens;
    },
  };
  const traces: Trace[] = [];
  try {
    await greedyTraces(shared, some, options, {
      signal: measuring(timed, rates),
      onTrace: (trace) => traces.push(trace),
    });
  } catch (error) {
    if (!(error instanceof Cancelled) || signal.aborted) throw error;
  }
  const ended = traces.reduce((sum, trace) => sum + trace.completion_ids.length, 0);
  const open = some.length - traces.length;
  const sample = {
    traces,
    least: Math.max(1, Math.max(ended, decoded) / some.length),
    most: (ended + open * options.maxTokens) / some.length,
  };
  await measureTraining(runners, prompts, sample, settings, rates, signal);
  known.set(key, sample);
  return sample;
}

/** Steps on a circuit as large as the one to come, spread over all layers. The first one compiles. */
async function measureTraining(
  { shared, plain }: Runners,
  prompts: readonly (readonly number[])[],
  sample: Sample,
  settings: Settings,
  rates: Rates,
  signal: Signal,
): Promise<void> {
  const { model } = shared;
  await model.makeRoom();
  const [pair] = syntheticPairs(prompts, sample, 1);
  const fits = Math.floor(PASS_SECONDS / (rates.seconds({ train: pair!.prefix.length }) ?? 1));
  const pairs = syntheticPairs(prompts, sample, Math.max(1, Math.min(TRAINED, fits)));
  const space = new ComponentSpace(model.config);
  const every = Math.max(1, Math.floor(space.size / chosenCount(space, settings)));
  const circuit = space.circuit((i) => i % every === 0);
  const overlay = { ...noOverlay, deltas: circuitDeltas(model.arch, circuit, settings.amplify.neurons) };
  const options = { ...settings.amplify, klControl: 0, klTraces: 0, pairsPerStep: 0 };
  const data = { pairs, controls: [], traces: [] };
  const objective = await AmplifyObjective.create({ runner: shared, plain }, overlay, data, options, signal);
  for (let step = 1; step <= 2; step++)
    await objective.step(overlay, step, new Rng(0), measuring(signal, rates));
  await model.makeRoom();
}

/** A signal that notes how long pieces of work take. */
function measuring(signal: Signal, rates: Rates): Signal {
  let last = performance.now();
  return {
    get aborted() {
      return signal.aborted;
    },
    worked: (kind, tokens) => {
      const now = performance.now();
      rates.add(kind, tokens, (now - last) / 1000);
      last = now;
      signal.worked?.(kind, tokens);
    },
  };
}

/** Pairs and traces as long as the problems and their completions let expect; what they say is of no matter. */
function syntheticPairs(
  prompts: readonly (readonly number[])[],
  { least, most }: Sample,
  count: number,
): Pair[] {
  const half = Math.max(1, Math.round((least + most) / 4));
  return Array.from({ length: count }, (_, i): Pair => {
    const prompt = prompts[i % prompts.length]!;
    const prefix = [...prompt, ...new Array<number>(half).fill(prompt.at(-1)!)];
    return {
      id: String(i),
      prefix,
      desired: prefix[0]!,
      undesired: prefix[0]!,
      method: 'imported',
      status: 'auto',
    };
  });
}

interface Counts {
  problems: number;
  /** Mean tokens of a prompt but the last. */
  prompt: number;
}

/** Expected work by stage. */
function works(
  model: Model,
  runners: Runners,
  data: RunData,
  settings: Settings,
  variants: readonly string[],
  sample: Sample,
  { problems, prompt }: Counts,
  end: 'least' | 'most',
): Record<string, Work> {
  const { generate, localize } = settings;
  const length = sample[end];
  const own = prompt - runners.shared.sharedIds.length;
  const least = Math.min(generate.counterparts, generate.samples);
  const rounds = end === 'least' ? least : generate.samples;
  const made = problems * (1 + rounds);
  const contrasts = Math.ceil(problems * (end === 'least' ? FEWEST_CONTRASTS : 1) * localize.counterparts);
  const prompts = encodePrompts(model, data.train);
  const pairs = syntheticPairs(prompts, sample, Math.max(1, contrasts));
  const controlText = encodeTexts(model, data.text);
  const training: TrainingData = {
    pairs,
    controlText,
    traces: data.train.map((problem, i) => ({
      ...{ id: problem.id, problem_id: problem.id, target: problem.target, prompt_ids: prompts[i]! },
      completion_ids: new Array<number>(Math.round(length)).fill(0),
      ...{
        decoding: { strategy: 'greedy' as const },
        text: '',
        answer: null,
        correct: true,
        truncated: false,
      },
    })),
    validation: data.validation,
    guard: data.guard,
  };
  const context = { model, signal: { aborted: false }, emit: () => undefined };
  const watch = observer(context, training, settings.amplify, settings.evaluate, length);
  const train = trainingWork(circuitWork(runners, training, settings.amplify, 0), watch.expected());
  const suites = { problems: data.test, controls: data.controls };
  const once = sumOf(
    evaluationWork(model, suites, settings.evaluate, length).parts.map(({ piece }) => piece()),
  );
  const selection = sumOf(
    selectionWork(runners, pairs, controlText, settings.mask).pieces.map((piece) => piece()),
  );
  const early = end === 'least' && settings.mask.select === 'dcm' ? MASK_EARLY : 1;
  const walked = { forward: contrasts * (own + length), decode: (contrasts * BRANCHES * length) / 2 };
  return {
    generate: { forward: made * own, decode: made * length },
    localize: localize.method === 'prefix' ? {} : walked,
    mask: times(early, selection),
    amplify: train,
    evaluate: times(2, once),
    ...Object.fromEntries(
      variants.map((name) => [
        `variant-${name}`,
        sumOf([once, end === 'most' ? times(LONG_VARIANT, train) : train]),
      ]),
    ),
  };
}

function diskBytes(
  model: Model,
  data: RunData,
  settings: Settings,
  { most }: Sample,
  { problems, prompt }: Counts,
): number {
  const space = new ComponentSpace(model.config);
  const traces = problems * (1 + settings.generate.samples) * (prompt + most) * TOKEN_BYTES;
  const items = [...Object.values(data.test).flat(), ...data.controls];
  const answers = 2 * items.reduce((sum, item) => sum + JSON.stringify(item).length + 4 * most, 0);
  const weights = chosenCount(space, settings) * model.config.hiddenSize;
  return Math.ceil(traces + answers + space.size * COMPONENT_BYTES + weights * WEIGHT_BYTES);
}

/** Components that are trained; a mask without a budget is taken to keep one in a hundred. */
const chosenCount = ({ size }: ComponentSpace, { mask: { budget } }: Settings): number =>
  budget === null ? Math.ceil(size / 100) : budgetCount(budget, size);
