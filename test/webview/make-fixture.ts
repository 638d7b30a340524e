/**
 * Writes fixtures/demo.json: what the circuit panel is sent for a run of the demo, from the run's own files and the demo
 * model, and the masks of a short DCM training on its first pairs.
 *
 *     node build.mjs panel-fixture && node dist/panel-fixture.mjs RUN
 */
import fs from 'node:fs';
import path from 'node:path';
import { neverAborted } from '../../server/control.ts';
import type { Pair } from '../../server/data/records.ts';
import { componentChange, componentRows } from '../../server/engine/jobs/component-change.ts';
import { Runner } from '../../server/generate/forward.ts';
import { attributePairs } from '../../server/inspect/attribute.ts';
import { meanAttribution } from '../../server/inspect/purpose.ts';
import { curveOf } from '../../server/jobs/curve.ts';
import { labelOf } from '../../server/lsp/component-label.ts';
import { learnMask } from '../../server/mask/dcm.ts';
import { readMaskFile } from '../../server/mask/mask-file.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { ComponentSpace, componentKinds } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import type { Report } from '../../server/pipeline/report.ts';
import type { CircuitView, Purpose } from '../../server/protocol/circuit.ts';
import type { ToPanel } from '../../server/protocol/panel.ts';
import type { RunReport, SuiteFigures } from '../../server/protocol/runs.ts';
import { attributionBucket, attributionScale } from '../../src/traces/heat.ts';

/** Epochs of the live mask that are kept. */
const KEPT = [1, 4, 8, 12];
/** Pairs that the live mask is trained on. */
const MASK_PAIRS = 96;
const SERVED = 5;

const run = process.argv[2];
if (!run) throw new Error('Name a run folder of the demo');
const root = path.resolve(import.meta.dirname, '..');
const model = await Model.load(path.join(root, 'media/demo/model'), { threads: 2 });
const config = model.config;
const space = new ComponentSpace(config);
const { file: mask, circuit } = readMaskFile(
  path.join(run, 'mask.json'),
  config,
  await model.checkpoint.hash(),
);
const read = (name: string) => fs.readFileSync(path.join(run, name), 'utf8');
const pairs = read('pairs.jsonl')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Pair);

const floats = (values: Float32Array) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');

const patches = [{ file: path.join(run, 'patch.safetensors'), scale: 1 }];
const runner = await Runner.create(model);
const results = await attributePairs(runner, pairs, { inputs: false });
const mean = meanAttribution(results, SERVED);
const attribution = mean.mean();
const values = new Float32Array(space.size);
mask.values.forEach((layer, l) => {
  for (const kind of componentKinds) values.set(layer[kind], space.offset(kind, l));
});
const selected = space.flat(circuit);

const view: CircuitView = {
  run: '/workspace/runs/demo',
  name: 'demo',
  experiment: '/workspace/experiment.json',
  shape: {
    layers: config.numLayers,
    heads: config.numHeads,
    kvHeads: config.numKvHeads,
    neurons: config.intermediateSize,
    headDim: config.headDim,
    hiddenSize: config.hiddenSize,
  },
  method: mask.method,
  lambda: mask.lambda,
  budget: mask.budget,
  pairs: pairs.length,
  selected,
  values: floats(values),
  attribution: floats(attribution),
  change: floats(await componentChange({ model: model.checkpoint.folder, patches })),
};

const text = (id: number) => model.tokenizer.decode([id]);
const purposeOf = async (component: number): Promise<Purpose> => ({
  component,
  label: labelOf(space.at(component)),
  mask: values[component]!,
  gradient: attribution[component]!,
  served: mean.served(component).map(({ pair, gradient }) => {
    const { id, problem_id, prefix, desired, undesired, trace } = pairs[pair]!;
    const tokens = { desired: text(desired), undesired: text(undesired) };
    return {
      pair: id,
      problem: problem_id ?? id,
      gradient,
      ...tokens,
      trace: trace ?? null,
      token: prefix.length,
    };
  }),
  rows: await componentRows({ model: model.checkpoint.folder, component, patches }),
});
const heads = [space.offset('q', 3) + 2, space.offset('v', 2) + 1];
const purposes = await Promise.all([...selected, ...heads].map(purposeOf));

const first = results[0]!;
const leaning = Array.from(first.gates!, (gradient, component) => ({ component, gradient }))
  .sort((a, b) => a.gradient - b.gradient)
  .slice(0, 8);
const pushes = (await attributePairs(runner, [first.pair], { components: false }))[0]!.inputs!;
const scale = attributionScale([...pushes]);
const pivot: Extract<ToPanel, { type: 'pivot' }> = {
  type: 'pivot',
  pivot: {
    problem: first.pair.problem_id!,
    desired: text(first.pair.desired),
    undesired: text(first.pair.undesired),
    margin: first.margin,
    tokens: Array.from(pushes, (attribution, i) => ({
      text: text(first.pair.prefix[i]!),
      attribution,
      level: attributionBucket(attribution, scale),
    })),
    components: leaning,
  },
};

const live: Extract<ToPanel, { type: 'mask' }>[] = [];
const lambda = 0.1;
const steps = await MaskSteps.create(runner, pairs.slice(0, MASK_PAIRS), 'margin', neverAborted);
await learnMask(
  steps,
  { lambda, learningRate: 5e-3, batch: 8, epochs: Math.max(...KEPT), pairing: 'own', seed: 1 },
  {
    signal: neverAborted,
    onProgress: ({ epoch, batch, batches, selected: count, margin, loss, mask: now }) => {
      if (batch !== batches - 1 || !KEPT.includes(epoch + 1)) return;
      const figures = { lambda, epoch: epoch + 1, selected: count, margin, loss };
      live.push({ type: 'mask', ...figures, values: floats(now) });
    },
  },
);

const report = JSON.parse(read('report.json')) as Report;
const suite = (name: string, kind: SuiteFigures['kind'], c: Report['target']): SuiteFigures => ({
  name,
  kind,
  base: { ...c.base, interval: [c.base.interval.low, c.base.interval.high] },
  amplified: { ...c.amplified, interval: [c.amplified.interval.low, c.amplified.interval.high] },
  gain: c.gain,
  gainInterval: [c.interval.low, c.interval.high],
  p: c.p,
});
const figures: RunReport = {
  folder: view.run,
  suites: [
    suite('target', 'target', report.target),
    ...Object.entries(report.sets).map(([name, c]) => suite(name, 'set', c)),
    ...Object.entries(report.controls).map(([name, c]) => suite(name, 'control', c)),
  ],
  circuit: report.circuit,
  variants: [],
  pivots: null,
};

const fixture = { view, purposes, pivot, live, steps: curveOf(run), report: figures };
const out = path.join(root, 'test/webview/fixtures/demo.json');
fs.writeFileSync(out, `${JSON.stringify(fixture)}\n`);
console.log(`${out}: ${selected.length} components, ${fixture.steps.length} steps, ${live.length} masks`);
