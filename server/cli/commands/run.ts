import { VARIANTS } from '../../engine/experiment/experiment.ts';
import { PRESETS } from '../../engine/experiment/settings.ts';
import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { assignment, optionalChoice, repeated, toggle } from '../options.ts';
import { existingPath, file, folder, newFolder } from '../paths.ts';
import {
  checkEndpoint,
  controlOptions,
  endpointOptions,
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

const { device, threads, lean } = modelOptions;
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
  cca run --experiment experiment.json --out runs/second --seed 2

A part of it: --until mask ends after the circuit, --redo amplify trains again
what is finished. Traces and pairs of an earlier run, with the pivots that you
edited in its documents, and a circuit of your own:

  cca run --experiment experiment.json --from runs/first \\
      --circuit my-circuit.json --out runs/third`,
  arguments: {},
  options: {
    experiment: file('experiment file: model, data, splits, settings of the stages, limits'),
    model: folder(modelOptions.model.summary),
    device,
    threads,
    lean,
    problems: file('problems: JSONL (own, GSM8K or GSM-Symbolic)'),
    ...promptOptions,
    ...controlOptions,
    watch: guardSuites,
    ...textOptions,
    out: newFolder(runOptions.out.summary),
    seed,
    resume,
    fresh,
    until: optionalChoice('end after this stage', ['generate', 'localize', 'mask', 'amplify'], 'all stages'),
    redo: optionalChoice(
      'do this stage and those after it again; what is before it is kept',
      ['generate', 'localize', 'mask', 'amplify', 'evaluate'],
      'nothing',
    ),
    from: folder('run of the same model whose traces and pairs are taken over'),
    pairs: existingPath(
      'pairs in place of located ones: a file, a run folder, or a folder of trace documents with pivots edited by hand',
    ),
    circuit: file('mask file with the circuit, in place of a selected one'),
    set: repeated(
      assignment("a setting of the experiment file's `settings`, such as amplify.steps=40 (may be repeated)"),
    ),
    variant: repeated(
      optionalChoice(
        "matched control or baseline to run beside it (may be repeated); none: not even the experiment's",
        [...VARIANTS, 'none'],
        "the experiment's",
      ),
    ),
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
    preset: optionalChoice(presetOption.preset.summary, PRESETS, 'default'),
    ...sampleOptions,
    counterparts,
    ...decodingOptions,
    ...localizeOptions,
    ...selectionOptions,
    ...maskTrainingOptions,
    ...amplifyOptions,
    ...evaluateOptions,
    ...endpointOptions,
  },
  validate: (values, given) => {
    if (values.resume && values.fresh) {
      throw new InputError('--resume', 'excludes --fresh', 'Give one of them.');
    }
    checkEndpoint(values, given);
    checkNames('--controls', values.controls);
    checkNames('--watch', values.watch);
    if (values.redo && values.fresh) {
      throw new InputError('--redo', 'excludes --fresh', 'Give one of them.');
    }
    if ((values.until || values.redo) && (given.has('seeds') || values.full)) {
      const flag = values.until ? '--until' : '--redo';
      throw new InputError(flag, 'is for one seed', 'Leave out --seeds and --full.');
    }
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
