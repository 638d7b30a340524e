/** Gradients, training steps, KL, LoRA and per-sequence norms against PyTorch (test/fixtures/README.md). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRowsF32, readTensorF32 } from '../../server/checkpoint/safetensors.ts';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { logProbability } from '../../server/generate/likelihood.ts';
import { blockFeeds } from '../../server/model/batch.ts';
import {
  type Circuit,
  circuitDeltas,
  type NeuronRows,
  rowSpan,
  tensorOf,
} from '../../server/model/components.ts';
import { type Objective, trainingGraph } from '../../server/model/graphs.ts';
import { Model } from '../../server/model/model.ts';
import {
  type Delta,
  noOverlay,
  type Overlay,
  overlayInput,
  overlayParameters,
  overlayShape,
} from '../../server/model/overlay.ts';
import { f32, i64 } from '../../server/onnx/session.ts';
import { Adam } from '../../server/optimize/adam.ts';
import { PairLoss } from '../../server/optimize/pair-loss.ts';
import { TextLoss } from '../../server/optimize/text-loss.ts';
import {
  type LabelledSequence,
  loadOracle,
  type OracleOf,
  oracleNames,
  type PaperKind,
  type RowKind,
  type Selection,
  type Trained,
} from '../oracle.ts';
import { relative, relativeByNorm } from './compare.ts';
import { asPairs } from './pairs.ts';

const signal = neverAborted;
const paperKinds: readonly PaperKind[] = ['q', 'k', 'v', 'up'];
const allKinds: readonly RowKind[] = [...paperKinds, 'gate', 'down'];
const projections = {
  q: 'q_proj',
  k: 'k_proj',
  v: 'v_proj',
  up: 'up_proj',
  gate: 'gate_proj',
  down: 'down_proj',
} as const;

function circuitOf(model: Model, select: Selection): Circuit {
  const byLayer = (units: Selection['q']) =>
    Array.from({ length: model.config.numLayers }, (_, layer) =>
      units
        .filter(([l]) => l === layer)
        .map(([, unit]) => unit)
        .sort((a, b) => a - b),
    );
  return { q: byLayer(select.q), k: byLayer(select.k), v: byLayer(select.v), mlp: byLayer(select.mlp) };
}

/** Where the rows of an oracle array stand in an overlay, in the order of its selection. */
function places(model: Model, deltas: readonly Delta[], select: Selection, kind: RowKind) {
  const attention = kind === 'q' || kind === 'k' || kind === 'v';
  const each = attention ? model.config.headDim : 1;
  return select[attention ? kind : 'mlp'].flatMap(([layer, unit]) => {
    const tensor = model.arch.weight(layer, projections[kind]);
    const axis = kind === 'down' ? 1 : 0;
    const first = axis === 0 ? model.arch.rows(projections[kind]).first : 0;
    const delta = deltas.find((d) => d.tensor === tensor && d.axis === axis)!;
    return Array.from({ length: each }, (_, r) => {
      const index = first + unit * each + r;
      return { delta, index, at: delta.indices.indexOf(index) };
    });
  });
}

/** The rows of one kind, as an oracle lays them out, of values by overlay input name. */
function rowsOf(
  model: Model,
  deltas: readonly Delta[],
  select: Selection,
  kind: RowKind,
  values: ReadonlyMap<string, Float32Array>,
): Float32Array {
  const width = model.config.hiddenSize;
  const rows = places(model, deltas, select, kind).map(({ delta, at }) =>
    values.get(overlayInput.delta(delta.tensor, delta.axis))!.subarray(at * width, (at + 1) * width),
  );
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

/** The checkpoint's own values of the same rows. */
function baseRows(model: Model, deltas: readonly Delta[], select: Selection, kind: RowKind): Float32Array {
  const width = model.config.hiddenSize;
  const rows = places(model, deltas, select, kind).map(({ delta, index }) => {
    const info = model.checkpoint.tensors.get(delta.tensor)!;
    if (delta.axis === 0) return readRowsF32(info, [index]);
    const all = readTensorF32(info);
    const columns = info.shape[1]!;
    return Float32Array.from({ length: width }, (_, i) => all[i * columns + index]!);
  });
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

const withDeltas = (deltas: readonly Delta[]): Overlay => ({ ...noOverlay, deltas });

describe.each(oracleNames)('%s', (name) => {
  const oracle = loadOracle(name);
  const pairs = asPairs(oracle.pairs);
  let model: Model;
  let runner: Runner;

  beforeAll(async () => {
    model = await Model.load(oracle.folder);
    runner = await Runner.create(model);
  });
  afterAll(() => model.release());

  /** Zero changes of a selection and the mean pair loss over them. */
  const training = async (select: Selection, objective: Objective, neurons: NeuronRows, by = runner) => {
    const overlay = withDeltas(circuitDeltas(model.arch, circuitOf(model, select), neurons));
    const loss = await PairLoss.create(by, objective, { kind: 'overlay' }, overlay);
    return { overlay, loss };
  };

  describe.each(['upper', 'every'] as const)('rows of selection %s', (selection) => {
    const { select, softplus, margin, sgd, adam } = oracle.rows[selection];

    test.each(['softplus', 'margin'] as const)('gradient of mean %s', async (objective) => {
      const expected = objective === 'softplus' ? softplus : margin;
      const { overlay, loss } = await training(select, objective, 'up+gate+down');
      const result = await loss.run(pairs, { overlay, signal });
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      for (const kind of allKinds) {
        const rows = rowsOf(model, overlay.deltas, select, kind, result.gradients);
        expect(relative(rows, expected[kind].data), kind).toBeLessThan(1e-5);
      }
    });

    const trains = async <K extends RowKind>(
      kinds: readonly K[],
      objective: Objective,
      expected: Trained<K>,
      update: (parameters: Float32Array[]) => (gradients: Float32Array[]) => void,
    ) => {
      const neurons = (kinds as readonly RowKind[]).includes('down') ? 'up+gate+down' : 'up';
      const { overlay, loss } = await training(select, objective, neurons);
      const parameters = overlayParameters(overlay);
      const step = update([...parameters.values()]);
      const losses: number[] = [];
      for (let i = 0; i <= 3; i++) {
        const result = await loss.run(pairs, { overlay, signal });
        losses.push(result.loss);
        if (i < 3) step([...parameters.keys()].map((key) => result.gradients.get(key)!));
      }
      losses.forEach((value, i) => {
        expect(value).toBeCloseTo(expected.losses[i]!, 4);
      });
      for (const kind of kinds) {
        const changed = rowsOf(model, overlay.deltas, select, kind, parameters);
        const base = baseRows(model, overlay.deltas, select, kind);
        const rows = changed.map((change, i) => base[i]! + change);
        expect(relative(rows, expected[kind].data), kind).toBeLessThan(1e-5);
        // The change is small beside the weights. By norm: Adam divides each entry by its own gradient's size, so an
        // entry whose gradient is nearly 0 moves as far as the others, with only a few digits of it certain.
        const change = expected[kind].data.map((w, i) => w - base[i]!);
        expect(relativeByNorm(changed, change), kind).toBeLessThan(3e-5);
      }
    };
    const withAdam = (parameters: Float32Array[]) => {
      const optimiser = new Adam(
        parameters.map((p) => p.length),
        { beta2: 0.99 },
      );
      return (gradients: Float32Array[]) => optimiser.update(parameters, gradients, 5e-3);
    };

    test('three steps of gradient descent', () =>
      trains(paperKinds, 'margin', sgd, (parameters) => (gradients) => {
        parameters.forEach((p, t) => {
          for (let i = 0; i < p.length; i++) p[i] = p[i]! - 0.1 * gradients[t]![i]!;
        });
      }));

    test('three steps of Adam', () => trains(paperKinds, 'softplus', adam, withAdam));

    if (selection === 'every') {
      test('three steps of Adam, gate and down too', () =>
        trains(allKinds, 'softplus', oracle.rows.every.adamWide, withAdam));
    }
  });

  test.skipIf(name === 'llama-rope-dynamic')('a shared prompt once changes no gradient', async () => {
    const prompt = oracle.logits.ids.slice(0, 21);
    const longer = pairs.map((pair) => ({ ...pair, prefix: [...prompt, ...pair.prefix] }));
    const { select } = oracle.rows.every;
    const alone = await training(select, 'softplus', 'up+gate+down');
    const whole = await alone.loss.run(longer, { overlay: alone.overlay, signal });
    const behind = await Runner.create(model, noOverlay, prompt);
    const shared = await training(select, 'softplus', 'up+gate+down', behind);
    const parted = await shared.loss.run(longer, { overlay: shared.overlay, signal });
    expect(relative(parted.margins, whole.margins)).toBeLessThan(1e-5);
    for (const kind of allKinds) {
      const rows = (gradients: Map<string, Float32Array>) =>
        rowsOf(model, alone.overlay.deltas, select, kind, gradients);
      expect(relative(rows(parted.gradients), rows(whole.gradients)), kind).toBeLessThan(1e-5);
    }
  });

  test('KL to the base model and its gradient', async () => {
    const { kl, texts } = oracle;
    const deltas = circuitDeltas(model.arch, circuitOf(model, kl.select), 'up+gate+down');
    const width = model.config.hiddenSize;
    for (const kind of paperKinds) {
      places(model, deltas, kl.select, kind).forEach(({ delta, at }, n) => {
        delta.delta.set(kl.delta[kind].data.subarray(n * width, (n + 1) * width), at * width);
      });
    }
    const overlay = withDeltas(deltas);
    const rows = texts.map((ids) => ids.map((_, t) => t));
    const vocab = model.config.vocabSize;
    const base = await runner.forward(texts.map((ids, i) => ({ ids, rows: rows[i]! })));
    const logp = base.map(({ logits }) =>
      logits.map((_, at) => logProbability(logits, Math.floor(at / vocab), at % vocab, vocab)),
    );
    const positions = rows.flat().length;
    const loss = await TextLoss.create(runner, 'kl', { kind: 'overlay' }, overlay);
    const result = await loss.run(
      texts.map((ids, i) => ({ ids, rows: rows[i]!, share: 1 / positions })),
      logp.map((p) => ({ kind: 'kl', logp: p })),
      { overlay, signal },
    );
    expect(Math.abs(result.loss / kl.value - 1)).toBeLessThan(1e-5);
    for (const kind of allKinds) {
      expect(
        relative(rowsOf(model, deltas, kl.select, kind, result.gradients), kl.grad[kind].data),
        kind,
      ).toBeLessThan(2e-5);
    }
  });

  test('squared gradient norm of every row, text by text', async () => {
    const { texts, fisher } = oracle;
    const kinds = paperKinds.map((kind) => ({ kind, component: kind === 'up' ? ('mlp' as const) : kind }));
    const layers = Array.from({ length: model.config.numLayers }, (_, layer) => layer);
    const tensors = kinds.flatMap(({ component }) => layers.map((l) => tensorOf(model.arch, component, l)));
    const session = model.session('row norms', overlayShape(noOverlay), (context) =>
      trainingGraph(context, {
        head: { kind: 'crossEntropy' },
        wanted: { kind: 'rowNorms', tensors },
        shared: 'none',
      }),
    );
    const length = Math.max(...texts.map((ids) => ids.length));
    const rows = texts.flatMap((ids, b) => ids.map((_, t) => b * length + t));
    const out = await session.run({
      ...blockFeeds(
        model,
        texts.map((ids) => ({ ids, offset: 0, cached: 0 })),
        { length, past: 0, align: 'left' },
      ).feeds,
      rows: i64(rows),
      labels: i64(fisher.labels.flat()),
      share: f32(new Float32Array(rows.length).fill(1), rows.length),
    });
    for (const { kind, component } of kinds) {
      const each = component === 'mlp' ? 1 : model.config.headDim;
      const [, , width] = fisher[kind].shape as [number, number, number];
      const norms = new Float64Array(texts.length * layers.length * width);
      for (const layer of layers) {
        const rows = out[`norm.${tensorOf(model.arch, component, layer)}`]!;
        const { first, count } = rowSpan(model.arch, component);
        texts.forEach((_, text) => {
          const start = text * rows.dims[1]! + first;
          for (let row = 0; row < count; row++) {
            const at = (text * layers.length + layer) * width + Math.floor(row / each);
            norms[at]! += Number(rows.data[start + row]);
          }
        });
      }
      expect(relative(norms, fisher[kind].data), kind).toBeLessThan(2e-5);
    }
  });
});

/** Mean cross entropy over the labelled positions, and its gradient by the overlay's values. */
async function crossEntropy(model: Model, overlay: Overlay, sequences: readonly LabelledSequence[]) {
  const loss = await TextLoss.create(
    await Runner.create(model),
    'crossEntropy',
    { kind: 'overlay' },
    overlay,
  );
  const count = sequences.reduce((sum, { positions }) => sum + positions.length, 0);
  return loss.run(
    sequences.map(({ ids, positions }) => ({ ids, rows: positions, share: 1 / count })),
    sequences.map(({ ids, positions }) => ({
      kind: 'crossEntropy',
      labels: positions.map((t) => ids[t + 1]!),
    })),
    { overlay, signal },
  );
}

test.each(['llama-tied', 'llama-untied-hd'] as const)('%s: gradient of every tensor', async (name) => {
  const oracle: OracleOf<'llama-tied' | 'llama-untied-hd'> = loadOracle(name);
  const model = await Model.load(oracle.folder);
  const dense = new Map(
    [...model.checkpoint.tensors].map(([tensor, info]) => [
      tensor,
      { data: readTensorF32(info), dims: info.shape },
    ]),
  );
  expect([...dense.keys()].sort()).toEqual(Object.keys(oracle.dense.grad).sort());
  const result = await crossEntropy(model, { ...noOverlay, dense }, oracle.dense.sequences);
  expect(result.loss).toBeCloseTo(oracle.dense.loss, 5);
  for (const [tensor, { data }] of Object.entries(oracle.dense.grad)) {
    expect(relative(result.gradients.get(overlayInput.dense(tensor))!, data), tensor).toBeLessThan(1e-5);
  }
  await model.release();
});

test('llama-tied: LoRA logits and gradients', async () => {
  const { folder, logits, lora } = loadOracle('llama-tied');
  const model = await Model.load(folder);
  const modules = Object.keys(lora.weights)
    .filter((key) => key.endsWith('.lora_A.weight'))
    .map((key) => key.slice(0, -'.lora_A.weight'.length));
  const overlay: Overlay = {
    ...noOverlay,
    lowRank: modules.map((module) => ({
      tensor: `${module.slice('base_model.model.'.length)}.weight`,
      a: lora.weights[`${module}.lora_A.weight`]!.data,
      b: lora.weights[`${module}.lora_B.weight`]!.data,
      rank: lora.r,
      scale: lora.alpha / lora.r,
    })),
  };
  const runner = await Runner.create(model, overlay);
  const [forwarded] = await runner.forward([{ ids: logits.ids, rows: logits.ids.map((_, i) => i) }]);
  expect(relative(forwarded!.logits, lora.logits.data)).toBeLessThan(1e-5);
  const result = await crossEntropy(model, overlay, lora.sequences);
  expect(result.loss).toBeCloseTo(lora.loss, 5);
  modules.forEach((module, i) => {
    const { tensor } = overlay.lowRank[i]!;
    for (const [side, key] of [
      ['A', overlayInput.a(tensor)],
      ['B', overlayInput.b(tensor)],
    ] as const) {
      const { data } = lora.grad[`${module}.lora_${side}.weight`]!;
      expect(relative(result.gradients.get(key)!, data), `${module} ${side}`).toBeLessThan(1e-5);
    }
  });
  await model.release();
});
