import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { optionalChoice, toggle } from '../options.ts';
import { file, folder, newFolder } from '../paths.ts';
import {
  controlOptions,
  guardSuites,
  modelOptions,
  promptOptions,
  runOptions,
  textOptions,
} from './common.ts';
import {
  amplifyOptions,
  checkGuard,
  checkNames,
  checkSelection,
  counterparts,
  decodingOptions,
  evaluateOptions,
  localizeOptions,
  maskTrainingOptions,
  presetOption,
  sampleOptions,
  selectionOptions,
} from './settings.ts';

const { device, threads } = modelOptions;
const { seed, resume, fresh } = runOptions;

export const run = command({
  name: 'run',
  summary: 'the whole amplification: generate, localize, mask, amplify, evaluate',
  details: `Everything may be written in an experiment file (JSON, with a schema in
media/experiment.schema.json; its paths count from its own folder); options given
here override it. Without one, --model, --problems and --out are needed. Problems
are split per template into training, validation and test unless they carry a
split of their own. Of every control suite, unless --watch and --text are given, a
fifth serves as control text, a fifth is watched while training, and the rest
scores the result.

  cca run --model my-model --problems problems.jsonl \\
      --controls facts.jsonl --out runs/first
  cca run --experiment experiment.json --out runs/second --seed 2`,
  arguments: {},
  options: {
    experiment: file('experiment file: model, data, splits, settings of the stages, limits'),
    model: folder(modelOptions.model.summary),
    device,
    threads,
    problems: file('problems: JSONL (own, GSM8K or GSM-Symbolic)'),
    ...promptOptions,
    ...controlOptions,
    watch: guardSuites,
    ...textOptions,
    out: newFolder(runOptions.out.summary),
    seed,
    resume,
    fresh,
    limit: integer('N', 'take only the first N problems of every split', { min: 1, fallbackText: 'all' }),
    controlLimit: integer('N', 'take only the first N items of every control file', {
      min: 1,
      fallbackText: 'all',
    }),
    full: toggle(
      "five seeds (or --seeds), a random circuit beside each, and on the first the other matched controls: all components, the paper's recipe, LoRA, full fine-tuning",
    ),
    seeds: integer('N', 'repeat with N seeds, starting at --seed; each in a folder of its own in --out', {
      min: 1,
      max: 1000,
      fallback: 1,
    }),
    preset: optionalChoice(presetOption.preset.summary, ['default', 'paper'], 'default'),
    ...sampleOptions,
    counterparts,
    ...decodingOptions,
    ...localizeOptions,
    ...selectionOptions,
    ...maskTrainingOptions,
    ...amplifyOptions,
    ...evaluateOptions,
  },
  validate: (values, given) => {
    if (values.resume && values.fresh) {
      throw new InputError('--resume', 'excludes --fresh', 'Give one of them.');
    }
    checkNames('--controls', values.controls);
    checkNames('--watch', values.watch);
    if (given.has('lambda') && given.has('budget')) {
      throw new InputError('--lambda', 'excludes --budget', 'Give one of them.');
    }
    if (values.experiment) return;
    const missing = (['model', 'problems', 'out'] as const).find((key) => !values[key]);
    if (missing) {
      const remedy = 'Give it, or an --experiment file that has it.';
      throw new InputError('cca run', `needs --${missing}`, remedy);
    }
    checkSelection({ preset: values.preset ?? 'default', select: values.select }, given);
    const text = [...values.text, ...values.controls.map((suite) => suite.path)];
    checkGuard({ ...values, text });
  },
});
