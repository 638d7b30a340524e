import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { toggle } from '../options.ts';
import { file, folder, newFolder } from '../paths.ts';
import { amplifyOptions, checkGuard, learningRate } from './amplify.ts';
import { controlOptions, modelOptions, refuseResumeWithFresh, runOptions } from './common.ts';
import { generateOptions } from './generate.ts';
import { localizeOptions } from './localize.ts';
import { checkSelection, maskOptions, maskTrainingOptions } from './mask.ts';

export const run = command({
  name: 'run',
  summary: 'the whole amplification: generate, localize, mask, amplify, evaluate',
  details: `Everything may be written in an experiment file (JSON); options given here
override it. Without one, --model, --problems and --out are needed. Problems are
split per template into training, validation and test unless they carry a split
of their own.

  cca run --model my-model --problems problems.jsonl \\
      --controls facts.jsonl --out runs/first
  cca run --experiment experiment.json --out runs/second --seed 2`,
  arguments: {},
  options: {
    experiment: file('experiment file: model, data, splits, settings of the stages, limits'),
    ...modelOptions,
    model: folder(modelOptions.model.summary),
    problems: file('problems: JSONL (own, GSM8K or GSM-Symbolic)'),
    ...controlOptions,
    ...runOptions,
    out: newFolder(runOptions.out.summary),
    limit: integer('N', 'take only the first N problems', { min: 1, fallbackText: 'all' }),
    controlLimit: integer('N', 'take only the first N items of every control suite', {
      min: 1,
      fallbackText: 'all',
    }),
    full: toggle('also run the matched controls: random circuits, all components, LoRA, full fine-tuning'),
    seeds: integer('N', 'repeat with N pair-set seeds, starting at --seed', {
      min: 1,
      max: 1000,
      fallback: 1,
    }),
    ...generateOptions,
    ...localizeOptions,
    ...maskOptions,
    maskEpochs: maskTrainingOptions.epochs,
    maskBatch: maskTrainingOptions.batch,
    maskLr: maskTrainingOptions.lr,
    referenceLoss: maskTrainingOptions.referenceLoss,
    ...amplifyOptions,
    lr: learningRate,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    if (!values.experiment) {
      const missing = (['model', 'problems', 'out'] as const).find((key) => !values[key]);
      if (missing)
        throw new InputError(
          'cca run',
          `needs --${missing}`,
          'Give it, or an --experiment file that has it.',
        );
      checkGuard(values);
      checkSelection(values, given, []);
    }
  },
});
