/** The experiment file of `cca run`: its fields, its reader and its JSON Schema. */
import { projections } from '../../checkpoint/families/layout.ts';
import { readJson } from '../../data/files.ts';
import { componentKinds } from '../../model/components.ts';
import type { VariantName } from '../../pipeline/variants.ts';
import {
  about,
  amplifyFields,
  DATE,
  DEVICE_WORDS,
  endpointFields,
  evaluateFields,
  fineTuningFields,
  generateFields,
  guardFields,
  INSTANCES,
  loraFields,
  maskFields,
  SEED,
  THREADS,
} from './fields.ts';
import { PRESETS } from './settings.ts';
import {
  type Bounds,
  boolean,
  byField,
  either,
  flag,
  integer,
  type JsonSchema,
  list,
  object,
  oneOf,
  type Place,
  pathTo,
  type Read,
  real,
  type Spec,
  text,
} from './spec.ts';

/** The variants in the order of the report. Listed here too: theirs is in a module that loads the runtime. */
export const VARIANTS = [
  'random',
  'all',
  'neurons',
  'random-neurons',
  'paper',
  'lora',
  'full',
] as const satisfies readonly VariantName[];

function each<K extends string>(fields: Record<K, Bounds>, spec: (bounds: Bounds) => Spec<number>) {
  const entries = Object.entries<Bounds>(fields).map(([name, bounds]) => [name, spec(bounds)]);
  return Object.fromEntries(entries) as Record<K, Spec<number>>;
}

const { temperatureWrong, temperatureRight, topP, ...generateCounts } = generateFields;
const { epochs, batch: maskBatch, ...maskReals } = maskFields;
const { learningRate, klControl, klTraces, beta1, beta2, ...amplifyCounts } = amplifyFields;

const SCHEDULES = ['cosine', 'cosine-to-zero', 'constant'] as const;

const { epochs: passes, batch, warmUp, validateEvery, patience, ...fineTuningReals } = fineTuningFields;
const fineTuning = {
  data: oneOf(['traces', 'pairs'], about.fineTuningData),
  ...each({ epochs: passes, batch, warmUp, validateEvery, patience }, integer),
  ...each(fineTuningReals, real),
  schedule: oneOf(SCHEDULES, about.schedule),
};

const stop = object({ strings: list(text('a stop string'), about.stop) }, {}, 'when a completion ends');

const settings = object(
  {},
  {
    generate: object(
      {},
      {
        ...each(generateCounts, integer),
        ...each({ temperatureWrong, temperatureRight, topP }, real),
        stop,
      },
      'stage 1, traces',
    ),
    localize: object(
      {},
      {
        method: oneOf(['branching', 'prefix'], about.method),
        ids: oneOf(['exact', 'reencoded'], about.ids),
        counterparts: integer(generateFields.counterparts),
      },
      'stage 1, pivots',
    ),
    mask: object(
      {},
      {
        select: oneOf(['fisher', 'dcm'], about.select),
        ...each(maskReals, real),
        ...each({ epochs, batch: maskBatch }, integer),
        pairing: oneOf(['own', 'reference'], about.pairing),
        kinds: list(oneOf(componentKinds, 'a kind'), about.kinds),
      },
      'stage 2, the circuit',
    ),
    amplify: object(
      {},
      {
        loss: oneOf(['softplus', 'margin'], about.loss),
        optimizer: oneOf(['adam', 'sgd'], about.optimizer),
        schedule: oneOf(SCHEDULES, about.schedule),
        neurons: oneOf(['up', 'up+gate+down'], about.neurons),
        keep: oneOf(['last', 'first'], about.keep),
        weights: oneOf(['float32', 'float16'], about.weights),
        ...each(amplifyCounts, integer),
        ...each({ learningRate, klControl, klTraces, beta1, beta2 }, real),
        guard: object({}, each(guardFields, real), 'limits on what training may spoil'),
      },
      'stage 3, training under guard',
    ),
    evaluate: object(
      {},
      {
        ...each(
          { batch: generateFields.batch, maxTokens: generateFields.maxTokens, ...evaluateFields },
          integer,
        ),
        stop,
      },
      'evaluation on test problems and control suites',
    ),
    variants: object(
      {},
      {
        paper: object(
          {},
          {
            lambda: real(maskFields.lambda),
            learningRate: real(learningRate),
            steps: integer(amplifyFields.steps),
          },
          "the paper's recipe",
        ),
        all: object({}, { learningRate: real(learningRate) }, 'all components'),
        lora: object(
          {},
          {
            ...fineTuning,
            rank: integer(loraFields.rank),
            alpha: real(loraFields.alpha),
            dropout: real(loraFields.dropout),
            targets: list(oneOf(projections, 'a matrix'), 'the matrices that get an adapter, in every layer'),
          },
          'LoRA',
        ),
        full: object({}, fineTuning, 'full fine-tuning'),
      },
      'training of the variants',
    ),
  },
  "settings in place of the preset's",
);

const problemFile = (what: string) => pathTo('file', `${what}: JSONL (own, GSM8K or GSM-Symbolic)`);

const suites = list(
  either(
    pathTo('file', 'the file; its items belong to a suite of the same name unless they name one'),
    object({ path: pathTo('file', 'the file'), name: text('name of the suite') }, {}, 'a file with a name'),
    'control items: JSONL with answer or choices, or MMLU, TriviaQA, TruthfulQA files',
  ),
  'control suites',
);

const experiment = object(
  {
    model: pathTo('folder', 'Hugging Face folder of the model'),
    problems: either(
      problemFile('all problems; without splits of their own they are split by seed, per template'),
      byField(
        'templates',
        object(
          {
            templates: pathTo(
              'file or folder',
              'annotated templates of GSM-Symbolic: a JSON file, or a folder of them',
            ),
            count: integer(INSTANCES),
          },
          {},
          'fresh instances of templates, drawn by the seed and split by it, per template',
        ),
        object(
          {
            train: problemFile('problems that traces and pairs come from'),
            val: problemFile('problems that choose the best step'),
            test: problemFile('problems that score the result'),
          },
          { unseen: problemFile('further test problems, such as templates that no pair comes from') },
          'problem files; every record of each is used',
        ),
        'fresh instances of templates, or a file for each split',
      ),
      'the target task',
    ),
  },
  {
    $schema: text('where the schema is, for an editor'),
    about: text('what this experiment is for'),
    out: pathTo('new folder', 'run folder'),
    controls: either(
      suites,
      object(
        { test: suites },
        { guard: suites },
        'suites that score the result, and suites that are watched',
      ),
      'what must not suffer; unless text and guard are given, a fifth of each suite serves as either',
    ),
    text: list(
      pathTo('file', 'JSONL with text, or a control suite'),
      'plain text that the model should go on to treat as before',
    ),
    template: text('prompt of a question', {
      source: '\\{question\\}',
      remedy: 'Put {question} where the question goes.',
    }),
    fewShot: pathTo('file', 'worked examples put before every question: a text file, or JSONL of problems'),
    chat: either(
      boolean('true: every question is a turn of the user'),
      object(
        {},
        {
          system: text("the system's turn"),
          date: text('what templates that tell the date take for today: YYYY-MM-DD', {
            source: DATE.source,
            remedy: 'Give YYYY-MM-DD.',
          }),
        },
        'a chat with more than questions',
      ),
      "ask by the model's chat template",
    ),
    preset: oneOf(PRESETS, about.preset),
    from: pathTo('folder', 'run of the same model whose traces and pairs are taken over'),
    pairs: pathTo(
      'file or folder',
      'pairs in place of located ones: a file, a run folder, or a folder of trace documents with pivots edited by hand',
    ),
    circuit: pathTo('file', 'mask file with the circuit, in place of a selected one'),
    settings,
    variants: list(oneOf(VARIANTS, 'a variant'), 'matched controls and baselines to run beside it'),
    seed: integer(SEED),
    seeds: integer({ about: 'repeat with this many seeds, from `seed` on', min: 1, max: 1000 }),
    limit: integer({ about: 'take only the first problems of every split', min: 1 }),
    controlLimit: integer({ about: 'take only the first items of every control file', min: 1 }),
    endpoint: object(
      { url: text(about.endpointUrl), model: text(about.endpointModel) },
      {
        ...each(endpointFields, integer),
        apiKeyEnv: text(
          `${about.endpointKeyEnv}; not needed in the editor with its command Set API Key of Endpoint`,
          {
            source: '^[A-Za-z_][A-Za-z0-9_]*$',
            remedy: 'Give the name of a variable, not the key.',
          },
        ),
      },
      'stage 1 by a server',
    ),
    device: oneOf(DEVICE_WORDS, 'where the model runs'),
    threads: integer(THREADS),
    lean: flag(about.lean),
  },
  'An experiment of Circuit Amplifier: `cca run --experiment FILE`. Paths count from the folder of this file.',
);

/** An experiment file's values; paths are absolute. */
export type Experiment = Read<typeof experiment>;

/**
 * @param mayLook whether a path that the file names may be looked at: others are not checked
 * @throws InputError naming the file and the first field that is wrong
 */
export async function readExperiment(file: string, mayLook?: Place['mayLook']): Promise<Experiment> {
  return checkExperiment(await readJson(file), file, mayLook);
}

/** The same of a file's JSON value. */
export function checkExperiment(value: unknown, file: string, mayLook?: Place['mayLook']): Experiment {
  return experiment.read(value, { file, field: '', ...(mayLook && { mayLook }) });
}

/** JSON Schema of an experiment file, for editors. */
export function experimentSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Circuit Amplifier experiment',
    ...experiment.schema,
  };
}

/**
 * Settings given as `stage.name` with their values, as the experiment file's `settings` would have them.
 * @throws InputError naming the first that is wrong
 */
export function readSettings(
  values: Readonly<Record<string, unknown>>,
  where: string,
): Read<typeof settings> {
  const nested: Record<string, unknown> = {};
  for (const [dotted, value] of Object.entries(values)) {
    const names = dotted.split('.');
    let at = nested;
    for (const name of names.slice(0, -1)) {
      if (typeof at[name] !== 'object' || at[name] === null) at[name] = {};
      at = at[name] as Record<string, unknown>;
    }
    at[names.at(-1)!] = value;
  }
  return settings.read(nested, { file: where, field: '' });
}
