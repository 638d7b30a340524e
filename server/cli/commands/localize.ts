import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required } from '../options.ts';
import { file } from '../paths.ts';
import {
  checkEndpoint,
  endpointOptions,
  modelOptions,
  refuseResumeWithFresh,
  runOptions,
  shardOption,
} from './common.ts';
import { counterparts, decodingOptionsLike, localizeOptions, presetOption } from './settings.ts';

export const localize = command({
  name: 'localize',
  summary: 'find the tokens where traces go wrong or right (stage 1: pairs)',
  details: `Writes pairs.jsonl to the run folder: prefix, desired and undesired token of
every pivot.
  branching  completes the sampled trace greedily from each token that deviates
             from the most probable one; the first whose outcome flips is the
             pivot
  prefix     the first token where the two traces differ

  cca localize --model my-model --traces runs/first/traces.jsonl \\
      --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    traces: required(
      file(
        'traces.jsonl of `cca generate`, or NAME_greedy.json of the reference code beside NAME_non_greedy.json',
      ),
    ),
    limit: integer('N', 'take only the first N problems', { min: 1, fallbackText: 'all' }),
    ...presetOption,
    ...localizeOptions,
    counterparts,
    ...decodingOptionsLike('as the traces were generated'),
    ...endpointOptions,
    ...shardOption,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkEndpoint(values, given);
  },
});
