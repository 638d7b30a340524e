import type { Feeds } from '../onnx/session.ts';
import { f32, i64 } from '../onnx/session.ts';

/**
 * Rows (axis 0: output features) or columns (axis 1: input features) of one weight matrix and what is added to
 * them. `delta` is [indices.length, width], row-major; for axis 1 row j is the change of column indices[j].
 */
export interface Delta {
  tensor: string;
  axis: 0 | 1;
  indices: Int32Array;
  delta: Float32Array;
}

/** A low-rank update W + scale * B A of one matrix: a [r, in], b [out, r]. */
export interface LowRank {
  tensor: string;
  a: Float32Array;
  b: Float32Array;
  scale: number;
  rank: number;
}

/** What a session's weights are, beside the checkpoint: sparse changes, low-rank changes and whole tensors. */
export interface Overlay {
  deltas: readonly Delta[];
  lowRank: readonly LowRank[];
  /** Whole tensors, float32, with their extents; they replace the checkpoint's. */
  dense: ReadonlyMap<string, { data: Float32Array; dims: readonly number[] }>;
}

export const noOverlay: Overlay = { deltas: [], lowRank: [], dense: new Map() };

/** The part of an overlay that a graph's structure depends on: which tensors, not their values. */
export interface OverlayShape {
  deltas: readonly { tensor: string; axis: 0 | 1 }[];
  lowRank: readonly { tensor: string }[];
  dense: readonly string[];
}

export function overlayShape(overlay: Overlay): OverlayShape {
  return {
    deltas: overlay.deltas.map(({ tensor, axis }) => ({ tensor, axis })),
    lowRank: overlay.lowRank.map(({ tensor }) => ({ tensor })),
    dense: [...overlay.dense.keys()],
  };
}

/** Graph input names of an overlay's values. */
export const overlayInput = {
  indices: (tensor: string, axis: 0 | 1) => `delta${axis}.indices.${tensor}`,
  delta: (tensor: string, axis: 0 | 1) => `delta${axis}.values.${tensor}`,
  a: (tensor: string) => `lora.a.${tensor}`,
  b: (tensor: string) => `lora.b.${tensor}`,
  scale: (tensor: string) => `lora.scale.${tensor}`,
  dense: (tensor: string) => `dense.${tensor}`,
  /** Factors on the input of a low-rank update while it is trained (dropout), [rows, in]. */
  dropout: (tensor: string) => `lora.dropout.${tensor}`,
};

/** Names of the extents that vary with an overlay's values: changed rows or columns, and the rank of A and B. */
export const overlayExtent = {
  changed: (tensor: string, axis: 0 | 1) => `k${axis}_${tensor.replace(/\W/g, '_')}`,
  rank: (tensor: string) => `r_${tensor.replace(/\W/g, '_')}`,
};

export function overlayFeeds(overlay: Overlay): Feeds {
  const feeds: Feeds = {};
  for (const { tensor, axis, indices, delta } of overlay.deltas) {
    feeds[overlayInput.indices(tensor, axis)] = i64(indices);
    feeds[overlayInput.delta(tensor, axis)] = f32(
      delta,
      indices.length,
      delta.length / Math.max(1, indices.length),
    );
  }
  for (const { tensor, a, b, rank, scale } of overlay.lowRank) {
    feeds[overlayInput.a(tensor)] = f32(a, rank, a.length / rank);
    feeds[overlayInput.b(tensor)] = f32(b, b.length / rank, rank);
    feeds[overlayInput.scale(tensor)] = f32(new Float32Array([scale]), 1);
  }
  for (const [tensor, { data, dims }] of overlay.dense) feeds[overlayInput.dense(tensor)] = { data, dims };
  return feeds;
}

/** The trainable arrays of an overlay by the name that a training graph gives their gradients. */
export function overlayParameters(overlay: Overlay): Map<string, Float32Array> {
  const parameters = new Map<string, Float32Array>();
  for (const { tensor, axis, delta } of overlay.deltas)
    parameters.set(overlayInput.delta(tensor, axis), delta);
  for (const { tensor, a, b } of overlay.lowRank) {
    parameters.set(overlayInput.a(tensor), a);
    parameters.set(overlayInput.b(tensor), b);
  }
  for (const [tensor, { data }] of overlay.dense) parameters.set(overlayInput.dense(tensor), data);
  return parameters;
}

/** By `overlayParameters`' order, whether weight decay touches an array: matrices, but no norm weight and no bias. */
export function weightDecayed(overlay: Overlay): boolean[] {
  const vectors = [...overlay.dense].filter(([, { dims }]) => dims.length < 2);
  const spared = new Set(vectors.map(([tensor]) => overlayInput.dense(tensor)));
  return [...overlayParameters(overlay).keys()].map((name) => !spared.has(name));
}
