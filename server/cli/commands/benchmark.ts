import { SEED } from '../../engine/experiment/fields.ts';
import { InputError } from '../../errors.ts';
import { type BenchmarkName, benchmarkTasks } from '../../evaluate/benchmarks/index.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { optionalChoice, required, toggle } from '../options.ts';
import { source } from '../paths.ts';
import {
  chatOptions,
  checkChat,
  checkScale,
  modelOptions,
  patchOptions,
  refuseResumeWithFresh,
  runOptions,
} from './common.ts';

const NAMES = Object.keys(benchmarkTasks) as BenchmarkName[];

const tasks = Object.values(benchmarkTasks).map(
  ({ name, version, shots, data }) => `  ${name.padEnd(15)} v${version}, ${shots} shots: ${data}`,
);

export const benchmark = command({
  name: 'benchmark',
  summary: 'score a model on a benchmark as lm-evaluation-harness does',
  details: `Tasks, with the version of the harness's definition that they equal, and their data:
${tasks.join('\n')}

Writes samples_TASK.jsonl (one line a document and filter, as it is scored),
results.json, both with the harness's fields, and report.json to the run folder.
Two runs on the same documents are compared by \`cca runs compare A B\`.

Prompts are plain unless --chat is given. Then they are what the harness makes of
them with --apply_chat_template: --system and the task's description are the
system's turn, left out where the template takes none; worked examples are turns
of their own (--fewshot_as_multiturn), or with --single-turn stand in the
question's; a choice is the beginning of the assistant's turn.

  cca benchmark --model my-model --task mmlu --data mmlu/test --few-shot mmlu/dev \\
      --out runs/mmlu`,
  arguments: {},
  options: {
    ...modelOptions,
    task: { ...required(optionalChoice('the benchmark', NAMES, '')), placeholder: 'TASK' },
    data: required(source('documents, in the form in which the data set was published or as JSONL')),
    fewShot: source('documents that worked examples are taken from, in the same form'),
    shots: integer('N', 'worked examples before every question', {
      min: 0,
      max: 1000,
      fallbackText: "the task's own",
    }),
    shotSeed: integer('N', 'seed by which examples are drawn, of the generator that the harness uses', {
      min: SEED.min,
      max: SEED.max,
      fallback: 1234,
    }),
    limit: integer('N', 'take only the first N documents (of every subject)', {
      min: 1,
      fallbackText: 'all',
    }),
    ...chatOptions,
    singleTurn: toggle("put worked examples into the question's turn (with --chat)"),
    ...patchOptions,
    maxTokens: integer('N', 'longest completion', { min: 1, max: 1_000_000, unit: 'tokens', fallback: 256 }),
    maxLength: integer('N', 'what the model sees at most: longer prompts lose their beginning', {
      min: 2,
      max: 100_000_000,
      unit: 'tokens',
      fallbackText: 'what its config.json says',
    }),
    batch: integer('N', 'sequences decoded together', { min: 1, max: 4096, fallback: 64 }),
    ...runOptions,
  },
  validate: (values, given) => {
    refuseResumeWithFresh(values);
    checkScale(values, given);
    checkChat(values, given);
    if (values.singleTurn && !values.chat) {
      throw new InputError('--single-turn', 'has no meaning in plain prompts', 'Add --chat.');
    }
  },
});
