import { command } from '../command.ts';
import { integer, real } from '../numbers.ts';
import { repeated, text } from '../options.ts';
import { file } from '../paths.ts';
import { modelOptions, problemOptions, refuseResumeWithFresh, runOptions } from './common.ts';

export const generateOptions = {
  samples: integer('N', 'sampled traces per problem at most', { min: 0, max: 1000, fallback: 10 }),
  temperatureWrong: real('T', 'sampling temperature where greedy decoding was wrong', {
    above: 0,
    max: 10,
    fallback: 0.8,
  }),
  temperatureRight: real('T', 'sampling temperature where greedy decoding was right', {
    above: 0,
    max: 10,
    fallback: 1.2,
  }),
  topP: real('P', 'sample from the most probable tokens that hold this probability', {
    above: 0,
    max: 1,
    fallback: 1,
  }),
  topK: integer('K', 'sample from the K most probable tokens, 0 for all', { min: 0, fallback: 0 }),
  maxTokens: integer('N', 'longest completion', { min: 1, max: 1_000_000, unit: 'tokens', fallback: 512 }),
  stop: repeated(text('STR', 'end a completion at this text (may be repeated)')),
  batch: integer('N', 'sequences decoded together', { min: 1, max: 4096, fallback: 32 }),
  fewShot: file('worked examples put before every problem: a text file, or JSONL of problems'),
};

export const generate = command({
  name: 'generate',
  summary: 'answer the problems greedily and by sampling (stage 1: traces)',
  details: `Writes traces.jsonl to the run folder: per problem one greedy trace, and sampled
ones until one has the other outcome.

  cca generate --model my-model --problems train.jsonl --out runs/first`,
  arguments: {},
  options: { ...modelOptions, ...problemOptions, ...generateOptions, ...runOptions },
  validate: refuseResumeWithFresh,
});
