/**
 * A patch: the rows (or columns) of a checkpoint's matrices that an update changed, old and new, in the checkpoint's
 * own dtype. Keeping the old ones makes the patch revertible bit for bit without the base.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { dtypeBytes, type FloatDtype, fromFloat32, isFloatDtype, toFloat32 } from '../checkpoint/dtype.ts';
import { readColumnsBytes, readRowsBytes, type TensorInfo } from '../checkpoint/safetensors.ts';
import { InputError } from '../errors.ts';

export interface PatchEntry {
  /** Name in the checkpoint, e.g. model.layers.3.mlp.up_proj.weight. */
  readonly tensor: string;
  readonly dtype: FloatDtype;
  /** Shape of the whole matrix, [out, in]. */
  readonly shape: readonly [number, number];
  /** 0: rows changed; 1: columns changed (down_proj, o_proj). */
  readonly axis: 0 | 1;
  /** Changed rows or columns, strictly ascending. */
  readonly indices: Int32Array;
  /** indices.length x (the other extent) elements in dtype, one row or column after another. */
  readonly oldRows: Uint8Array;
  readonly newRows: Uint8Array;
}

export interface Patch {
  /** Checkpoint hash of the base (checkpoint.ts). */
  readonly baseHash: string;
  /** One entry a tensor at most. */
  readonly entries: readonly PatchEntry[];
  /** Where it comes from (run, method, circuit, scale); free-form, kept in the file. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/** New values for rows or columns of one matrix. */
export interface RowChange {
  readonly tensor: string;
  readonly axis: 0 | 1;
  readonly indices: ArrayLike<number>;
  /** indices.length x (the other extent), in the order of `indices`; rounded to the tensor's dtype. */
  readonly values: Float32Array;
}

/**
 * The patch that turns the checkpoint's rows into the given values. Rows that the rounding to the checkpoint's dtype
 * leaves as they were are left out.
 */
export async function createPatch(
  checkpoint: Checkpoint,
  changes: readonly RowChange[],
  provenance: Readonly<Record<string, unknown>> = {},
): Promise<Patch> {
  const entries = changes.map((change) => createEntry(checkpoint, change));
  const names = new Set(entries.map((entry) => entry.tensor));
  if (names.size !== entries.length) throw new Error('a tensor is changed twice');
  return {
    baseHash: await checkpoint.hash(),
    entries: entries.filter((entry) => entry.indices.length > 0),
    provenance,
  };
}

function createEntry(checkpoint: Checkpoint, { tensor, axis, indices, values }: RowChange): PatchEntry {
  const info = checkpoint.tensors.get(tensor);
  const [rows, columns] = info?.shape ?? [];
  if (info?.shape.length !== 2 || !rows || !columns || !isFloatDtype(info.dtype)) {
    throw new Error(`${tensor} is not a weight matrix of ${checkpoint.folder}`);
  }
  const width = axis === 0 ? columns : rows;
  if (values.length !== indices.length * width) {
    throw new Error(`${tensor}: ${values.length} values for ${indices.length} rows of ${width}`);
  }
  const order = Array.from(indices, (index, i) => ({ index, i })).sort((a, b) => a.index - b.index);
  const sorted = order.map(({ index }) => index);
  if (sorted.some((index, i) => i > 0 && index === sorted[i - 1]))
    throw new Error(`${tensor}: an index is given twice`);
  const old = readLines(info, axis, sorted);
  const rounded = fromFloat32(values, info.dtype);
  const size = width * dtypeBytes(info.dtype);
  const lines = order.map(({ index, i }, position) => ({
    index,
    old: old.subarray(position * size, (position + 1) * size),
    new: rounded.subarray(i * size, (i + 1) * size),
  }));
  return makeEntry({ tensor, dtype: info.dtype, shape: [rows, columns], axis }, lines);
}

/** One changed row or column. */
interface Line {
  readonly index: number;
  readonly old: Uint8Array;
  readonly new: Uint8Array;
}

/** An entry from its lines (ascending); unchanged lines are dropped. @throws InputError on NaN or infinity */
function makeEntry(
  head: Pick<PatchEntry, 'tensor' | 'dtype' | 'shape' | 'axis'>,
  lines: readonly Line[],
): PatchEntry {
  const changed = lines.filter((line) => Buffer.compare(line.old, line.new) !== 0);
  const entry: PatchEntry = {
    ...head,
    indices: Int32Array.from(changed, (line) => line.index),
    oldRows: concat(changed.map((line) => line.old)),
    newRows: concat(changed.map((line) => line.new)),
  };
  const bad = toFloat32(entry.newRows, entry.dtype).findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new InputError(
      `patch of ${entry.tensor}`,
      `the new value of ${lineName(entry.axis)} ${entry.indices[Math.floor(bad / lineWidth(entry))]} is not finite in ${entry.dtype}`,
      'Use a smaller scale or step size',
    );
  }
  return entry;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts)); // a copy of its own: views into pooled memory may be unaligned
}

export const lineName = (axis: 0 | 1) => (axis === 0 ? 'row' : 'column');

/** Elements of one changed row or column. */
export function lineWidth(entry: Pick<PatchEntry, 'shape' | 'axis'>): number {
  return entry.shape[1 - entry.axis]!;
}

/** Rows or columns of a tensor as stored, one after another. */
export function readLines(info: TensorInfo, axis: 0 | 1, indices: ArrayLike<number>): Uint8Array {
  return axis === 0 ? readRowsBytes(info, indices) : readColumnsBytes(info, indices);
}

function linesOf(entry: PatchEntry): Line[] {
  const size = lineWidth(entry) * dtypeBytes(entry.dtype);
  return Array.from(entry.indices, (index, i) => ({
    index,
    old: entry.oldRows.subarray(i * size, (i + 1) * size),
    new: entry.newRows.subarray(i * size, (i + 1) * size),
  }));
}

/**
 * The patch with its effect scaled: new = old + scale * (new - old), rounded to the dtype. 1 is the patch itself, 0
 * changes nothing, beyond 1 exaggerates, below 0 does the opposite.
 * @throws InputError where the scale is not a number or the result leaves the dtype's range
 */
export function scalePatch(patch: Patch, scale: number): Patch {
  if (!Number.isFinite(scale))
    throw new InputError('scale', `${scale} is not a finite number`, 'Give a number such as 0.5');
  if (scale === 1) return patch;
  const entries = patch.entries.map((entry) =>
    makeEntry(
      entryHead(entry),
      linesOf(entry).map((line) => ({ ...line, new: combine(entry.dtype, line.old, [line.new], scale) })),
    ),
  );
  return {
    ...patch,
    entries: entries.filter((entry) => entry.indices.length > 0),
    provenance: { ...patch.provenance, scale: scale * previousScale(patch) },
  };
}

function previousScale({ provenance }: Patch): number {
  return typeof provenance.scale === 'number' ? provenance.scale : 1;
}

const entryHead = ({ tensor, dtype, shape, axis }: PatchEntry) => ({ tensor, dtype, shape, axis });

/** old + scale * sum(new - old), in float64, rounded once to float32 and once to the dtype. */
function combine(dtype: FloatDtype, old: Uint8Array, news: readonly Uint8Array[], scale: number): Uint8Array {
  const base = toFloat32(old, dtype);
  const values = news.map((bytes) => toFloat32(bytes, dtype));
  const sums = base.map(
    (value, i) => value + scale * values.reduce((sum, next) => sum + (next[i]! - value), 0),
  );
  return fromFloat32(sums, dtype);
}

/**
 * Several patches of the same base as one. A row that only one of them changes takes that patch's bytes; where
 * several change it their deltas add, whatever the order. Rows of one patch that cross columns of another in the same
 * matrix are refused: one patch cannot say both.
 * @throws InputError when the bases differ or the patches disagree about the base's rows
 */
export function stackPatches(patches: readonly Patch[]): Patch {
  const [first] = patches;
  if (!first) throw new InputError('patches', 'none given', 'Give at least one patch');
  const byTensor = new Map<string, PatchEntry[]>();
  for (const patch of patches) {
    if (patch.baseHash !== first.baseHash) {
      throw new InputError(
        'patches',
        `they were made for different checkpoints (${first.baseHash.slice(0, 12)} and ${patch.baseHash.slice(0, 12)})`,
        'Stack only patches of the same base',
      );
    }
    for (const entry of patch.entries)
      byTensor.set(entry.tensor, [...(byTensor.get(entry.tensor) ?? []), entry]);
  }
  return {
    baseHash: first.baseHash,
    entries: [...byTensor.values()].map(stackEntries).filter((entry) => entry.indices.length > 0),
    provenance: { stacked: patches.map((patch) => patch.provenance) },
  };
}

function stackEntries(entries: readonly PatchEntry[]): PatchEntry {
  const head = entryHead(entries[0]!);
  const rows = new Map<number, { old: Uint8Array; news: Uint8Array[] }>();
  for (const entry of entries) {
    const same = entry.dtype === head.dtype && `${entry.shape}` === `${head.shape}`;
    if (entry.axis !== head.axis || !same) {
      throw new InputError(
        `patches of ${head.tensor}`,
        same ? 'one changes rows and another columns' : 'they disagree about its dtype or shape',
        same ? 'Apply them one after the other instead' : 'Stack only patches of the same base',
      );
    }
    for (const line of linesOf(entry)) {
      const row = rows.get(line.index) ?? { old: line.old, news: [] };
      if (Buffer.compare(row.old, line.old) !== 0) {
        throw new InputError(
          `patches of ${head.tensor}`,
          `they disagree about the base's ${lineName(head.axis)} ${line.index}`,
          'Make the patches again from the same base',
        );
      }
      row.news.push(line.new);
      rows.set(line.index, row);
    }
  }
  const lines = [...rows]
    .sort(([a], [b]) => a - b)
    .map(([index, { old, news }]) => ({
      index,
      old,
      new: news.length === 1 ? news[0]! : combine(head.dtype, old, news, 1),
    }));
  return makeEntry(head, lines);
}
