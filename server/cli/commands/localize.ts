import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { choice, required } from '../options.ts';
import { file } from '../paths.ts';
import { modelOptions, refuseResumeWithFresh, runOptions } from './common.ts';

export const localizeOptions = {
  method: choice('how the pivot of two traces is found', ['branching', 'prefix'], 'branching'),
  counterparts: integer('N', 'sampled traces of the other outcome used per problem', {
    min: 1,
    max: 1000,
    fallback: 3,
  }),
};

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
    traces: required(file('traces.jsonl of `cca generate`')),
    ...localizeOptions,
    limit: integer('N', 'take only the first N problems', { min: 1, fallbackText: 'all' }),
    ...runOptions,
  },
  validate: refuseResumeWithFresh,
});
