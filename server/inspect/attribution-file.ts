/**
 * Mean attribution of a run's pairs as a file beside the run: one line of JSON, then per component (flat by
 * ComponentSpace) the mean gradient [size] (float32), the pairs that it serves most [size, top] (int32, -1 for none)
 * and their gradients [size, top] (float32), little-endian. One component is read without the others.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Pair } from '../data/records.ts';
import { openAtomic, withFileErrors } from '../runs/atomic.ts';
import type { MeanAttribution, ServedPair } from './purpose.ts';

const FORMAT = 'circuit-amplifier-attribution/1';
/** Of the line of JSON, its newline included: what follows is aligned. */
const HEADER_BYTES = 512;

/** The pairs that a mean attribution is over, in their order: all but the rejected ones, as in training. */
export function attributed(pairs: readonly Pair[]): Pair[] {
  return pairs.filter((pair) => pair.status !== 'rejected');
}

/** What of pairs an attribution depends on. */
export function hashPairs(pairs: readonly Pair[]): string {
  const sha = createHash('sha256');
  for (const { id, prefix, desired, undesired } of pairs) {
    sha.update(`${JSON.stringify([id, prefix, desired, undesired])}\n`);
  }
  return sha.digest('hex');
}

/** What a mean attribution was made from. */
export interface AttributionKey {
  /** Hash of the checkpoint. */
  model: string;
  /** Hash of the pairs. */
  pairs: string;
}

interface Header extends AttributionKey {
  format: typeof FORMAT;
  /** Components, and pairs remembered of each. */
  size: number;
  top: number;
  /** Pairs in the mean. */
  count: number;
}

/** @throws InputError where the file cannot be written; nothing is left behind then */
export function writeAttribution(
  file: string,
  key: AttributionKey,
  mean: MeanAttribution,
  { size, top, count }: { size: number; top: number; count: number },
): void {
  const pairs = new Int32Array(size * top).fill(-1);
  const gradients = new Float32Array(size * top);
  for (let i = 0; i < size; i++) {
    mean.served(i).forEach(({ pair, gradient }, k) => {
      pairs[i * top + k] = pair;
      gradients[i * top + k] = gradient;
    });
  }
  const header: Header = { format: FORMAT, ...key, size, top, count };
  const out = openAtomic(file);
  out.write(`${JSON.stringify(header).padEnd(HEADER_BYTES - 1)}\n`);
  for (const part of [mean.mean(), pairs, gradients]) out.write(bytesOf(part));
  out.commit();
}

/** An attribution that was written before. */
export interface StoredAttribution extends AttributionKey {
  size: number;
  /** Pairs in the mean. */
  count: number;
  /** Mean gradient by component. */
  mean(): Float32Array;
  /** The pairs that a component serves most, best first. */
  served(component: number): ServedPair[];
}

/** The attribution in a file; null where there is none, or it is not whole. */
export function readAttribution(file: string): StoredAttribution | null {
  const head = readPart(file, 0, HEADER_BYTES);
  if (!head) return null;
  let header: Header;
  try {
    header = JSON.parse(head.toString('utf8'));
  } catch {
    return null;
  }
  const { format, size, top, count, model, pairs } = header;
  if (format !== FORMAT || !(size > 0) || !(top > 0)) return null;
  const bytes = HEADER_BYTES + 4 * size * (1 + 2 * top);
  if (statSync(file, { throwIfNoEntry: false })?.size !== bytes) return null;
  const floats = (at: number, n: number) => new Float32Array(aligned(file, at, 4 * n));
  const afterMean = HEADER_BYTES + 4 * size;
  return {
    model,
    pairs,
    size,
    count,
    mean: () => floats(HEADER_BYTES, size),
    served(component) {
      const ids = new Int32Array(aligned(file, afterMean + 4 * top * component, 4 * top));
      const gradients = floats(afterMean + 4 * top * (size + component), top);
      return Array.from(ids, (pair, k) => ({ pair, gradient: gradients[k]! })).filter(
        ({ pair }) => pair >= 0,
      );
    },
  };
}

/** Bytes of a file; null where it is not there or too short. */
function readPart(file: string, at: number, bytes: number): Buffer | null {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return null;
  }
  try {
    const part = Buffer.alloc(bytes);
    return withFileErrors(file, () => readSync(descriptor, part, 0, bytes, at)) === bytes ? part : null;
  } finally {
    closeSync(descriptor);
  }
}

function aligned(file: string, at: number, bytes: number): ArrayBuffer {
  const part = readPart(file, at, bytes);
  if (!part) throw new Error(`${file} ends early`);
  const copy = new ArrayBuffer(bytes);
  new Uint8Array(copy).set(part);
  return swapped(copy);
}

function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(swapped(values.slice().buffer));
}

/** Every machine that the runtime exists for is little-endian; another one would turn the bytes here. */
function swapped(buffer: ArrayBuffer): ArrayBuffer {
  if (endianness() === 'BE') Buffer.from(buffer).swap32();
  return buffer;
}
