import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { budget, integer, real } from '../numbers.ts';
import { choice, required, toggle } from '../options.ts';
import { file } from '../paths.ts';
import { controlOptions, modelOptions, refuseResumeWithFresh, runOptions } from './common.ts';

export const maskOptions = {
  select: choice('how components are chosen', ['fisher', 'dcm'], 'fisher'),
  budget: budget('size of the circuit', { fraction: 0.015 }),
  lambda: real('X', 'weight of the sparsity term (dcm), instead of a budget', { min: 0, max: 1e6 }),
};

/** Of dcm only. */
export const maskTrainingOptions = {
  epochs: integer('N', 'passes over the pairs at most (dcm)', { min: 1, max: 100_000, fallback: 50 }),
  batch: integer('N', 'pairs per step (dcm)', { min: 1, max: 4096, fallback: 8 }),
  lr: real('X', 'learning rate of the mask (dcm)', { above: 0, max: 10, fallback: 0.005 }),
  referenceLoss: toggle(
    "score every pair's logits against every pair's tokens, as the reference code does (dcm)",
  ),
};

/** Options of one selection given together with the other are a misunderstanding, not something to ignore. */
export function checkSelection(
  values: { select: string },
  given: ReadonlySet<string>,
  dcmOnly: string[],
): void {
  if (given.has('lambda') && given.has('budget')) {
    throw new InputError('--lambda', 'excludes --budget', 'Give one of them.');
  }
  const stray = ['lambda', ...dcmOnly].find((key) => given.has(key));
  if (values.select === 'fisher' && stray) {
    throw new InputError(
      '--select',
      `fisher trains no mask, so --${stray} has no meaning`,
      'Add --select dcm.',
    );
  }
}

export const mask = command({
  name: 'mask',
  summary: 'choose the components that push toward the desired tokens (stage 2: the circuit)',
  details: `Writes mask.json to the run folder.
  fisher  squared gradient of the pair loss over the rows of a component, divided
          by their Fisher information on the control suites (needs --controls)
  dcm     the mask of the paper, trained on the pairs

  cca mask --model my-model --pairs runs/first/pairs.jsonl \\
      --controls facts.jsonl --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(
      file('pairs.jsonl of `cca localize`, or pivots in the formats of PTS or the reference code'),
    ),
    ...maskOptions,
    ...maskTrainingOptions,
    ...controlOptions,
    limit: integer('N', 'take only the first N pairs', { min: 1, fallbackText: 'all' }),
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkSelection(values, given, ['epochs', 'batch', 'lr']);
    if (values.referenceLoss && values.select === 'fisher') {
      throw new InputError('--reference-loss', 'has no meaning with --select fisher', 'Add --select dcm.');
    }
    if (values.select === 'fisher' && values.controls.length === 0) {
      const remedy = 'Add --controls FILE, or choose --select dcm.';
      throw new InputError('--select', 'fisher needs control text to compare with', remedy);
    }
  },
});
