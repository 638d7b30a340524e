import { breathe, type Signal } from '../control.ts';
import type { Pair } from '../data/records.ts';
import { groupByLength, type Runner } from '../generate/forward.ts';
import { sampleToken } from '../generate/sampler.ts';
import type { Architecture } from '../model/architectures/architecture.ts';
import { blockFeeds, tokensOf } from '../model/batch.ts';
import {
  type ComponentKind,
  ComponentSpace,
  componentKinds,
  rowSpan,
  rowsOf,
  tensorOf,
} from '../model/components.ts';
import { trainingGraph } from '../model/graphs.ts';
import type { Model } from '../model/model.ts';
import { overlayFeeds, overlayShape } from '../model/overlay.ts';
import { BLOCK_TOKENS, GRADIENT_BYTES, logitRows, trainingRows } from '../model/sizes.ts';
import { f32, i64 } from '../onnx/session.ts';
import { PairLoss, pairTokens } from '../optimize/pair-loss.ts';
import { bytesOf, packState, setBytes, unpackState } from '../optimize/state.ts';
import type { Rng } from '../random.ts';

export interface FisherOptions {
  /** Weight of the kind's mean Fisher information in the denominator: what keeps a near-zero F from winning. */
  eps: number;
  /** Kinds that compete; the others score 0. */
  kinds: readonly ComponentKind[];
}

/**
 * Score of each component: |g|^2 / (F + eps * mean F of its kind). g is the gradient of mean softplus(-margin) over
 * the pairs by the component's trainable rows; F the mean over control sequences of the squared norm of the gradient
 * of their log likelihood by the same rows, with labels drawn from the model (Fisher information). High: the pairs
 * want it changed and the control text does not depend on it.
 * @param runner has the pairs' shared prefix; `plain` has none and runs the control text
 * @param control token ids of plain control sequences, at least 2 tokens each
 * @param saved of an earlier session that was interrupted, as `save` got it after every group of layers
 * @returns flat by ComponentSpace
 */
export async function fisherScores(
  runner: Runner,
  pairs: readonly Pair[],
  control: readonly (readonly number[])[],
  options: FisherOptions,
  {
    plain,
    rng,
    signal,
    onProgress,
    saved,
    save,
  }: {
    plain: Runner;
    rng: Rng;
    signal: Signal;
    onProgress?: (done: number, total: number) => void;
    saved?: Uint8Array | null;
    save?: (state: Uint8Array) => void;
  },
): Promise<Float32Array> {
  const { model } = runner;
  const space = new ComponentSpace(model.config);
  const gradient2 = new Float64Array(space.size);
  const fisher = new Float64Array(space.size);
  let first = 0;
  if (saved) {
    const { head, parts } = unpackState<{ layers: number }>(saved);
    first = head.layers;
    setBytes(gradient2, parts[0]!);
    setBytes(fisher, parts[1]!);
  }
  const groups = layerGroups(model, first);
  const total = layerGroups(model).length * 2;
  let done = total - groups.length * 2;
  // A sequence has a gradient of its own.
  const largest = Math.max(
    ...options.kinds.map((kind) =>
      model.tensors(tensorOf(model.arch, kind, 0)).shape.reduce((a, b) => a * b),
    ),
  );
  const sequencesAtOnce = Math.max(1, Math.floor(GRADIENT_BYTES / (4 * largest)));
  let drawn: Labelled[] | undefined;
  for (const layers of groups) {
    // Every group has graphs of its own.
    await model.makeRoom();
    const tensors = layers.flatMap((layer) =>
      options.kinds.map((kind) => ({ kind, layer, tensor: tensorOf(model.arch, kind, layer) })),
    );
    const loss = await PairLoss.create(runner, 'softplus', {
      kind: 'matrices',
      tensors: tensors.map((t) => t.tensor),
    });
    const { gradients } = await loss.run(pairs, { signal });
    for (const { kind, layer, tensor } of tensors) {
      const norms = rowNorms(gradients.get(tensor)!, model.tensors(tensor).shape[1]!);
      addByComponent(gradient2, norms, kind, layer, model.arch, space);
    }
    onProgress?.(++done, total);
    await model.makeRoom();
    // After the pairs, whose cost tells what the norms will cost: early, as an estimate of the time left must be.
    if (!drawn) {
      drawn = await drawLabels(plain, control, sequencesAtOnce, { rng, signal });
      await model.makeRoom();
    }
    const perRow = await sequenceRowNorms(
      plain,
      drawn,
      tensors.map((t) => t.tensor),
      signal,
    );
    for (const { kind, layer, tensor } of tensors) {
      addByComponent(fisher, perRow.get(tensor)!, kind, layer, model.arch, space);
    }
    save?.(packState({ layers: layers.at(-1)! + 1 }, [bytesOf(gradient2), bytesOf(fisher)]));
    onProgress?.(++done, total);
  }
  const scores = new Float32Array(space.size);
  for (const kind of options.kinds) {
    const first = space.offset(kind, 0);
    const count = space.width(kind) * space.layers;
    const mean = fisher.subarray(first, first + count).reduce((sum, f) => sum + f, 0) / count;
    for (let i = first; i < first + count; i++) scores[i] = gradient2[i]! / (fisher[i]! + options.eps * mean);
  }
  return scores;
}

/**
 * Tokens that `fisherScores` takes through the model by kind of work, its passes over pairs or control text, and how many
 * of these an interrupted session has done.
 */
export function fisherTokens(
  runner: Runner,
  pairs: readonly Pair[],
  control: readonly (readonly number[])[],
  saved: Uint8Array | null = null,
): { forward: number; train: number; norms: number; passes: number; kept: number } {
  const first = saved ? unpackState<{ layers: number }>(saved).head.layers : 0;
  const groups = layerGroups(runner.model).length;
  const left = layerGroups(runner.model, first).length;
  const text = control.reduce((sum, ids) => sum + ids.length, 0);
  return {
    forward: text,
    train: left * pairTokens(runner, pairs),
    norms: left * text,
    passes: 2 * groups,
    kept: 2 * (groups - left),
  };
}

/** Layers whose gradients are held together, as many as fit: the pairs and the control text go through once for each group. */
function layerGroups(model: Model, first = 0): number[][] {
  const { numLayers } = model.config;
  const bytesPerLayer = componentKinds.reduce((sum, kind) => {
    const [out, width] = model.tensors(tensorOf(model.arch, kind, 0)).shape as [number, number];
    return sum + 4 * out * width;
  }, 0);
  const layersAtOnce = Math.max(1, Math.floor(GRADIENT_BYTES / bytesPerLayer));
  const groups: number[][] = [];
  for (let layer = first; layer < numLayers; layer += layersAtOnce) {
    groups.push(Array.from({ length: Math.min(layersAtOnce, numLayers - layer) }, (_, i) => layer + i));
  }
  return groups;
}

/** The `budget` highest scores, ties to the lower position. */
export function topComponents(scores: Float32Array, budget: number): number[] {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, budget)
    .filter((i) => scores[i]! > 0)
    .sort((a, b) => a - b);
}

function rowNorms(matrix: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(matrix.length / width);
  for (let i = 0; i < matrix.length; i++) {
    const row = (i / width) | 0;
    norms[row] = norms[row]! + matrix[i]! * matrix[i]!;
  }
  return norms;
}

/** @param rows squared norms of all rows of the matrix, which may hold other kinds too */
function addByComponent(
  into: Float64Array,
  rows: Float64Array,
  kind: ComponentKind,
  layer: number,
  arch: Architecture,
  space: ComponentSpace,
): void {
  const { first, count } = rowSpan(arch, kind);
  const rowsEach = rowsOf(arch, kind);
  const start = space.offset(kind, layer);
  rows.subarray(first, first + count).forEach((norm, row) => {
    const at = start + Math.floor(row / rowsEach);
    into[at] = into[at]! + norm;
  });
}

/** Control sequences that run together: logits and gradients of all their positions are held at a time. */
interface Labelled {
  sequences: readonly (readonly number[])[];
  /** Drawn from the model at every position, sequence after sequence. */
  labels: number[];
}

async function drawLabels(
  runner: Runner,
  control: readonly (readonly number[])[],
  sequencesAtOnce: number,
  { rng, signal }: { rng: Rng; signal: Signal },
): Promise<Labelled[]> {
  const { config } = runner.model;
  const vocab = config.vocabSize;
  const drawn: Labelled[] = [];
  const lengths = control.map((ids) => ids.length);
  for (const group of groupByLength(lengths, logitRows(trainingRows(BLOCK_TOKENS, config), vocab), {
    sequences: sequencesAtOnce,
  })) {
    const sequences = group.map((i) => control[i]!);
    const forwarded = await runner.forward(
      sequences.map((ids) => ({ ids, rows: ids.map((_, t) => t) })),
      { signal },
    );
    const labels = group.flatMap((i, b) => {
      const draw = rng.fork(`labels ${i}`);
      const { logits } = forwarded[b]!;
      return control[i]!.map((_, t) =>
        sampleToken(logits.subarray(t * vocab, (t + 1) * vocab), { temperature: 1, topP: 1, topK: 0 }, draw),
      );
    });
    drawn.push({ sequences, labels });
  }
  return drawn;
}

/** Mean over sequences of each row's squared gradient norm. */
async function sequenceRowNorms(
  { model, overlay }: Runner,
  control: readonly Labelled[],
  tensors: readonly string[],
  signal: Signal,
): Promise<Map<string, Float64Array>> {
  const session = model.session(`row norms ${tensors}`, overlayShape(overlay), (context) =>
    trainingGraph(context, {
      head: { kind: 'crossEntropy' },
      wanted: { kind: 'rowNorms', tensors },
      shared: 'none',
    }),
  );
  const sums = new Map(tensors.map((tensor) => [tensor, new Float64Array(model.tensors(tensor).shape[0]!)]));
  const count = control.reduce((sum, { sequences }) => sum + sequences.length, 0);
  for (const { sequences, labels } of control) {
    await breathe(signal);
    const rows = sequences.map((ids) => ({ ids, offset: 0, cached: 0 }));
    const length = Math.max(...rows.map((r) => r.ids.length));
    const positions = rows.flatMap((row, b) => Array.from(row.ids, (_, t) => b * length + t));
    const out = await session.run({
      ...overlayFeeds(overlay),
      ...blockFeeds(model, rows, { length, past: 0, align: 'left' }).feeds,
      rows: i64(positions),
      labels: i64(labels),
      share: f32(new Float32Array(positions.length).fill(1), positions.length),
    });
    signal.worked?.('norms', tokensOf(rows));
    for (const [tensor, sum] of sums) {
      const norms = out[`norm.${tensor}`]!.data as Float32Array;
      for (let i = 0; i < norms.length; i++) sum[i % sum.length] = sum[i % sum.length]! + norms[i]! / count;
    }
  }
  return sums;
}
