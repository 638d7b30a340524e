import { command } from '../command.ts';
import { modelOptions, problemOptions, refuseResumeWithFresh, runOptions } from './common.ts';
import { counterparts, decodingOptions, presetOption, sampleOptions } from './settings.ts';

export const generate = command({
  name: 'generate',
  summary: 'answer the problems greedily and by sampling (stage 1: traces)',
  details: `Writes traces.jsonl to the run folder: per problem one greedy trace, and sampled
ones until enough have the other outcome.

  cca generate --model my-model --problems train.jsonl --out runs/first`,
  arguments: {},
  options: {
    ...modelOptions,
    ...problemOptions,
    ...presetOption,
    ...sampleOptions,
    counterparts,
    ...decodingOptions,
    ...runOptions,
  },
  validate: refuseResumeWithFresh,
});
