/**
 * `cca run` from one experiment file on problems in GSM-Symbolic's form, for a checkpoint of every family and storage: all
 * stages, the report and the patch. The models are random, so nothing is learnt; everything runs.
 */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { readPatch } from '../../server/patch/file.ts';
import { build, fixture, result, scratch } from './built.ts';

const root = scratch();
const at = (...names: string[]) => path.join(root, ...names);
const lines = (file: string) =>
  fs
    .readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const FAMILIES = ['llama-tied', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'olmo2', 'phi3', 'smollm2'];
/** Other ways to store a checkpoint: 16-bit, shards. */
const STORED = ['llama-bf16', 'llama-f16', 'llama-untied-hd'];

const ENDS = ['left', 'red', 'here', 'sold', 'new', 'old', 'big', 'his', 'lost', 'ours', 'blue', 'thin'];

/** Twelve instances of two templates. A random model that ends its sentence now and then says the one number asked for. */
const problems = [0, 1].flatMap((template) =>
  ENDS.map((end, instance) => ({
    id: template,
    instance,
    question: `There are ${instance + 1} pens in ${template ? 'a box' : 'a bag'}. How many are ${end}`,
    answer: 'So it is.\n#### 2',
    original_id: 100 + template,
    original_question: 'There are 3 pens. How many are left?',
    original_answer: '#### 2',
    canary: 'synthetic',
  })),
);
const controls = Array.from({ length: 10 }, (_, i) =>
  i % 2
    ? { prompt: `The answer ${i} is`, choices: [' a', ' the'], label: i % 3 ? 0 : 1, suite: 'choice' }
    : { prompt: `He is ${i}`, answer: 'x', suite: 'recall' },
);

beforeAll(async () => {
  await build();
  const write = (name: string, records: object[]) =>
    fs.writeFileSync(at(name), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  write('problems.jsonl', problems);
  write('controls.jsonl', controls);
});

const presets = {
  default: { mask: { budget: 6 }, method: 'fisher' },
  paper: { mask: { epochs: 2, lambda: 0.01 }, method: 'dcm' },
} as const;

/** The learnt mask has a graph of its own: each way of gating and of laying out tensors once. */
const LEARNT = ['llama-tied', 'qwen3', 'gemma2', 'olmo2', 'phi3'];

const cases = [
  ...FAMILIES.map((model) => [model, 'default'] as const),
  ...LEARNT.map((model) => [model, 'paper'] as const),
  ...STORED.map((model) => [model, 'default'] as const),
];

test.each(cases)('%s, preset %s', async (model, preset) => {
  const name = `${model}-${preset}`;
  // Many tokens end a completion, so that greedy ones end too and branches are short.
  const stop = { strings: ['e', 'a', 't', '.'] };
  const sampling = { samples: 100, counterparts: 2, temperatureWrong: 2, temperatureRight: 2 };
  const experiment = {
    model: fixture(model),
    problems: 'problems.jsonl',
    controls: ['controls.jsonl'],
    template: '{question} ',
    preset,
    device: 'cpu',
    threads: 1,
    out: name,
    settings: {
      generate: { ...sampling, maxTokens: 12, stop },
      localize: { counterparts: 2 },
      mask: presets[preset].mask,
      amplify: { steps: 2, validateEvery: 2, validateEveryEarly: 2 },
      evaluate: { maxTokens: 12, maxAnswerTokens: 4, stop },
    },
  };
  fs.writeFileSync(at(`${name}.json`), JSON.stringify(experiment));
  const report = await result(['run', '--experiment', at(`${name}.json`)]);

  const pairs = lines(at(name, 'pairs.jsonl'));
  expect(pairs.length).toBeGreaterThan(0);
  for (const { template_id, desired, undesired, prefix } of pairs) {
    expect(['100', '101']).toContain(template_id);
    expect(desired).not.toBe(undesired);
    expect(prefix.length).toBeGreaterThan(10);
  }
  const { circuit, target } = report;
  expect(circuit).toMatchObject({ method: presets[preset].method });
  expect(circuit.components).toBeGreaterThan(0);
  expect(circuit.components).toBeLessThanOrEqual(preset === 'default' ? 6 : circuit.total);
  // The paper's 40 % of every template score the result; of ten control items six do.
  expect([target.base.n, target.amplified.n]).toEqual([10, 10]);
  expect(target.p).toBeGreaterThan(0);
  expect(target.p).toBeLessThanOrEqual(1);
  expect(Object.keys(report.controls).sort()).toEqual(['choice', 'recall']);
  expect(lines(at(name, 'evaluate-samples.jsonl'))).toHaveLength(2 * (10 + 6));

  const { stages } = JSON.parse(fs.readFileSync(at(name, 'manifest.json'), 'utf8'));
  expect(Object.keys(stages)).toEqual(['generate', 'localize', 'mask', 'amplify', 'evaluate']);
  const finished = lines(at(name, 'journal.jsonl')).filter(({ event }) => event === 'stage-finished');
  expect(finished.map(({ stage }) => stage)).toEqual(Object.keys(stages));
  const patch = readPatch(at(name, 'patch.safetensors'));
  expect(patch.entries.length).toBeGreaterThan(0);
});
