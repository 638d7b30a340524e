import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required, text, toggle } from '../options.ts';
import { file, fileOrFolder } from '../paths.ts';
import { modelOptions } from './common.ts';
import { scale } from './evaluate.ts';

export const score = command({
  name: 'score',
  summary: 'log-probability, rank, entropy and top alternatives of every token of a text',
  details: '  cca score --model my-model --text "Two and two is four" --top-k 3',
  arguments: {},
  options: {
    ...modelOptions,
    text: text('STR', 'the text'),
    file: file('a file with the text (UTF-8)'),
    topK: integer('K', 'alternatives shown per token', { min: 0, max: 1000, fallback: 5 }),
    patch: file('patch to apply first'),
    scale,
  },
  validate: ({ text: given, file: path }) => {
    if ((given === undefined) === (path === undefined)) {
      throw new InputError('cca score', 'needs either --text or --file', 'Give exactly one of them.');
    }
  },
});

export const attribute = command({
  name: 'attribute',
  summary: 'which earlier tokens, and which components, push desired over undesired for a pair',
  details: '  cca attribute --model my-model --pairs runs/first/pairs.jsonl --pair 3 --components',
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(file('pairs.jsonl of `cca localize`')),
    pair: integer('N', 'only the Nth pair of the file, counted from 1', { min: 1, fallbackText: 'all' }),
    components: toggle('also the gradient of every head and neuron'),
    top: integer('N', 'tokens and components shown', { min: 1, max: 1_000_000, fallback: 20 }),
    patch: file('patch to apply first'),
    scale,
  },
});

export const diff = command({
  name: 'diff',
  summary: 'compare the outputs of two evaluations: flips, and where each pair of completions parts',
  details: '  cca diff runs/base/samples.jsonl runs/first/samples.jsonl',
  arguments: {
    a: required(fileOrFolder('A', 'traces or samples (JSONL), or a run folder that has them')),
    b: required(fileOrFolder('B', 'the same for the other side')),
  },
  options: {
    all: toggle('show every completion that differs, not only flips'),
    limit: integer('N', 'show at most N', { min: 1, fallbackText: 'all' }),
  },
});
