/** Options that set what a result depends on. What the user does not give is the preset's. */
import {
  about,
  amplifyFields,
  evaluateFields,
  generateFields,
  guardFields,
  maskFields,
} from '../../engine/experiment/fields.ts';
import {
  PRESETS,
  type Preset,
  presetSettings,
  type SettingsOverrides,
} from '../../engine/experiment/settings.ts';
import type { Bounds } from '../../engine/experiment/spec.ts';
import { InputError } from '../../errors.ts';
import { defaultSettings, paperSettings, referenceSettings, type Settings } from '../../pipeline/settings.ts';
import { budget as budgetOption, integer, real } from '../numbers.ts';
import { choice, flagOf, optionalChoice, repeated, text, toggle, type Values } from '../options.ts';

export const presetOption = {
  preset: choice(about.preset, PRESETS, 'default'),
};

/** How the help shows what a setting is unless given. */
function unlessGiven(field: (settings: Settings) => unknown): { fallbackText: string } {
  const [own, paper, reference] = [defaultSettings, paperSettings, referenceSettings].map((settings) =>
    shown(field(settings)),
  );
  const others = [
    ...(paper === own ? [] : [`paper: ${paper}`]),
    ...(reference === paper ? [] : [`reference: ${reference}`]),
  ];
  return { fallbackText: [own, ...others].join('; ') };
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (value === Number.MAX_VALUE) return 'no limit';
  return String(value);
}

/** Fields that only one of the two mask selections has. */
const ofMask = (name: string) => (settings: Settings) =>
  (settings.mask as unknown as Record<string, unknown>)[name];
const ofDcm = (name: string) => ({ fallbackText: shown(ofMask(name)(paperSettings)) });

/** An option for a setting of an experiment file, with the same range and description. */
const asInteger = (
  placeholder: string,
  bounds: Bounds,
  unlessItIs: { fallbackText: string },
  unit?: string,
) => integer(placeholder, bounds.about, { ...limits(bounds), ...unlessItIs, ...(unit && { unit }) });
const asReal = (placeholder: string, bounds: Bounds, unlessItIs: { fallbackText: string }, unit?: string) =>
  real(placeholder, bounds.about, { ...limits(bounds), ...unlessItIs, ...(unit && { unit }) });
const limits = ({ about: _, ...bounds }: Bounds) => bounds;

export const decodingOptions = {
  maxTokens: asInteger(
    'N',
    generateFields.maxTokens,
    unlessGiven((s) => s.generate.maxTokens),
    'tokens',
  ),
  stop: repeated(
    text('STR', 'end a completion at this text, beside the end of its answer sentence (may be repeated)'),
  ),
  batch: asInteger(
    'N',
    generateFields.batch,
    unlessGiven((s) => s.generate.batch),
  ),
};

/** The same where an earlier run says how it completed problems. */
export const decodingOptionsLike = (where: string) => {
  const { maxTokens, stop, batch } = decodingOptions;
  const asThere = (fallback: string | undefined) => ({
    fallbackText: `${where}, where a run folder tells; else ${fallback ?? 'none'}`,
  });
  return {
    maxTokens: { ...maxTokens, ...asThere(maxTokens.fallbackText) },
    stop: { ...stop, ...asThere(stop.fallbackText) },
    batch: { ...batch, ...asThere(batch.fallbackText) },
  };
};

const { samples, temperatureWrong, temperatureRight, topP, topK } = generateFields;
export const sampleOptions = {
  samples: asInteger(
    'N',
    samples,
    unlessGiven((s) => s.generate.samples),
  ),
  temperatureWrong: asReal(
    'T',
    temperatureWrong,
    unlessGiven((s) => s.generate.temperatureWrong),
  ),
  temperatureRight: asReal(
    'T',
    temperatureRight,
    unlessGiven((s) => s.generate.temperatureRight),
  ),
  topP: asReal(
    'P',
    topP,
    unlessGiven((s) => s.generate.topP),
  ),
  topK: asInteger(
    'K',
    topK,
    unlessGiven((s) => s.generate.topK),
  ),
};

export const counterparts = asInteger(
  'N',
  generateFields.counterparts,
  unlessGiven((s) => s.localize.counterparts),
);

export const localizeOptions = {
  method: optionalChoice(
    about.method,
    ['branching', 'prefix'],
    unlessGiven((s) => s.localize.method).fallbackText,
  ),
};

export const selectionOptions = {
  select: optionalChoice(about.select, ['fisher', 'dcm'], unlessGiven((s) => s.mask.select).fallbackText),
  budget: budgetOption('size of the circuit', unlessGiven((s) => s.mask.budget).fallbackText),
  lambda: asReal('X', maskFields.lambda, unlessGiven(ofMask('lambda'))),
};

/** Of dcm only. */
export const maskTrainingOptions = {
  epochs: asInteger('N', maskFields.epochs, ofDcm('epochs')),
  maskBatch: asInteger('N', maskFields.batch, ofDcm('batch')),
  maskLr: asReal('X', maskFields.learningRate, ofDcm('learningRate')),
  referenceLoss: toggle(
    "score every pair's logits against every pair's tokens, as the reference code does (dcm)",
  ),
};

export const amplifyOptions = {
  objective: optionalChoice(
    about.loss,
    ['margin', 'softplus'],
    unlessGiven((s) => s.amplify.loss).fallbackText,
  ),
  optimizer: optionalChoice(
    about.optimizer,
    ['sgd', 'adam'],
    unlessGiven((s) => s.amplify.optimizer).fallbackText,
  ),
  lr: asReal(
    'X',
    amplifyFields.learningRate,
    unlessGiven((s) => s.amplify.learningRate),
  ),
  steps: asInteger(
    'N',
    amplifyFields.steps,
    unlessGiven((s) => s.amplify.steps),
  ),
  pairsPerStep: asInteger(
    'N',
    amplifyFields.pairsPerStep,
    unlessGiven((s) => s.amplify.pairsPerStep),
  ),
  klControl: asReal(
    'W',
    amplifyFields.klControl,
    unlessGiven((s) => s.amplify.klControl),
  ),
  klTraces: asReal(
    'W',
    amplifyFields.klTraces,
    unlessGiven((s) => s.amplify.klTraces),
  ),
  validateEvery: asInteger(
    'N',
    amplifyFields.validateEvery,
    unlessGiven((s) => s.amplify.validateEvery),
  ),
  maxDrop: asReal(
    'X',
    guardFields.maxDrop,
    unlessGiven((s) => s.amplify.guard.maxDrop),
  ),
  maxKl: asReal(
    'X',
    guardFields.maxKl,
    unlessGiven((s) => s.amplify.guard.maxKl),
  ),
  unguarded: toggle('watch the suites, but never stop for them'),
  trainGateDown: toggle('also train the gate_proj rows and down_proj columns of the chosen neurons'),
};

export const evaluateOptions = {
  maxAnswerTokens: asInteger(
    'N',
    evaluateFields.maxAnswerTokens,
    unlessGiven((s) => s.evaluate.maxAnswerTokens),
  ),
};

const allSettings = {
  ...decodingOptions,
  ...sampleOptions,
  counterparts,
  ...localizeOptions,
  ...selectionOptions,
  ...maskTrainingOptions,
  ...amplifyOptions,
  ...evaluateOptions,
};

/** The settings that were given in place of the preset's. Options that a command does not have are absent. */
export function overridesOf(values: Partial<Values<typeof allSettings>>): SettingsOverrides {
  const { maxTokens, batch, stop = [], counterparts: wanted, budget } = values;
  const stopped = stop.length > 0 ? { strings: stop } : undefined;
  const guard = values.unguarded
    ? { maxDrop: Number.MAX_VALUE, maxKl: Number.MAX_VALUE }
    : defined({ maxDrop: values.maxDrop, maxKl: values.maxKl });
  return {
    generate: defined({
      samples: values.samples,
      counterparts: wanted,
      temperatureWrong: values.temperatureWrong,
      temperatureRight: values.temperatureRight,
      topP: values.topP,
      topK: values.topK,
      maxTokens,
      batch,
      stop: stopped,
    }),
    localize: defined({ method: values.method, counterparts: wanted }),
    mask: defined({
      select: values.select,
      budget: budget && ('fraction' in budget ? budget.fraction : budget.count),
      lambda: values.lambda,
      epochs: values.epochs,
      batch: values.maskBatch,
      learningRate: values.maskLr,
      pairing: values.referenceLoss ? 'reference' : undefined,
    }),
    amplify: defined({
      loss: values.objective,
      optimizer: values.optimizer,
      learningRate: values.lr,
      steps: values.steps,
      pairsPerStep: values.pairsPerStep,
      klControl: values.klControl,
      klTraces: values.klTraces,
      validateEvery: values.validateEvery,
      guard,
      neurons: values.trainGateDown ? 'up+gate+down' : undefined,
    }),
    evaluate: defined({ maxTokens, batch, maxAnswerTokens: values.maxAnswerTokens, stop: stopped }),
  };
}

/** Fields that have a value. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Options of one selection given together with the other are a misunderstanding, not something to ignore. */
export function checkSelection(
  values: { preset: Preset; select: 'fisher' | 'dcm' | undefined },
  given: ReadonlySet<string>,
): void {
  if (given.has('lambda') && given.has('budget')) {
    throw new InputError('--lambda', 'excludes --budget', 'Give one of them.');
  }
  const stray = ['lambda', 'epochs', 'maskBatch', 'maskLr', 'referenceLoss'].find((key) => given.has(key));
  if (stray && selectionOf(values) === 'fisher') {
    const what = `fisher trains no mask, so ${flagOf(stray)} has no meaning`;
    throw new InputError('--select', what, 'Add --select dcm.');
  }
}

/** How components are chosen, by the user or the preset. */
export function selectionOf(values: {
  preset: Preset;
  select: 'fisher' | 'dcm' | undefined;
}): 'fisher' | 'dcm' {
  return values.select ?? presetSettings[values.preset].mask.select;
}

/** Checks of the guard and the KL terms against what there is to compute them on. */
export function checkGuard(values: {
  maxDrop: number | undefined;
  maxKl: number | undefined;
  unguarded: boolean;
  klControl: number | undefined;
  text: readonly string[];
}): void {
  const limit = values.maxDrop === undefined ? values.maxKl : values.maxDrop;
  if (values.unguarded && limit !== undefined) {
    const flag = values.maxDrop === undefined ? '--max-kl' : '--max-drop';
    throw new InputError(flag, 'excludes --unguarded', 'Give one of them.');
  }
  if (values.klControl && values.text.length === 0) {
    throw new InputError('--kl-control', 'there is no control text', 'Add --text FILE, or set it to 0.');
  }
}

/** Two suites of one name would be counted as one. */
export function checkNames(flag: string, suites: readonly { name: string }[]): void {
  const names = suites.map((suite) => suite.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new InputError(flag, `two suites are called ${twice}`, 'Give FILE=NAME with different names.');
}
