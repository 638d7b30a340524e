import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { file } from '../paths.ts';
import {
  checkChat,
  checkScale,
  controlOptions,
  modelOptions,
  problemOptions,
  refuseResumeWithFresh,
  runOptions,
  scale,
  shardOption,
} from './common.ts';
import { checkNames, decodingOptionsLike, evaluateOptions } from './settings.ts';

export const evaluate = command({
  name: 'evaluate',
  summary: 'measure target and control suites, before and after, with paired statistics',
  details: `Writes report.json, flips.jsonl and every answer (evaluate-samples.jsonl) to the
run folder. Without --patch the base model alone is measured.

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
    ...decodingOptionsLike('as when the patch was trained'),
    ...evaluateOptions,
    ...shardOption,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkChat(values, given);
    checkScale(values, given);
    checkNames('--controls', values.controls);
    if (values.against && !values.patch)
      throw new InputError('--against', 'has no meaning without a patch', 'Add --patch FILE.');
  },
});
