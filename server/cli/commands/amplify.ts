import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required } from '../options.ts';
import { existingPath, file } from '../paths.ts';
import {
  checkChat,
  guardSuites,
  modelOptions,
  PAIR_SOURCES,
  promptOptions,
  refuseResumeWithFresh,
  runOptions,
  textOptions,
} from './common.ts';
import {
  amplifyOptions,
  checkGuard,
  checkNames,
  decodingOptionsLike,
  evaluateOptions,
  presetOption,
} from './settings.ts';

export const amplify = command({
  name: 'amplify',
  summary: 'train only the chosen components, under guard (stage 3: the patch)',
  details: `Writes patch.safetensors to the run folder. The step that does best on the
validation problems within the limits is kept. Terms of the loss whose data are
not given (--text, --traces) are left out.

  cca amplify --model my-model --pairs runs/first/pairs.jsonl \\
      --mask runs/first/mask.json --problems val.jsonl --text text.jsonl \\
      --traces runs/first/traces.jsonl --watch facts.jsonl --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(existingPath(PAIR_SOURCES)),
    mask: required(file('mask.json of `cca mask`')),
    problems: required(file('validation problems: the best step is chosen by them')),
    ...promptOptions,
    traces: file('traces.jsonl of `cca generate`, for the KL term on correct traces'),
    watch: guardSuites,
    ...textOptions,
    limit: integer('N', 'take only the first N pairs', { min: 1, fallbackText: 'all' }),
    ...presetOption,
    ...amplifyOptions,
    ...decodingOptionsLike('as the traces and pairs were made'),
    ...evaluateOptions,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkChat(values, given);
    checkGuard(values);
    checkNames('--watch', values.watch);
    if (values.klTraces && !values.traces) {
      throw new InputError('--kl-traces', 'there are no traces', 'Add --traces FILE, or set it to 0.');
    }
  },
});
