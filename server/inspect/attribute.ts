import { breathe, neverAborted, type Signal } from '../control.ts';
import type { Pair } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { MaskSteps } from '../mask/step.ts';
import { blockFeeds } from '../model/batch.ts';
import { ComponentSpace } from '../model/components.ts';
import { trainingGraph } from '../model/graphs.ts';
import { overlayFeeds, overlayShape } from '../model/overlay.ts';
import { f32, i64 } from '../onnx/session.ts';

/** Padded prefix tokens of one run, and pairs of one mask step: enough rows for the kernels, small activations. */
const BLOCK_TOKENS = 2048;
const BLOCK_PAIRS = 8;

/** gate = 2 x mask (arXiv 2512.16914, stage 2): every mask at 1, where training starts. */
const GATE_OF_FULL_MASK = 2;
/** The model as it is. */
export const GATE_OF_PLAIN_MODEL = 1;

/** What pushes a model toward one pair's desired token and away from its undesired one. */
export interface PairAttribution {
  pair: Pair;
  /** logit[desired] - logit[undesired] of the model as it is. */
  margin: number;
  /**
   * For every prefix token: sum over the embedding of d margin / d embedding * embedding. Positive: the token pushes
   * toward desired. null where not asked for.
   */
  inputs: Float32Array | null;
  /** logit[desired] - logit[undesired] with the gates in force; null as `gates`. */
  gatedMargin: number | null;
  /**
   * Gradient of -(logit[desired] - logit[undesired]) by every component's gate at the prefix's last position, flat
   * by ComponentSpace. Negative: strengthening the component pushes toward desired. null where not asked for.
   */
  gates: Float32Array | null;
}

export interface AttributeOptions {
  /** Where the gates stand: one number for all, or flat by ComponentSpace. 2 (mask 1) by default; 1: plain model. */
  gate?: number | Float32Array;
  /** Whether to attribute to prefix tokens: a forward and backward pass over each prefix. Default true. */
  inputs?: boolean;
  /** Whether to attribute to components: one position per pair, behind a forward pass. Default true. */
  components?: boolean;
  signal?: Signal;
  onPair?(index: number, attribution: PairAttribution): void;
}

/**
 * Attribute pairs to components and to prefix tokens, in the order given.
 * @param pairs prefixes must start with the runner's shared prefix and go on after it
 * @throws Cancelled when the signal fires; RangeError where `gate` has another length than the model has components
 */
export async function attributePairs(
  runner: Runner,
  pairs: readonly Pair[],
  { onPair, ...options }: AttributeOptions = {},
): Promise<PairAttribution[]> {
  const results: PairAttribution[] = [];
  for await (const attribution of eachAttribution(runner, pairs, options)) {
    onPair?.(results.length, attribution);
    results.push(attribution);
  }
  return results;
}

/** `attributePairs` one by one, for whoever need not hold them all: only a few pairs are in memory at a time. */
export async function* eachAttribution(
  runner: Runner,
  pairs: readonly Pair[],
  {
    gate = GATE_OF_FULL_MASK,
    inputs = true,
    components = true,
    signal = neverAborted,
  }: Omit<AttributeOptions, 'onPair'> = {},
): AsyncGenerator<PairAttribution> {
  const { size } = new ComponentSpace(runner.model.config);
  if (typeof gate !== 'number' && gate.length !== size)
    throw new RangeError(`${gate.length} gates for ${size} components`);
  const plainGate = new Float32Array(size).fill(GATE_OF_PLAIN_MODEL);
  const gates = typeof gate === 'number' ? new Float32Array(size).fill(gate) : gate;
  for (const block of blocks(pairs)) {
    const batch = block.map((_, b) => b);
    const tokens = inputs ? await attributeInputs(runner, block, signal) : null;
    const steps = components || !tokens ? await MaskSteps.create(runner, block, 'margin', signal) : null;
    const gated = components ? await steps!.run(batch, gates, { signal }) : null;
    const margins = tokens?.margins ?? (await steps!.run(batch, plainGate, { signal })).margins;
    for (const b of batch) {
      yield {
        pair: block[b]!,
        margin: margins[b]!,
        inputs: tokens?.attributions[b] ?? null,
        gatedMargin: gated?.margins[b] ?? null,
        gates: gated?.gradients.slice(b * size, (b + 1) * size) ?? null,
      };
    }
  }
}

/** Consecutive pairs that go through together. */
function blocks(pairs: readonly Pair[]): Pair[][] {
  const out: Pair[][] = [];
  let longest = 0;
  for (const pair of pairs) {
    const block = out.at(-1);
    longest = Math.max(longest, pair.prefix.length);
    if (block && block.length < BLOCK_PAIRS && (block.length + 1) * longest <= BLOCK_TOKENS) block.push(pair);
    else {
      out.push([pair]);
      longest = pair.prefix.length;
    }
  }
  return out;
}

/** Gradient x embedding of each pair's margin. Whole prefixes: in a shared prompt the pairs' gradients would add up. */
async function attributeInputs(
  { model, overlay }: Runner,
  pairs: readonly Pair[],
  signal: Signal,
): Promise<{ margins: Float32Array; attributions: Float32Array[] }> {
  const session = model.session('attribution', overlayShape(overlay), (context) =>
    trainingGraph(context, {
      head: { kind: 'pairs', objective: 'margin' },
      wanted: { kind: 'inputs' },
      shared: 'none',
    }),
  );
  await breathe(signal);
  const size = pairs.length;
  const length = Math.max(...pairs.map((pair) => pair.prefix.length));
  const rows = pairs.map(({ prefix }) => ({ ids: prefix, offset: 0, cached: 0 }));
  const weights = new Float32Array(size * 2 * size);
  for (let b = 0; b < size; b++) {
    weights[b * 2 * size + 2 * b] = 1;
    weights[b * 2 * size + 2 * b + 1] = -1;
  }
  const out = await session.run({
    ...overlayFeeds(overlay),
    ...blockFeeds(model, rows, { length, past: 0, align: 'left' }).feeds,
    at: i64(pairs.map(({ prefix }, b) => b * length + prefix.length - 1)),
    tokens: i64(pairs.flatMap(({ desired, undesired }) => [desired, undesired])),
    weights: f32(weights, size, 2 * size),
    // The sum of losses: no pair's gradient depends on the others.
    share: f32(new Float32Array(size).fill(1), size),
  });
  const ofLoss = out.attribution!.data as Float32Array;
  return {
    margins: out.margin!.data as Float32Array,
    // The loss is -margin.
    attributions: pairs.map(({ prefix }, b) =>
      ofLoss.subarray(b * length, b * length + prefix.length).map((a) => -a),
    ),
  };
}
