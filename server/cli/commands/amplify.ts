import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer, namedLimit, real } from '../numbers.ts';
import { choice, optionalChoice, repeated, required, toggle } from '../options.ts';
import { file } from '../paths.ts';
import { controlOptions, modelOptions, refuseResumeWithFresh, runOptions } from './common.ts';

/** Settings that a preset fills in where the user gives none. */
export interface AmplifySettings {
  objective: 'margin' | 'softplus';
  optimizer: 'sgd' | 'adam';
  lr: number;
  steps: number;
  /** Weights of the KL terms. */
  klControl: number;
  klTraces: number;
}

export const PRESETS: Record<'default' | 'paper', AmplifySettings> = {
  default: { objective: 'softplus', optimizer: 'adam', lr: 0.005, steps: 60, klControl: 3, klTraces: 0.3 },
  paper: { objective: 'margin', optimizer: 'sgd', lr: 1e-4, steps: 50, klControl: 0, klTraces: 0 },
};

function byPreset(key: keyof AmplifySettings): string {
  return `${PRESETS.default[key]}; paper: ${PRESETS.paper[key]}`;
}

export const amplifyOptions = {
  preset: choice(
    "this product's recipe, or the paper's exact one; single settings below override it",
    ['default', 'paper'],
    'default',
  ),
  objective: optionalChoice(
    'loss on the margin logit[desired] - logit[undesired]: its negative, or softplus of its negative',
    ['margin', 'softplus'],
    byPreset('objective'),
  ),
  optimizer: optionalChoice(
    'gradient descent on all pairs, or Adam on batches',
    ['sgd', 'adam'],
    byPreset('optimizer'),
  ),
  steps: integer('N', 'optimiser steps', { min: 1, max: 1_000_000, fallbackText: byPreset('steps') }),
  klControl: real('W', 'weight of the KL divergence from the base model on control text', {
    min: 0,
    max: 1e6,
    fallbackText: byPreset('klControl'),
  }),
  klTraces: real('W', 'weight of the KL divergence from the base model on its own correct traces', {
    min: 0,
    max: 1e6,
    fallbackText: byPreset('klTraces'),
  }),
  guard: repeated(
    namedLimit(
      'NAME=LIMIT',
      'stop and roll back when control suite NAME falls by more (may be repeated); all=0.5 unless given',
      'percentage points; `all` for every suite, `kl=X` for X nats of mean KL from the base model on control text',
    ),
  ),
  unguarded: toggle('watch the control suites, but never stop for them'),
  trainGateDown: toggle('also train the gate_proj rows and down_proj columns of the chosen neurons'),
};

export const learningRate = real('X', 'learning rate', { above: 0, max: 1000, fallbackText: byPreset('lr') });

type Asked = { preset: keyof typeof PRESETS } & {
  [K in keyof AmplifySettings]?: AmplifySettings[K] | undefined;
};

/** The preset's settings with those that the user gave in their place. */
export function amplifySettings(asked: Asked): AmplifySettings {
  const preset = PRESETS[asked.preset];
  return {
    objective: asked.objective ?? preset.objective,
    optimizer: asked.optimizer ?? preset.optimizer,
    lr: asked.lr ?? preset.lr,
    steps: asked.steps ?? preset.steps,
    klControl: asked.klControl ?? preset.klControl,
    klTraces: asked.klTraces ?? preset.klTraces,
  };
}

/** Checks of the guard and the KL term against the control suites there are. */
export function checkGuard(values: {
  guard: { name: string; limit: number }[];
  unguarded: boolean;
  controls: { name: string }[];
  klControl: number | undefined;
}): void {
  if (values.unguarded && values.guard.length > 0) {
    throw new InputError('--guard', 'excludes --unguarded', 'Give one of them.');
  }
  const names = values.controls.map((suite) => suite.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice)
    throw new InputError(
      '--controls',
      `two suites are called ${twice}`,
      'Give FILE=NAME with different names.',
    );
  const unknown = values.guard.find(({ name }) => !['all', 'kl', ...names].includes(name));
  if (unknown) {
    throw new InputError(
      '--guard',
      `there is no control suite ${unknown.name}`,
      `Give one of ${['all', 'kl', ...names].join(', ')}.`,
    );
  }
  if (values.klControl && names.length === 0) {
    throw new InputError('--kl-control', 'there is no control text', 'Add --controls FILE, or set it to 0.');
  }
}

export const amplify = command({
  name: 'amplify',
  summary: 'train only the chosen components, under guard (stage 3: the patch)',
  details: `Writes patch.safetensors and the training curve to the run folder. The best step
on the validation problems is kept.

  cca amplify --model my-model --pairs runs/first/pairs.jsonl \\
      --mask runs/first/mask.json --problems validation.jsonl --controls facts.jsonl --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(file('pairs.jsonl of `cca localize`')),
    mask: required(file('mask.json of `cca mask`')),
    problems: file('validation problems: the best step is chosen by them'),
    traces: file('traces.jsonl of `cca generate`, for the KL term on correct traces'),
    ...controlOptions,
    ...amplifyOptions,
    lr: learningRate,
    limit: integer('N', 'take only the first N pairs', { min: 1, fallbackText: 'all' }),
    ...runOptions,
  },
  validate: (values) => {
    refuseResumeWithFresh(values);
    checkGuard(values);
    if (values.klTraces && !values.traces) {
      throw new InputError('--kl-traces', 'there are no traces', 'Add --traces FILE, or set it to 0.');
    }
  },
});
