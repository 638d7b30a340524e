import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CircuitView, Purpose } from '../../server/protocol/circuit.ts';
import type { JobState, StepPoint } from '../../server/protocol/jobs.ts';
import type { ToPanel, TrainingChoices } from '../../server/protocol/panel.ts';
import type { RunReport } from '../../server/protocol/runs.ts';

type Message<K extends ToPanel['type']> = Extract<ToPanel, { type: K }>;

const root = path.resolve(import.meta.dirname, import.meta.dirname.endsWith('dist') ? '..' : '../..');

/** A run of the demo as the panel is sent it; make-fixture.ts writes the file from the run. */
export const demo = JSON.parse(readFileSync(path.join(root, 'test/webview/fixtures/demo.json'), 'utf8')) as {
  view: CircuitView;
  purposes: Purpose[];
  pivot: Message<'pivot'>;
  live: Message<'mask'>[];
  steps: StepPoint[];
  report: RunReport;
};

const choices: TrainingChoices = {
  steps: 30,
  learningRate: 0.005,
  klControl: 3,
  neurons: 'up',
  validateEvery: 10,
  variants: [],
};

export const circuitMessage = (view: CircuitView = demo.view): Message<'circuit'> => ({
  type: 'circuit',
  view,
  selections: [
    { name: 'by hand', file: 'by-hand.json', selected: [...demo.view.selected.slice(0, 12), 3, 200, 1000] },
  ],
  choices,
  limits: { maxKl: 0.05, maxDrop: 1 },
  trusted: true,
});

export const runningJob: JobState = {
  id: 'job-1',
  title: 'Sparse training',
  spec: {
    ...{ experiment: '/workspace/experiment.json', out: '/workspace/runs/demo-2', until: null, redo: null },
    ...{ from: '/workspace/runs/demo', pairs: null, circuit: null, seed: null, variants: null, set: {} },
  },
  run: '/workspace/runs/demo-2',
  state: 'running',
  error: null,
  stage: 'amplify',
  stages: [
    { name: 'generate', status: 'kept' },
    { name: 'localize', status: 'kept' },
    { name: 'mask', status: 'kept' },
    { name: 'amplify', status: 'running' },
    { name: 'evaluate', status: 'waiting' },
  ],
  done: 22,
  total: 30,
  unit: 'steps',
  share: 22 / 30,
  stageRemaining: 8,
  remaining: 38,
  atMost: false,
  tokensPerSecond: null,
  memory: null,
  figures: { loss: 0.14 },
  started: 0,
  ended: null,
  endingTraining: false,
  restarts: 0,
  device: 'cpu',
};

const encode = (values: Float32Array) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');

/** A model of the size of the largest that are trained so: numbers of no meaning, many near 0 and few large, both signs. */
export function largeView(): CircuitView {
  const shape = { layers: 40, heads: 64, kvHeads: 64, neurons: 14_336, headDim: 128, hiddenSize: 8192 };
  const size = shape.layers * (shape.heads + 2 * shape.kvHeads + shape.neurons);
  let seed = 1;
  const next = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const values = Float32Array.from({ length: size }, () => next() ** 40);
  const attribution = Float32Array.from({ length: size }, () => (2 * next() - 1) ** 15);
  const selected = Array.from(values.keys()).filter((i) => values[i]! > 0.9);
  return {
    run: '/workspace/runs/large',
    name: 'large',
    experiment: '/workspace/large.json',
    shape,
    method: 'dcm',
    lambda: 0.01,
    budget: Math.floor(size / 100),
    pairs: 200,
    selected,
    values: encode(values),
    attribution: encode(attribution),
    change: null,
  };
}
