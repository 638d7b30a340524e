/**
 * Scores equal lm-evaluation-harness's on the same model and documents (fixtures/make_harness.py): accuracies, matches,
 * completions and hashes exactly, log-likelihoods to 1e-4, perplexities to 1e-4 of their size.
 */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { benchmark } from '../../server/engine/jobs/benchmark.ts';
import { Models } from '../../server/engine/models.ts';
import { gsm8k } from '../../server/evaluate/benchmarks/gsm8k.ts';
import type { BenchmarkName } from '../../server/evaluate/benchmarks/index.ts';
import { PythonRandom, splitSpace, str } from '../../server/evaluate/python.ts';
import { fixture, scratch } from '../cli/built.ts';

const here = path.join(import.meta.dirname, 'fixtures');
const demo = path.resolve(import.meta.dirname, '../../media/demo/model');
const root = scratch();
const models = new Models();

interface Expected {
  task: string;
  version: number;
  shots: number;
  maxLength: number;
  maxTokens?: number;
  /** Asked by the chat template. */
  chat?: { system: string | null; multiturn: boolean };
  docs: object[];
  pool?: object[];
  results: Record<string, number>;
  stderr: Record<string, number | string>;
  samples: {
    doc_id: number;
    filter: string;
    /** By request: [log-likelihood, greedy], a completion, or a text's log-likelihood. */
    resps: ([number, boolean] | string | number)[];
    filtered?: string;
    metrics: Record<string, number | [number, number]>;
    /** Of document, prompt and target: the first 16 digits. */
    hashes: [string, string, string];
  }[];
}

interface Written {
  doc_id: number;
  filter: string;
  resps: (string | [string, string])[][];
  filtered_resps: unknown[];
  doc_hash: string;
  prompt_hash: string;
  target_hash: string;
  [metric: string]: unknown;
}

const read = <T>(name: string): T => JSON.parse(fs.readFileSync(path.join(here, name), 'utf8')) as T;

function jsonl(name: string, records: object[]): string {
  const file = path.join(root, name);
  fs.writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return file;
}

/** Runs our benchmark on a fixture's documents; returns its report and its samples in the harness's order. */
async function run(name: string, expected: Expected) {
  const out = path.join(root, name);
  const task = expected.task.replace(/^mmlu_.*/, 'mmlu') as BenchmarkName;
  const report = await benchmark(models)(
    {
      model: {
        folder: /^(bos|chat)-/.test(name) ? fixture('llama-untied-hd') : demo,
        device: 'cpu',
        threads: 2,
      },
      out,
      seed: 0,
      fresh: false,
      task,
      data: jsonl(`${name}.jsonl`, expected.docs),
      fewShot: expected.shots > 0 ? jsonl(`${name}-pool.jsonl`, expected.pool!) : null,
      shots: expected.shots,
      shotSeed: 1234,
      limit: null,
      patch: null,
      chat: expected.chat ? { ...expected.chat, date: null } : null,
      settings: { batch: 32, maxTokens: expected.maxTokens ?? 16, maxLength: expected.maxLength },
    },
    { signal: neverAborted, emit: () => undefined },
  );
  const lines = fs
    .readFileSync(path.join(out, `samples_${expected.task}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  const written = lines.map((line) => JSON.parse(line) as Written);
  const filters = [...new Set(expected.samples.map((sample) => sample.filter))];
  const samples = filters.flatMap((filter) => written.filter((sample) => sample.filter === filter));
  const results = JSON.parse(fs.readFileSync(path.join(out, 'results.json'), 'utf8'));
  return { report, samples, results };
}

const names = fs
  .readdirSync(here)
  .filter((file) => /^harness-.*\.json$/.test(file) && !/-(python|filters)\.json$/.test(file))
  .map((file) => file.slice('harness-'.length, -'.json'.length));

describe('scores of lm-evaluation-harness', () => {
  test.each(names)('%s', async (name) => {
    const expected = read<Expected>(`harness-${name}.json`);
    const { report, samples, results } = await run(name, expected);
    expect(samples.length).toBe(expected.samples.length);
    for (const [i, want] of expected.samples.entries()) {
      const sample = samples[i]!;
      const at = `${name} document ${want.doc_id}`;
      expect([sample.doc_id, sample.filter], at).toEqual([want.doc_id, want.filter]);
      const hashes = [sample.doc_hash, sample.prompt_hash, sample.target_hash].map((hash) =>
        hash.slice(0, 16),
      );
      expect(hashes, at).toEqual(want.hashes);
      expect(sample.resps.length, at).toBe(want.resps.length);
      for (const [k, response] of want.resps.entries()) {
        const ours = sample.resps[k]![0]!;
        if (typeof response === 'string') expect(ours, at).toBe(response);
        else if (typeof response === 'number') {
          expect(Math.abs(Number(ours) / response - 1), at).toBeLessThan(1e-5);
        } else {
          expect(Math.abs(Number(ours[0]) - response[0]), at).toBeLessThan(1e-4);
          expect(ours[1], at).toBe(response[1] ? 'True' : 'False');
        }
      }
      if (want.filtered !== undefined) expect(sample.filtered_resps[0], at).toBe(want.filtered);
      for (const [metric, value] of Object.entries(want.metrics)) {
        const ours = sample[metric] as number | [number, number];
        if (typeof value === 'number' && Number.isInteger(value)) expect(ours, at).toBe(value);
        else if (typeof value === 'number') expect(Math.abs((ours as number) - value), at).toBeLessThan(1e-4);
        else expect((ours as [number, number])[1], at).toBe(value[1]);
      }
    }
    const { metrics, version } = report.tasks[expected.task]!;
    expect(version).toBe(expected.version);
    expect(results.versions[expected.task]).toBe(expected.version);
    for (const [key, value] of Object.entries(expected.results)) {
      const ours = metrics[key]!.value;
      const exact = expected.samples.every(({ metrics }) => Number.isInteger(metrics[key.split(',')[0]!]));
      if (exact) expect(ours, key).toBeCloseTo(value, 8);
      else expect(Math.abs(ours / value - 1), key).toBeLessThan(1e-4);
      expect(results.results[expected.task][key], key).toBe(ours);
    }
    for (const [key, value] of Object.entries(expected.stderr)) {
      const ours = metrics[key.replace('_stderr', '')]!.stderr;
      if (typeof value === 'number' && ours !== null) expect(Math.abs(ours - value), key).toBeLessThan(1e-5);
    }
  });

  test('the fixtures have both outcomes of every match, and 200 documents of each task', () => {
    const all = names.filter((name) => !/^(bos|chat)-/.test(name));
    const count = (task: string) =>
      all
        .filter((name) => name === task || name.startsWith(`${task}-`))
        .reduce((sum, name) => sum + read<Expected>(`harness-${name}.json`).docs.length, 0);
    for (const task of [
      'gsm8k',
      'triviaqa',
      'mmlu-0shot',
      'mmlu-5shot',
      'truthfulqa_mc1',
      'truthfulqa_mc2',
      'wikitext',
      'text',
    ])
      expect(count(task), task).toBe(200);
    for (const name of ['gsm8k', 'triviaqa', 'mmlu-5shot-0', 'truthfulqa_mc1', 'multiple_choice']) {
      const { results } = read<Expected>(`harness-${name}.json`);
      // A model this small never writes "#### "; the responses below do.
      for (const [metric, value] of Object.entries(results)) {
        if (metric.endsWith(',strict-match')) continue;
        expect(value, name).toBeGreaterThan(0);
        expect(value, name).toBeLessThan(1);
      }
    }
  });
});

test("GSM8K's filters and match equal the harness's on 300 responses of every shape", () => {
  const cases =
    read<{ response: string; target: string; [filter: string]: unknown }[]>('harness-filters.json');
  expect(cases.length).toBe(300);
  for (const one of cases) {
    for (const { name, apply } of gsm8k.filters) {
      const [filtered, score] = one[name] as [string, number];
      const ours = apply(one.response);
      expect([one.response, name, ours]).toEqual([one.response, name, filtered]);
      expect(gsm8k.score(ours, { answer: one.target }).exact_match, JSON.stringify(one)).toBe(score);
    }
  }
});

test("draws, texts of lists and white space are Python's", () => {
  const { samples, reprs, words } = read<{
    samples: { size: number; n: number; draws: number[][] }[];
    reprs: [string, string][];
    words: [string, number][];
  }>('harness-python.json');
  for (const { size, n, draws } of samples) {
    const random = new PythonRandom(1234);
    const pool = Array.from({ length: size }, (_, i) => i);
    expect(draws.map(() => random.sample(pool, n))).toEqual(draws);
  }
  for (const [text, repr] of reprs) expect(str([text])).toBe(repr);
  for (const [text, count] of words) expect(splitSpace(text).length).toBe(count);
});
