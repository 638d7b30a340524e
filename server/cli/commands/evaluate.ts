import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer, real } from '../numbers.ts';
import { file } from '../paths.ts';
import { controlOptions, modelOptions, problemOptions, refuseResumeWithFresh, runOptions } from './common.ts';
import { generateOptions } from './generate.ts';

const { maxTokens, stop, batch, fewShot } = generateOptions;

/** 0 is the base model, 1 the patch as trained. */
export const scale = real('X', 'how much of the patch to apply: 0 none, 1 as trained', {
  min: -100,
  max: 100,
  fallback: 1,
});

export const evaluate = command({
  name: 'evaluate',
  summary: 'measure target and control suites, before and after, with paired statistics',
  details: `Writes report.json and samples.jsonl to the run folder. Without --patch the base
model alone is measured.

  cca evaluate --model my-model --problems test.jsonl --controls facts.jsonl \\
      --patch runs/first/patch.safetensors --out runs/first-test`,
  arguments: {},
  options: {
    ...modelOptions,
    ...problemOptions,
    ...controlOptions,
    patch: file('patch of `cca amplify`'),
    scale,
    against: file('another patch to compare with, instead of the base model'),
    controlLimit: integer('N', 'take only the first N items of every control suite', {
      min: 1,
      fallbackText: 'all',
    }),
    maxTokens,
    stop,
    batch,
    fewShot,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    const stray = ['scale', 'against'].find((key) => given.has(key));
    if (stray && !values.patch)
      throw new InputError(`--${stray}`, 'has no meaning without a patch', 'Add --patch FILE.');
  },
});
