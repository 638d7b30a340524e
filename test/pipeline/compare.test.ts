import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { showComparison } from '../../server/cli/handlers/comparison.ts';
import { compareRuns } from '../../server/pipeline/compare.ts';
import { openRun } from '../../server/runs/run.ts';
import { scratch } from '../cli/built.ts';
import { setup } from '../runs/setup.ts';

const root = scratch();

interface Made {
  stages?: Record<string, Record<string, unknown>>;
  seed?: number;
  hash?: string;
  /** Neurons of layer 0 in the circuit. */
  neurons?: number[];
  /** Problems that the amplified model has right, of 20. */
  right?: number;
  report?: object;
}

const STAGES = {
  generate: { samples: 4 },
  mask: { budget: 4 },
  amplify: { steps: 6 },
  evaluate: { batch: 8 },
};

function makeRun(name: string, { stages = STAGES, seed = 7, hash = 'aaaa', ...made }: Made): string {
  const folder = path.join(root, name);
  const run = openRun(folder, setup({ stages, seed, model: { path: 'models/small', hash } }));
  run.stage('generate', []).finish({});
  if (made.neurons) {
    const layer = (mlp: number[]) => ({ q: [], k: [1], v: [], mlp });
    const mask = { format: 'circuit-amplifier-mask/1', selected: [layer(made.neurons), layer([0])] };
    run.writeArtefact('mask.json', JSON.stringify(mask));
  }
  if (made.right !== undefined) {
    const lines = ['base', 'amplified'].flatMap((model) =>
      Array.from({ length: 20 }, (_, i) => {
        const correct = i < (model === 'base' ? 5 : made.right!);
        const doc = { id: `p${i}`, target: i, template_id: `t${i % 2}` };
        return `${JSON.stringify({ model, suite: 'test', doc_id: i, doc, correct, text: String(i) })}\n`;
      }),
    );
    fs.writeFileSync(path.join(folder, 'evaluate-samples.jsonl'), lines.join(''));
  }
  if (made.report) run.writeArtefact('report.json', JSON.stringify(made.report));
  run.close('finished');
  return folder;
}

const variant = (gain: number) => ({ problems: { test: { gain } }, controls: {} });

test('answers, settings that differ, circuits and matched controls of two runs', async () => {
  const a = makeRun('a', { neurons: [1, 2, 3], right: 10, report: { variants: { random: variant(0.1) } } });
  const b = makeRun('b', {
    stages: { ...STAGES, amplify: { steps: 12 }, 'variant-lora': { rank: 16 } },
    seed: 8,
    neurons: [2, 3, 4, 5],
    right: 16,
    report: { variants: { lora: variant(0.3) } },
  });
  const compared = await compareRuns(a, b);
  expect([compared.names, compared.folders, compared.missing]).toEqual([['a', 'b'], [a, b], []]);
  const [suite] = compared.suites;
  if (suite?.paired?.kind !== 'accuracy') throw new Error('is not paired');
  expect(suite).toMatchObject({
    role: 'target',
    a: { value: 0.5, base: 0.25 },
    b: { value: 0.8, base: 0.25 },
  });
  expect(suite.paired.comparison).toMatchObject({ gained: 6, lost: 0 });
  // 2 / 2^6.
  expect(suite.paired.comparison.p).toBeCloseTo(1 / 32, 12);
  expect(suite.paired.templates.map(({ template, gained }) => [template, gained])).toEqual([
    ['t0', 3],
    ['t1', 3],
  ]);
  expect(compared.settings).toEqual([
    { name: 'seed', a: '7', b: '8' },
    { name: 'amplify.steps', a: '6', b: '12' },
    { name: 'variant-lora', a: null, b: 'done' },
  ]);
  expect(compared.variants).toEqual([
    { name: 'random', a: 0.1, b: null },
    { name: 'lora', a: null, b: 0.3 },
  ]);
  // Beside the neurons of layer 0: a key head in each layer and a neuron in layer 1, in both.
  expect(compared.circuit).toEqual({
    ...{ a: 6, b: 7, both: 5, jaccard: 5 / 8 },
    byKind: {
      q: { a: 0, b: 0, both: 0, jaccard: null },
      k: { a: 2, b: 2, both: 2, jaccard: 1 },
      v: { a: 0, b: 0, both: 0, jaccard: null },
      mlp: { a: 4, b: 5, both: 3, jaccard: 1 / 2 },
    },
    common: [
      { kind: 'k', layer: 0, index: 1 },
      { kind: 'mlp', layer: 0, index: 2 },
      { kind: 'mlp', layer: 0, index: 3 },
      { kind: 'k', layer: 1, index: 1 },
      { kind: 'mlp', layer: 1, index: 0 },
    ],
  });
});

test('for a terminal', async () => {
  const comparison = await compareRuns(path.join(root, 'a'), path.join(root, 'b'));
  expect(showComparison({ ...comparison, folders: ['runs/a', 'runs/b'] }, true)).toMatchInlineSnapshot(`
    "a  runs/a
    b  runs/b

    suite   base a  base b       a       b  b - a          95 %      p  gained  lost   n  unpaired
    target  25.0 %  25.0 %  50.0 %  80.0 %  +30.0  [10.0, 50.0]  0.031       6     0  20         0

    test: 2 templates; b - a when templates are resampled [30.0, 30.0]
    template       a       b  b - a  gained  lost   n
    t0        50.0 %  80.0 %  +30.0       3     0  10
    t1        50.0 %  80.0 %  +30.0       3     0  10

    test: documents whose outcome changed
    wrong-to-right  p10  "10" -> "10"
    wrong-to-right  p11  "11" -> "11"
    wrong-to-right  p12  "12" -> "12"
    wrong-to-right  p13  "13" -> "13"
    wrong-to-right  p14  "14" -> "14"
    wrong-to-right  p15  "15" -> "15"

    matched control, target gain      a      b
    random                        +10.0      -
    lora                              -  +30.0

    setting        a  b
    seed           7  8
    amplify.steps  6  12
    variant-lora   -  done

    circuit  a  b  in both  Jaccard
    all      6  7        5     0.63
    k        2  2        2     1.00
    mlp      4  5        3     0.50
    in both: k 0.1, mlp 0.2, mlp 0.3, k 1.1, mlp 1.0
    "
  `);
});

test('what an unfinished run lacks is told in a line each, and the rest is compared', async () => {
  const a = makeRun('done', { neurons: [1], right: 10, report: {} });
  const early = makeRun('early', {});
  const { missing, suites, circuit } = await compareRuns(a, early);
  expect(missing).toEqual([
    'early has no amplified answers yet (finished: generate)',
    'early has no circuit yet (finished: generate)',
  ]);
  expect(suites).toMatchObject([{ role: 'target', a: { value: 0.5, n: 20 }, b: null, paired: null }]);
  expect(circuit).toBeNull();
  const late = makeRun('late', { neurons: [1], right: 10 });
  expect((await compareRuns(late, a)).missing).toEqual([
    'late has no report yet: its figures are of what it has answered so far',
  ]);
});

test('circuits of two models are not compared; runs of one name are told apart; other folders are refused', async () => {
  const a = makeRun('one/seed-1', { neurons: [1], right: 10, report: {} });
  const b = makeRun('two/seed-1', { hash: 'bbbb', neurons: [1], right: 10, report: {} });
  const { names, missing, settings, circuit } = await compareRuns(a, b);
  expect(names).toEqual(['one/seed-1', 'two/seed-1']);
  expect(missing).toEqual(['the circuits are of two models, so they are not compared']);
  expect(settings).toEqual([{ name: 'model', a: 'models/small (aaaa)', b: 'models/small (bbbb)' }]);
  expect(circuit).toBeNull();
  await expect(compareRuns(a, root)).rejects.toThrow('is not a run folder');
  fs.writeFileSync(path.join(a, 'mask.json'), '{"selected":[]}');
  await expect(compareRuns(a, a)).rejects.toThrow('is not a mask file');
});
