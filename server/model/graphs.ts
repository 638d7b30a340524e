import type { Dim } from '../graph/dim.ts';
import { gradient } from '../graph/gradient.ts';
import { type Graph, GraphBuilder, type Node } from '../graph/ir.ts';
import type { Architecture, AttentionKind } from './architectures/architecture.ts';
import { type Angles, Decoder, type Gate, type Sequences, type Shared, type TensorTable } from './decoder.ts';
import { type OverlayShape, overlayExtent, overlayInput } from './overlay.ts';
import { rotarySuffix } from './rotary.ts';

/** What every graph of a model is built from. */
export interface GraphContext {
  arch: Architecture;
  tensors: TensorTable;
  overlay: OverlayShape;
}

/** How a pair's margin = logit[desired] - logit[undesired] becomes a loss. */
export type Objective = 'margin' | 'softplus';

/** Inputs `<prefix>cos`, `<prefix>sin` [...shape, headDim]; by attention kind where the kinds rotate differently. */
function rotaryInputs(g: GraphBuilder, arch: Architecture, prefix: string, shape: readonly Dim[]) {
  return (kind: AttentionKind): Angles => {
    const input = (name: string) =>
      g.input(`${prefix}${name}${rotarySuffix(arch, kind)}`, [...shape, arch.config.headDim]);
    return { cos: input('cos'), sin: input('sin') };
  };
}

function ownInputs(g: GraphBuilder, arch: Architecture, withPast: boolean): Sequences {
  const { headDim, numKvHeads, numLayers } = arch.config;
  const past = ['past.k', 'past.v'];
  const length: Dim = 'T';
  const context: Dim = withPast ? 'P+T' : 'T';
  return {
    batch: 'B',
    length,
    ids: g.input('ids', ['B', length], 'i64'),
    rotary: rotaryInputs(g, arch, '', ['B', length]),
    bias: (kind: AttentionKind) => g.input(`bias.${kind}`, ['B', length, context]),
    sharedBias: () => g.input('bias.prefix', ['B', length, 'S']),
    ...(withPast && {
      past: Array.from({ length: numLayers }, (_, layer) => {
        const [k, v] = past.map((name) => g.input(`${name}.${layer}`, [numKvHeads, 'B', 'P', headDim]));
        return { k: k!, v: v! };
      }),
    }),
  };
}

/** One token each of `slots` sequences, each with a cache of its own. */
function slotInputs(g: GraphBuilder, arch: Architecture, slots: number): Sequences {
  const { headDim, numKvHeads, numLayers } = arch.config;
  const each = <T>(of: (slot: number) => T) => Array.from({ length: slots }, (_, slot) => of(slot));
  const past = (which: 'k' | 'v', layer: number) =>
    each((slot) => g.input(slotInput(which, layer, slot), [numKvHeads, 1, headDim, `P${slot}`]));
  return {
    batch: slots,
    length: 1,
    ids: g.input('ids', [slots, 1], 'i64'),
    rotary: rotaryInputs(g, arch, '', [slots, 1]),
    bias: (kind) => g.input(`bias.${kind}`, [slots, 1, 'P+1']),
    sharedBias: () => g.input('bias.prefix', [slots, 1, 'S']),
    past: Array.from({ length: numLayers }, (_, layer) => ({
      k: past('k', layer),
      v: past('v', layer),
      length: 'P',
    })),
  };
}

/** The mask graph's input of one slot's cached keys or values in one layer. */
export const slotInput = (which: 'k' | 'v', layer: number, slot: number): string =>
  `past.${which}.${layer}.${slot}`;

function sharedInputs(g: GraphBuilder, arch: Architecture, kind: SharedKind): Shared | undefined {
  const { headDim, numKvHeads, numLayers } = arch.config;
  if (kind === 'none') return undefined;
  if (kind === 'live') {
    return {
      kind,
      length: 'S',
      ids: g.input('shared.ids', ['S'], 'i64'),
      rotary: rotaryInputs(g, arch, 'shared.', ['S']),
      bias: (attention) => g.input(`shared.bias.${attention}`, ['S', 'S']),
    };
  }
  return {
    kind,
    length: 'S',
    kv: Array.from({ length: numLayers }, (_, layer) => ({
      k: g.input(`shared.k.${layer}`, [numKvHeads, 1, 'S', headDim]),
      v: g.input(`shared.v.${layer}`, [numKvHeads, 1, 'S', headDim]),
    })),
  };
}

export type SharedKind = Shared['kind'] | 'none';

/**
 * Prefill, decoding and scoring: own tokens `ids` [B, T] after an optional own cache and an optional shared cache.
 * Outputs: `logits` [R, V] of the rows `rows` (b*T + t), `argmax` [R], and the own tokens' keys and values `k.<layer>`,
 * `v.<layer>` [Hkv, B, T, headDim]: not the grown cache, which whoever holds it extends in place.
 */
export function forwardGraph(
  { arch, tensors, overlay }: GraphContext,
  { past, shared }: { past: boolean; shared: Exclude<SharedKind, 'live'> },
): Graph {
  const g = new GraphBuilder();
  const decoder = new Decoder(g, arch, tensors, overlay);
  const { hidden, kv } = decoder.run(ownInputs(g, arch, past), { shared: sharedInputs(g, arch, shared) });
  const logits = decoder.logits(g.gather(hidden, g.input('rows', ['R'], 'i64')));
  const outputs: Record<string, Node> = { logits, argmax: g.argmax(logits) };
  kv.forEach(({ k, v }, layer) => {
    outputs[`k.${layer}`] = k;
    outputs[`v.${layer}`] = v;
  });
  return g.graph(outputs);
}

/**
 * Margins of B pairs from hidden rows [B, hidden]: margin[b] = sum over k of weights[b, k] * logit[b, tokens[k]].
 * With weights +1 at the pair's desired and -1 at its undesired token this is the logit difference; the reference
 * implementation's loss, which reads every pair's tokens on every pair's logits, is another choice of weights.
 */
function margins(g: GraphBuilder, decoder: Decoder, hidden: Node): Node {
  const logits = decoder.logitsOf(hidden, g.input('tokens', ['K'], 'i64'));
  return g.reduceSum(g.mul(logits, g.input('weights', [hidden.shape[0]!, 'K'])), [1]);
}

/** sum over b of share[b] * loss(margin[b]); `share` [B] is 1/n for the mean over n pairs. */
function pairLoss(g: GraphBuilder, margin: Node, objective: Objective): Node {
  const each = objective === 'margin' ? g.neg(margin) : g.softplus(g.neg(margin));
  return g.reduceSum(g.mul(each, g.input('share', [margin.shape[0]!])), [0]);
}

/**
 * One mask step (arXiv 2512.16914, stage 2): forward and backward of ONE position per pair against cached keys and values, for
 * as many pairs as there are slots (B of them). Inputs `gate.<kind>.<layer>` [B, components]; outputs `loss` [], `margin` [B]
 * and `grad.<kind>.<layer>` [B, components], the gradient of the loss for each pair's own gates.
 */
export function maskGraph(
  { arch, tensors, overlay }: GraphContext,
  { objective, shared, slots }: { objective: Objective; shared: Exclude<SharedKind, 'live'>; slots: number },
): Graph {
  const g = new GraphBuilder();
  const gates = new Map<string, Node>();
  const gate: Gate = (layer, kind, y) => {
    const count = y.shape[1] as number;
    const input = g.input(`gate.${kind}.${layer}`, [slots, count]);
    gates.set(`${kind}.${layer}`, input);
    return g.mul(y, kind === 'mlp' ? input : g.reshape(input, [slots, count, 1]));
  };
  const decoder = new Decoder(g, arch, tensors, overlay, gate);
  const { hidden } = decoder.run(slotInputs(g, arch, slots), { shared: sharedInputs(g, arch, shared) });
  const margin = margins(g, decoder, hidden);
  const loss = pairLoss(g, margin, objective);
  const names = [...gates.keys()];
  const gradients = gradient(g, [{ node: loss, seed: g.scalar(1) }], [...gates.values()]);
  return g.graph({
    loss,
    margin,
    ...Object.fromEntries(names.map((name, i) => [`grad.${name}`, gradients[i]!])),
  });
}

/** What a training graph's loss reads. */
export type Head =
  /** Pairs: one position per sequence, row `at` [B]; `tokens`, `weights`, `share`. */
  | { kind: 'pairs'; objective: Objective }
  /** KL(p || q) summed over `rows` [R] with weights `share` [R]; `target` [R, V] is log p, q is this model. */
  | { kind: 'kl' }
  /** Cross entropy: `rows` [R], `labels` [R], `share` [R]. */
  | { kind: 'crossEntropy' };

/** What a training graph differentiates by. */
export type Wanted =
  /** The overlay's own values: sparse deltas, low-rank factors, whole tensors; with dropout before the low-rank factors. */
  | { kind: 'overlay'; dropout?: boolean }
  /** The embedding rows; output `attribution` [S+B*T] = sum over hidden of gradient * embedding. */
  | { kind: 'inputs' }
  /** Whole matrices: output `grad.<tensor>` [out, in] for each, and per row. */
  | { kind: 'matrices'; tensors: readonly string[] }
  /** Output `norm.<tensor>` [B, out]: squared gradient norm of every row, for each sequence on its own. */
  | { kind: 'rowNorms'; tensors: readonly string[] };

/**
 * Full sequences, forward and backward (arXiv 2512.16914, stage 3). With a live shared prompt, its tokens run once, whatever
 * the number of sequences. Outputs: `loss`, `margin` [B] (pairs), and what `wanted` names.
 */
export function trainingGraph(
  { arch, tensors, overlay }: GraphContext,
  { head, wanted, shared }: { head: Head; wanted: Wanted; shared: Exclude<SharedKind, 'cached'> },
): Graph {
  const g = new GraphBuilder();
  const dropout = wanted.kind === 'overlay' && wanted.dropout === true;
  if (dropout && shared !== 'none')
    throw new Error('dropout is per sequence; a shared prompt would share it');
  const decoder = new Decoder(g, arch, tensors, overlay, undefined, dropout);
  const at = head.kind === 'pairs' ? g.input('at', ['B'], 'i64') : undefined;
  const { hidden, embedding } = decoder.run(ownInputs(g, arch, false), {
    shared: sharedInputs(g, arch, shared),
    at,
  });
  const outputs: Record<string, Node> = {};
  let loss: Node;
  if (head.kind === 'pairs') {
    outputs.margin = margins(g, decoder, hidden);
    loss = pairLoss(g, outputs.margin, head.objective);
  } else {
    const logits = decoder.logits(g.gather(hidden, g.input('rows', ['R'], 'i64')));
    const logq = g.logSoftmax(logits);
    const share = g.input('share', ['R']);
    if (head.kind === 'kl') {
      const logp = g.input('target', ['R', arch.config.vocabSize]);
      const kl = g.reduceSum(g.mul(g.exp(logp), g.sub(logp, logq)), [1]);
      loss = g.reduceSum(g.mul(kl, share), [0]);
    } else {
      loss = g.neg(g.reduceSum(g.mul(g.pick(logq, g.input('labels', ['R'], 'i64')), share), [0]));
    }
  }
  outputs.loss = loss;
  const differentiate = (nodes: Node[]) => gradient(g, [{ node: loss, seed: g.scalar(1) }], nodes);
  const sites = (names: readonly string[]) =>
    names.map((tensor) => {
      const site = decoder.sites.find((s) => s.tensor === tensor);
      if (!site) throw new Error(`${tensor} is not a linear map of this model`);
      return site;
    });
  switch (wanted.kind) {
    case 'inputs': {
      const [dx] = differentiate([embedding]);
      outputs.attribution = g.reduceSum(g.mul(dx!, embedding), [1]);
      break;
    }
    case 'overlay': {
      const values = overlayValues(g, overlay, tensors);
      differentiate(values.map((v) => v.node)).forEach((dx, i) => {
        outputs[`grad.${values[i]!.name}`] = dx;
      });
      break;
    }
    case 'matrices': {
      const chosen = sites(wanted.tensors);
      differentiate(chosen.map((s) => s.y)).forEach((dy, i) => {
        outputs[`grad.${chosen[i]!.tensor}`] = g.matmul(dy, chosen[i]!.x, { transA: true });
      });
      break;
    }
    case 'rowNorms': {
      if (shared !== 'none') throw new Error('row norms are per sequence; a shared prompt would mix them');
      const chosen = sites(wanted.tensors);
      differentiate(chosen.map((s) => s.y)).forEach((dy, i) => {
        const { tensor, x } = chosen[i]!;
        const bySequence = (node: Node) => g.reshape(node, ['B', 'T', node.shape[1]!]);
        const rows = g.matmul(bySequence(dy), bySequence(x), { transA: true });
        outputs[`norm.${tensor}`] = g.reduceSum(g.mul(rows, rows), [2]);
      });
      break;
    }
  }
  return g.graph(outputs);
}

/** The graph inputs that hold an overlay's trainable values; the builder shares them with the forward pass. */
function overlayValues(g: GraphBuilder, overlay: OverlayShape, tensors: TensorTable) {
  const values: { name: string; node: Node }[] = [];
  const add = (name: string, shape: readonly Dim[]) => values.push({ name, node: g.input(name, shape) });
  for (const { tensor, axis } of overlay.deltas) {
    const [out, width] = tensors(tensor).shape as [number, number];
    add(overlayInput.delta(tensor, axis), [overlayExtent.changed(tensor, axis), axis === 0 ? width : out]);
  }
  for (const { tensor } of overlay.lowRank) {
    const [out, width] = tensors(tensor).shape as [number, number];
    add(overlayInput.a(tensor), [overlayExtent.rank(tensor), width]);
    add(overlayInput.b(tensor), [out, overlayExtent.rank(tensor)]);
  }
  for (const tensor of overlay.dense) add(overlayInput.dense(tensor), tensors(tensor).shape);
  return values;
}
