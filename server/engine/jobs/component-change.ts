import { openCheckpoint } from '../../checkpoint/checkpoint.ts';
import { dtypeBytes, isFloatDtype, toFloat32 } from '../../checkpoint/dtype.ts';
import { InputError } from '../../errors.ts';
import type { Architecture } from '../../model/architectures/architecture.ts';
import { architectureOf } from '../../model/architectures/index.ts';
import {
  type ComponentKind,
  ComponentSpace,
  componentKinds,
  rowSpan,
  rowsOf,
  tensorOf,
} from '../../model/components.ts';
import { lineWidth, type Patch, readLines } from '../../patch/patch.ts';
import { checkBase, type PatchRef, readPatches } from '../inputs/patch.ts';

export interface ComponentChangeParams {
  /** Checkpoint folder. */
  model: string;
  patches: readonly PatchRef[];
}

/**
 * Root mean square change of every component's rows by patches, relative to the root mean square of what they were; 0
 * for what they leave alone. Neurons count with every row and column of them that is changed.
 * @returns flat by ComponentSpace
 * @throws InputError where a patch was made for another checkpoint
 */
export async function componentChange({ model, patches }: ComponentChangeParams): Promise<Float32Array> {
  const checkpoint = openCheckpoint(model);
  if (patches.length === 0) throw new InputError('patches', 'none given', 'Give at least one patch.');
  const patch = readPatches(patches);
  await checkBase(patch, checkpoint, patches.map(({ file }) => file).join(', '));
  const space = new ComponentSpace(checkpoint.config);
  const arch = architectureOf(checkpoint.config);
  const changed = new Float64Array(space.size);
  const own = new Float64Array(space.size);
  const ownerOf = owners(arch, space);
  for (const entry of patch.entries) {
    const width = lineWidth(entry);
    const before = toFloat32(entry.oldRows, entry.dtype);
    const after = toFloat32(entry.newRows, entry.dtype);
    entry.indices.forEach((index, i) => {
      const component = ownerOf(entry, index);
      if (component === null) return;
      for (let j = i * width; j < (i + 1) * width; j++) {
        changed[component] = changed[component]! + (after[j]! - before[j]!) ** 2;
        own[component] = own[component]! + before[j]! ** 2;
      }
    });
  }
  return Float32Array.from(changed, (sum, i) => (sum > 0 ? Math.sqrt(sum / Math.max(own[i]!, 1e-30)) : 0));
}

/** Which component a changed row or column belongs to; null for none. */
function owners(arch: Architecture, space: ComponentSpace) {
  type Slot = { kind: ComponentKind; layer: number; first: number; count: number; rows: number };
  const slots = new Map<string, Slot[]>();
  const add = (tensor: string, axis: 0 | 1, slot: Slot) => {
    const key = `${axis} ${tensor}`;
    slots.set(key, [...(slots.get(key) ?? []), slot]);
  };
  for (let layer = 0; layer < space.layers; layer++) {
    for (const kind of componentKinds) {
      add(tensorOf(arch, kind, layer), 0, { kind, layer, ...rowSpan(arch, kind), rows: rowsOf(arch, kind) });
    }
    const gate = arch.rows('gate_proj');
    add(arch.weight(layer, 'gate_proj'), 0, { kind: 'mlp', layer, ...gate, rows: 1 });
    add(arch.weight(layer, 'down_proj'), 1, { kind: 'mlp', layer, first: 0, count: gate.count, rows: 1 });
  }
  return ({ tensor, axis }: Patch['entries'][number], index: number): number | null => {
    const slot = slots
      .get(`${axis} ${tensor}`)
      ?.find(({ first, count }) => index >= first && index < first + count);
    if (!slot) return null;
    return space.offset(slot.kind, slot.layer) + Math.floor((index - slot.first) / slot.rows);
  };
}

export interface ComponentRowsParams {
  /** Checkpoint folder. */
  model: string;
  /** Flat by ComponentSpace. */
  component: number;
  patches: readonly PatchRef[];
}

/** A component's rows of one weight matrix. */
export interface ComponentRows {
  tensor: string;
  /** First and last row (of down_proj: column). */
  first: number;
  last: number;
  /** Euclidean norm of all of them together. */
  norm: number;
  /** Norm of their change by the patches, relative to theirs; null where none changes them. */
  change: number | null;
}

/** Where a component stands in the weights, and how far patches move it. */
export async function componentRows(params: ComponentRowsParams): Promise<ComponentRows[]> {
  const checkpoint = openCheckpoint(params.model);
  const space = new ComponentSpace(checkpoint.config);
  const arch = architectureOf(checkpoint.config);
  const { kind, layer, index } = space.at(params.component);
  const count = rowsOf(arch, kind);
  const own = rowSpan(arch, kind).first + index * count;
  const places = [
    { tensor: tensorOf(arch, kind, layer), axis: 0 as 0 | 1, first: own, last: own + count - 1 },
  ];
  if (kind === 'mlp') {
    const gate = arch.rows('gate_proj').first + index;
    places.push({ tensor: arch.weight(layer, 'gate_proj'), axis: 0, first: gate, last: gate });
    places.push({ tensor: arch.weight(layer, 'down_proj'), axis: 1, first: index, last: index });
  }
  const patch = params.patches.length > 0 ? readPatches(params.patches) : null;
  if (patch) await checkBase(patch, checkpoint, params.patches.map(({ file }) => file).join(', '));
  return places.map(({ tensor, axis, first, last }) => {
    const info = checkpoint.tensors.get(tensor)!;
    if (!isFloatDtype(info.dtype)) throw new Error(`${tensor} is not a weight matrix`);
    const lines = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const norm = Math.sqrt(squares(toFloat32(readLines(info, axis, lines), info.dtype)));
    const moved = patch ? changeOf(patch, tensor, axis, first, last) : 0;
    return { tensor, first, last, norm, change: moved > 0 ? Math.sqrt(moved) / Math.max(norm, 1e-15) : null };
  });
}

/** Sum of the squared changes of lines first to last. */
function changeOf(patch: Patch, tensor: string, axis: 0 | 1, first: number, last: number): number {
  let sum = 0;
  for (const entry of patch.entries) {
    if (entry.tensor !== tensor || entry.axis !== axis) continue;
    const size = lineWidth(entry) * dtypeBytes(entry.dtype);
    entry.indices.forEach((index, i) => {
      if (index < first || index > last) return;
      const line = (rows: Uint8Array) => toFloat32(rows.slice(i * size, (i + 1) * size), entry.dtype);
      const before = line(entry.oldRows);
      sum += squares(line(entry.newRows).map((value, j) => value - before[j]!));
    });
  }
  return sum;
}

const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
