import { endpointDefaults } from '../../engine/experiment/endpoint.ts';
import { about, DATE, DEVICE_WORDS, endpointFields, SEED, THREADS } from '../../engine/experiment/fields.ts';
import { InputError } from '../../errors.ts';
import { parseShard, type Shard } from '../../runs/shard.ts';
import { integer, real } from '../numbers.ts';
import {
  choice,
  flagOf,
  option,
  optionalChoice,
  quote,
  repeated,
  required,
  text,
  toggle,
} from '../options.ts';
import { file, folder, namedFile, newFolder } from '../paths.ts';

/** Where the model is and what runs it. */
export const modelOptions = {
  model: required(folder('Hugging Face folder of the model (config.json, tokenizer.json, safetensors)')),
  device: choice('where the model runs', DEVICE_WORDS, 'auto'),
  threads: integer('N', THREADS.about, {
    min: THREADS.min,
    max: THREADS.max,
    fallbackText: 'one per core, at most 8',
  }),
  lean: toggle(about.lean),
};

/** Where a stage keeps its work, and from which seed. */
export const runOptions = {
  out: required(newFolder('run folder; finished work in it is kept and gone on from')),
  seed: integer('N', SEED.about, { min: SEED.min, max: SEED.max, fallback: 0 }),
  resume: toggle('go on from finished work in --out (this is the default)'),
  fresh: toggle('delete what earlier runs of this command left in --out and start over'),
};

/** A server that generates in place of the model here. */
export const endpointOptions = {
  endpoint: text('URL', about.endpointUrl),
  endpointModel: text('NAME', about.endpointModel),
  endpointConcurrency: integer('N', endpointFields.concurrency.about, {
    min: endpointFields.concurrency.min,
    max: endpointFields.concurrency.max,
    fallbackText: String(endpointDefaults.concurrency),
  }),
  endpointTimeout: integer('S', endpointFields.timeout.about, {
    min: endpointFields.timeout.min,
    max: endpointFields.timeout.max,
    fallbackText: String(endpointDefaults.timeout),
  }),
  endpointRetries: integer('N', endpointFields.retries.about, {
    min: endpointFields.retries.min,
    max: endpointFields.retries.max,
    fallbackText: String(endpointDefaults.retries),
  }),
  endpointKeyEnv: text('VARIABLE', about.endpointKeyEnv),
};

/** A server is named by address and model; the rest says how to ask it. A key may be for an experiment's own server. */
export function checkEndpoint(
  values: {
    endpoint: string | undefined;
    endpointModel: string | undefined;
    experiment?: string | undefined;
  },
  given: ReadonlySet<string>,
): void {
  if (values.endpoint !== undefined && values.endpointModel === undefined) {
    throw new InputError('--endpoint', "needs the model's name there", 'Add --endpoint-model NAME.');
  }
  const own = values.experiment === undefined ? null : 'endpointKeyEnv';
  const stray = Object.keys(endpointOptions).find((key) => given.has(key) && key !== own);
  if (values.endpoint === undefined && stray !== undefined) throw withoutServer(stray);
}

export const withoutServer = (option: string): InputError =>
  new InputError(flagOf(option), 'has no meaning without a server', 'Add --endpoint URL.');

/** A part of a stage's work, for a scheduler that runs many. */
export const shardOption = {
  shard: option<Shard | undefined>({
    placeholder: 'I/N',
    summary: 'do only part I of N, in a run folder of its own; `cca merge` puts the parts together',
    range: '1/N to N/N',
    parse: (value, flag): Shard => {
      const shard = parseShard(value);
      if (shard) return shard;
      throw new InputError(flag, `${quote(value)} is no part of a whole`, 'Give I/N, from 1/N to N/N.');
    },
  }),
};

export const chatOptions = {
  chat: toggle(
    "ask by the model's chat template: every question is a user's turn, and the assistant's is open",
  ),
  system: text('TEXT', "the system's turn (with --chat)"),
  chatDate: option<string | undefined>({
    placeholder: 'YYYY-MM-DD',
    summary: 'what chat templates that tell the date take for today, so that a run can be repeated',
    fallbackText: "the template's own date",
    parse: (value, flag) => {
      if (DATE.test(value)) return value;
      throw new InputError(flag, `${quote(value)} is no date`, 'Give YYYY-MM-DD.');
    },
  }),
};

/** What the chat options say; null for plain prompts. */
export function chatOf(values: {
  chat: boolean;
  system: string | undefined;
  chatDate: string | undefined;
}): { system: string | null; date: string | null } | null {
  return values.chat ? { system: values.system ?? null, date: values.chatDate ?? null } : null;
}

/** A system's turn or a date without a chat is a misunderstanding. */
export function checkChat(values: { chat: boolean }, given: ReadonlySet<string>): void {
  const stray = (['system', 'chatDate'] as const).find((key) => given.has(key));
  if (values.chat || stray === undefined) return;
  throw new InputError(flagOf(stray), 'has no meaning in plain prompts', 'Add --chat.');
}

export const promptOptions = {
  fewShot: file(
    'worked examples put before every question: a text file, or JSONL of problems (with --chat, turns of their own)',
  ),
  ...chatOptions,
};

export const problemOptions = {
  problems: required(file('problems: JSONL (own, GSM8K or GSM-Symbolic)')),
  split: optionalChoice(
    'take only the problems of one split; a file without splits is split by seed, per template',
    ['train', 'val', 'test'],
    'all problems',
  ),
  limit: integer('N', 'take only the first N problems', { min: 1, fallbackText: 'all' }),
  ...promptOptions,
};

/** What `readAnyPairs` takes. */
export const PAIR_SOURCES =
  'pairs.jsonl of `cca localize`, a run folder or a folder of trace documents with their annotations, or pivots in the formats of PTS or the reference code';

const SUITE_FORMATS =
  'JSONL with answer or choices, or MMLU, TriviaQA, TruthfulQA files; items that name a suite keep it';

/** Suites that score a result. */
export const controlOptions = {
  controls: repeated(namedFile(`control suite that must not suffer: ${SUITE_FORMATS} (may be repeated)`)),
};

/** Suites that are watched while training. */
export const guardSuites = repeated(
  namedFile(`control suite to watch while training: ${SUITE_FORMATS} (may be repeated)`),
);

/** Plain text on which the model should stay as it is. */
export const textOptions = {
  text: repeated(
    file(
      'control text: JSONL with text, or a control suite, whose prompts and answers are used (may be repeated)',
    ),
  ),
};

/** 0 is the base model, 1 the patch as trained. */
export const scale = real('X', 'how much of the patch to apply: 0 none, 1 as trained', {
  min: -100,
  max: 100,
  fallback: 1,
});

export const patchOptions = { patch: file('patch of `cca amplify` to apply first'), scale };

export function refuseResumeWithFresh({ resume, fresh }: { resume: boolean; fresh: boolean }): void {
  if (resume && fresh) throw new InputError('--resume', 'excludes --fresh', 'Give one of them.');
}

/** A scale without a patch is a misunderstanding. */
export function checkScale(values: { patch: string | undefined }, given: ReadonlySet<string>): void {
  if (given.has('scale') && !values.patch) {
    throw new InputError('--scale', 'has no meaning without a patch', 'Add --patch FILE.');
  }
}
