import { command } from '../command.ts';
import {
  checkChat,
  checkEndpoint,
  endpointOptions,
  modelOptions,
  problemOptions,
  refuseResumeWithFresh,
  runOptions,
  shardOption,
} from './common.ts';
import { counterparts, decodingOptions, presetOption, sampleOptions } from './settings.ts';

export const generate = command({
  name: 'generate',
  summary: 'answer the problems greedily and by sampling (stage 1: traces)',
  details: `Writes traces.jsonl to the run folder: per problem one greedy trace, and sampled
ones until enough have the other outcome.

  cca generate --model my-model --problems train.jsonl --out runs/first

On a server that serves the model, and as a part of a job array:

  cca generate --model my-model --problems train.jsonl --out runs/first \\
      --endpoint http://node7:8000 --endpoint-model my-model
  cca generate --model my-model --problems train.jsonl --shard $I/8 --out part-$I`,
  arguments: {},
  options: {
    ...modelOptions,
    ...problemOptions,
    ...presetOption,
    ...sampleOptions,
    counterparts,
    ...decodingOptions,
    ...endpointOptions,
    ...shardOption,
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkChat(values, given);
    checkEndpoint(values, given);
  },
});
