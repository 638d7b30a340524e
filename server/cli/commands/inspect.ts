import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required, text, toggle } from '../options.ts';
import { existingPath, file, folder } from '../paths.ts';
import {
  checkChat,
  checkScale,
  modelOptions,
  PAIR_SOURCES,
  patchOptions,
  problemOptions,
  scale,
} from './common.ts';
import { decodingOptions } from './settings.ts';

export const score = command({
  name: 'score',
  summary: 'log-probability, rank, entropy and top alternatives of every token of a text',
  details: `With --json the scores come in pieces as they are made ({"kind":"tokens"}), and
all of them in the result.

  cca score --model my-model --text "Two and two is four" --top-k 3`,
  arguments: {},
  options: {
    ...modelOptions,
    text: text('STR', 'the text'),
    file: file('a file with the text (UTF-8)'),
    topK: integer('K', 'alternatives shown per token', { min: 0, max: 1000, fallback: 5 }),
    ...patchOptions,
  },
  validate: (values, given) => {
    checkScale(values, given);
    if ((values.text === undefined) === (values.file === undefined)) {
      throw new InputError('cca score', 'needs either --text or --file', 'Give exactly one of them.');
    }
  },
});

export const attribute = command({
  name: 'attribute',
  summary: 'which earlier tokens, and which components, push desired over undesired for a pair',
  details: `Tokens: gradient x embedding of logit[desired] - logit[undesired]; positive pushes
toward desired. Components: gradient of the negative difference by the gate of
every head and neuron at the last position (gate = 2 x mask, at mask 1 unless
--gate says otherwise); negative pushes toward desired. With --json every pair is
one object ({"kind":"attribution"}) with all its figures.

  cca attribute --model my-model --pairs runs/first/pairs.jsonl --pair 3 --components`,
  arguments: {},
  options: {
    ...modelOptions,
    pairs: required(existingPath(PAIR_SOURCES)),
    pair: integer('N', 'only the Nth pair of the file, counted from 1', { min: 1, fallbackText: 'all' }),
    components: toggle('also the gradient of every head and neuron'),
    gate: integer('G', 'where the gates stand: 2 (mask 1) or 1 (the model as it is)', {
      min: 1,
      max: 2,
      fallback: 2,
    }),
    top: integer('N', 'tokens and components shown', { min: 1, max: 1_000_000, fallback: 20 }),
    ...patchOptions,
  },
  validate: checkScale,
});

export const diff = command({
  name: 'diff',
  summary:
    'answer problems with two models, patches or scales: flips, and where each pair of completions parts',
  details: `Compares the model (with --base-patch) with the model that --patch or
--changed-model makes of it. Shown are the completions whose answer turned right
or wrong, [-removed-] and {+added+}. With --json every problem is one object
({"kind":"diff"}).

  cca diff --model my-model --patch runs/first/patch.safetensors \\
      --problems test.jsonl --limit 100`,
  arguments: {},
  options: {
    ...modelOptions,
    ...problemOptions,
    ...patchOptions,
    changedModel: folder('another model to compare with (default: the same, with --patch)'),
    basePatch: file('patch of the side that is compared against'),
    baseScale: { ...scale, summary: 'how much of --base-patch to apply' },
    ...decodingOptions,
    all: toggle('show every completion that differs, not only flips'),
    show: integer('N', 'show at most N', { min: 0, fallback: 20 }),
  },
  validate: (values, given) => {
    checkScale(values, given);
    checkChat(values, given);
    if (given.has('baseScale') && !values.basePatch) {
      throw new InputError('--base-scale', 'has no meaning without a patch', 'Add --base-patch FILE.');
    }
    const patches = values.patch === values.basePatch && values.scale === values.baseScale;
    if (values.changedModel === undefined && (patches || (!values.patch && !values.basePatch))) {
      const remedy = 'Add --patch, --changed-model or another --scale.';
      throw new InputError('cca diff', 'both sides are the same', remedy);
    }
  },
});
