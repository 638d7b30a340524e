/** Writing a patch into a copy of a checkpoint, and taking it out again. */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { type Checkpoint, INDEX_FILE, openCheckpoint, type TensorInfo } from '../checkpoint/checkpoint.ts';
import { dtypeBytes } from '../checkpoint/dtype.ts';
import { readFully } from '../checkpoint/positioned-read.ts';
import { breathe, neverAborted, type Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import { makeFolder } from './out-folder.ts';
import { lineName, lineWidth, type Patch, type PatchEntry, readLines } from './patch.ts';

/** Weights in other formats would still be the base's: they are not copied. */
const OTHER_WEIGHTS =
  /\.(bin|pt|pth|ckpt|gguf|ggml|onnx|onnx_data|h5|msgpack|safetensors|tflite)(\.index\.json)?$/;
const CHUNK_BYTES = 8 << 20;

/**
 * Writes the patched checkpoint as a full Hugging Face folder. Safetensors files keep their names, headers and dtypes;
 * every byte outside the changed rows is the base's.
 * @param out a new folder, not in the checkpoint's
 * @throws InputError when the patch belongs to another checkpoint, or `out` cannot be made; Cancelled between files when
 *   `signal` fires; nothing is left behind
 */
export async function applyPatch(
  checkpointFolder: string,
  patch: Patch,
  out: string,
  signal: Signal = neverAborted,
): Promise<void> {
  const checkpoint = openCheckpoint(checkpointFolder);
  const hash = await checkpoint.hash(signal);
  if (hash !== patch.baseHash) {
    throw new InputError(
      checkpointFolder,
      `its hash ${hash.slice(0, 12)} is not that of the patch's base, ${patch.baseHash.slice(0, 12)}`,
      'Apply the patch to the checkpoint it was made from',
    );
  }
  await writePatched(checkpoint, patch, out, { from: 'oldRows', to: 'newRows', signal });
}

/**
 * Takes the patch out of a merged checkpoint: the result equals the base bit for bit, which its hash proves.
 * @throws InputError when the folder does not hold this patch, or holds further changes; Cancelled as `applyPatch`
 */
export async function revertPatch(
  mergedFolder: string,
  patch: Patch,
  out: string,
  signal: Signal = neverAborted,
): Promise<void> {
  const check = async (temporary: string) => {
    if ((await openCheckpoint(temporary).hash(signal)) === patch.baseHash) return;
    throw new InputError(
      mergedFolder,
      'with the patch taken out it is still not the base: it holds other changes too',
      'Revert the patches in the reverse of the order they were applied in',
    );
  };
  const merged = openCheckpoint(mergedFolder);
  await writePatched(merged, patch, out, { from: 'newRows', to: 'oldRows', signal, check });
}

type Side = 'oldRows' | 'newRows';

interface Writing {
  from: Side;
  to: Side;
  signal: Signal;
  /** Of the whole folder, before it gets its name. */
  check?: (temporary: string) => Promise<void>;
}

async function writePatched(
  checkpoint: Checkpoint,
  patch: Patch,
  out: string,
  { from, to, signal, check }: Writing,
): Promise<void> {
  const { folder } = checkpoint;
  const targets = patch.entries.map((entry) => ({ entry, info: locate(checkpoint, entry, from) }));
  await makeFolder(out, folder, async (temporary) => {
    copyOthers(folder, temporary);
    for (const name of checkpoint.files) {
      await breathe(signal);
      const source = realpathSync(path.join(folder, name));
      const copy = path.join(temporary, name);
      copyWritable(source, copy);
      const descriptor = openSync(copy, 'r+');
      try {
        for (const { entry, info } of targets) {
          if (info.path === source) writeLines(descriptor, entry, info, entry[to]);
        }
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    }
    await breathe(signal);
    await check?.(temporary);
  });
}

/** The entry's tensor in the checkpoint, which must hold exactly the rows that the patch expects. */
function locate(checkpoint: Checkpoint, entry: PatchEntry, expected: Side): TensorInfo {
  const info = checkpoint.tensors.get(entry.tensor);
  if (!info || info.dtype !== entry.dtype || `${info.shape}` !== `${entry.shape}`) {
    throw new InputError(
      `${checkpoint.folder} tensor ${JSON.stringify(entry.tensor)}`,
      `the patch needs it as ${entry.dtype} [${entry.shape}]`,
      'Use the checkpoint that the patch belongs to',
    );
  }
  const size = lineWidth(entry) * dtypeBytes(entry.dtype);
  const bytes = readLines(info, entry.axis, entry.indices);
  for (let i = 0; i < entry.indices.length; i++) {
    const [a, b] = [bytes, entry[expected]].map((all) => all.subarray(i * size, (i + 1) * size));
    if (Buffer.compare(a!, b!) !== 0) {
      throw new InputError(
        `${info.path} tensor ${JSON.stringify(entry.tensor)}`,
        `${lineName(entry.axis)} ${entry.indices[i]} is not what the patch expects there`,
        'Use the checkpoint that the patch belongs to',
      );
    }
  }
  return info;
}

/** Copies everything but weights and hidden files; links become files. */
function copyOthers(from: string, to: string, isTop = true): void {
  for (const entry of readdirSync(from)) {
    const source = path.join(from, entry);
    if (entry.startsWith('.')) continue;
    // an index beside a single file is stale, but then it is read by nobody either
    if (OTHER_WEIGHTS.test(entry) && !(isTop && entry === INDEX_FILE)) continue;
    const target = path.join(to, entry);
    if (statSync(source).isDirectory()) {
      mkdirSync(target);
      copyOthers(source, target, false);
      if (readdirSync(target).length === 0) rmdirSync(target); // it held other weights only
    } else copyWritable(source, target);
  }
}

/** Shares the blocks where the file system can. Files of a cache may be read-only; the copy must not be. */
function copyWritable(source: string, target: string): void {
  copyFileSync(source, target, constants.COPYFILE_FICLONE);
  chmodSync(target, statSync(target).mode | 0o200);
}

/** Puts rows (or columns) of a matrix into the file at its place. */
function writeLines(descriptor: number, entry: PatchEntry, info: TensorInfo, lines: Uint8Array): void {
  const size = dtypeBytes(entry.dtype);
  const [rows, columns] = entry.shape;
  const rowBytes = columns * size;
  if (entry.axis === 0) {
    entry.indices.forEach((row, i) => {
      writeFully(
        descriptor,
        lines.subarray(i * rowBytes, (i + 1) * rowBytes),
        info.fileOffset + row * rowBytes,
      );
    });
    return;
  }
  // Columns are spread over the whole matrix: read, change and write back some rows at a time.
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  const chunk = new Uint8Array(Math.min(perChunk, rows) * rowBytes);
  for (let first = 0; first < rows; first += perChunk) {
    const here = Math.min(perChunk, rows - first);
    const part = chunk.subarray(0, here * rowBytes);
    readFully(descriptor, part, info.fileOffset + first * rowBytes, info.path);
    entry.indices.forEach((column, i) => {
      for (let r = 0; r < here; r++) {
        const from = (i * rows + first + r) * size;
        part.set(lines.subarray(from, from + size), r * rowBytes + column * size);
      }
    });
    writeFully(descriptor, part, info.fileOffset + first * rowBytes);
  }
}

function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += writeSync(descriptor, bytes, done, bytes.byteLength - done, position + done);
  }
}
