import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required } from '../options.ts';
import { existingPath } from '../paths.ts';
import { modelOptions, PAIR_SOURCES, refuseResumeWithFresh, runOptions, textOptions } from './common.ts';
import {
  checkSelection,
  maskTrainingOptions,
  presetOption,
  selectionOf,
  selectionOptions,
} from './settings.ts';

export const mask = command({
  name: 'mask',
  summary: 'choose the components that push toward the desired tokens (stage 2: the circuit)',
  details: `Writes mask.json to the run folder.
  fisher  squared gradient of the pair loss over the rows of a component, divided
          by their Fisher information on control text (needs --text)
  dcm     the mask of the paper, trained on the pairs

  cca mask --model my-model --pairs runs/first/pairs.jsonl \\
      --text facts.jsonl --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(existingPath(PAIR_SOURCES)),
    limit: integer('N', 'take only the first N pairs', { min: 1, fallbackText: 'all' }),
    ...textOptions,
    ...presetOption,
    ...selectionOptions,
    ...maskTrainingOptions,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkSelection(values, given);
    if (selectionOf(values) === 'fisher' && values.text.length === 0) {
      const remedy = 'Add --text FILE, or choose --select dcm.';
      throw new InputError('--select', 'fisher needs control text to compare with', remedy);
    }
  },
});
