import type { ModelConfig } from '../checkpoint/config.ts';
import { slotInput } from '../model/graphs.ts';
import { type Feeds, f32, type Value } from '../onnx/session.ts';

/** Cached keys and values of one token sequence: by layer [Hkv, length, headDim], rotary angles applied. */
export interface KvBlock {
  readonly length: number;
  readonly k: readonly Float32Array[];
  readonly v: readonly Float32Array[];
}

/** The cache of no tokens. */
export function emptyBlock(config: ModelConfig): KvBlock {
  const layers = Array.from({ length: config.numLayers }, () => new Float32Array(0));
  return { length: 0, k: layers, v: layers };
}

/** Cut sequence b out of a session's keys and values [Hkv, B, columns, headDim]: columns [from, from + length). */
export function cutBlock(
  config: ModelConfig,
  outputs: Record<string, Value>,
  b: number,
  from: number,
  length: number,
): KvBlock {
  const { headDim, numKvHeads, numLayers } = config;
  const cut = (name: string) => {
    const { data, dims } = outputs[name]!;
    const [, batch, columns] = dims as [number, number, number, number];
    const block = new Float32Array(numKvHeads * length * headDim);
    for (let h = 0; h < numKvHeads; h++) {
      const start = ((h * batch + b) * columns + from) * headDim;
      block.set((data as Float32Array).subarray(start, start + length * headDim), h * length * headDim);
    }
    return block;
  };
  const layers = Array.from({ length: numLayers }, (_, layer) => layer);
  return { length, k: layers.map((l) => cut(`k.${l}`)), v: layers.map((l) => cut(`v.${l}`)) };
}

/** Tokens of one slot of a batch's cache, where they lie there: read them before the cache changes. */
export interface CacheSlot {
  readonly k: readonly Float32Array[];
  readonly v: readonly Float32Array[];
  /** Element of the first head's first token, and elements from one head to the next. */
  readonly first: number;
  readonly stride: number;
}

/** The first `length` tokens of a block or slot, right-aligned in a batch's cache. */
export interface CachedPrefix {
  block: KvBlock | CacheSlot;
  length: number;
}

/**
 * Feeds `past.k.<layer>`, `past.v.<layer>` [Hkv, B, columns, headDim] with every prefix right-aligned in the first
 * `filled` columns.
 */
export function pastFeeds(
  config: ModelConfig,
  prefixes: readonly CachedPrefix[],
  columns: number,
  { filled = columns }: { filled?: number } = {},
): Feeds {
  const { headDim, numKvHeads, numLayers } = config;
  const batch = prefixes.length;
  const feeds: Feeds = {};
  for (const which of ['k', 'v'] as const) {
    for (let layer = 0; layer < numLayers; layer++) {
      const data = new Float32Array(numKvHeads * batch * columns * headDim);
      prefixes.forEach(({ block, length }, b) => {
        const source = block[which][layer]!;
        const { first, stride } = 'stride' in block ? block : { first: 0, stride: block.length * headDim };
        for (let h = 0; h < numKvHeads; h++) {
          const start = first + h * stride;
          data.set(
            source.subarray(start, start + length * headDim),
            ((h * batch + b) * columns + filled - length) * headDim,
          );
        }
      });
      feeds[`past.${which}.${layer}`] = f32(data, numKvHeads, batch, columns, headDim);
    }
  }
  return feeds;
}

/** Cached keys and values of one mask-step slot: by layer [Hkv, headDim, columns]; the last `length` columns count. */
export interface SlotCache {
  readonly length: number;
  readonly columns: number;
  readonly k: readonly Float32Array[];
  readonly v: readonly Float32Array[];
}

/** A block turned into a slot's cache, in the block's own memory; one hidden column where there is none. */
export function slotCache({ headDim, numKvHeads, numLayers }: ModelConfig, block: KvBlock | null): SlotCache {
  if (!block) {
    const zeros = new Array<Float32Array>(numLayers).fill(new Float32Array(numKvHeads * headDim));
    return { length: 0, columns: 1, k: zeros, v: zeros };
  }
  const { length } = block;
  const scratch = new Float32Array(length * headDim);
  for (const data of [...block.k, ...block.v]) {
    for (let h = 0; h < numKvHeads; h++) {
      const head = data.subarray(h * length * headDim, (h + 1) * length * headDim);
      scratch.set(head);
      for (let d = 0; d < headDim; d++) {
        for (let i = 0; i < length; i++) head[d * length + i] = scratch[i * headDim + d]!;
      }
    }
  }
  return { ...block, columns: length };
}

/** Feeds of the mask graph's cached keys and values, [Hkv, 1, headDim, columns] a slot: no copy. */
export function slotFeeds({ headDim, numKvHeads }: ModelConfig, caches: readonly SlotCache[]): Feeds {
  const feeds: Feeds = {};
  caches.forEach((cache, slot) => {
    for (const which of ['k', 'v'] as const) {
      cache[which].forEach((data, layer) => {
        feeds[slotInput(which, layer, slot)] = f32(data, numKvHeads, 1, headDim, cache.columns);
      });
    }
  });
  return feeds;
}

/** Feeds `shared.k.<layer>`, `shared.v.<layer>` [Hkv, 1, S, headDim] of a prefix that a whole batch shares. */
export function sharedFeeds(config: ModelConfig, block: KvBlock): Feeds {
  const feeds: Feeds = {};
  for (const which of ['k', 'v'] as const) {
    block[which].forEach((data, layer) => {
      feeds[`shared.${which}.${layer}`] = f32(data, config.numKvHeads, 1, block.length, config.headDim);
    });
  }
  return feeds;
}

/** Free columns that a new cache starts with: appending is cheap, laying out anew is a copy of everything. */
const GROWTH = 32;

/** The keys and values of a batch while it is decoded: every slot right-aligned in the filled columns. */
export class DecodeCache {
  readonly columns: number;
  readonly feeds: Feeds;
  filled: number;
  private readonly config: ModelConfig;
  private readonly batch: number;

  constructor(config: ModelConfig, prefixes: readonly CachedPrefix[]) {
    this.config = config;
    this.batch = prefixes.length;
    this.filled = Math.max(0, ...prefixes.map((p) => p.length));
    this.columns = this.filled + GROWTH;
    this.feeds = pastFeeds(config, prefixes, this.columns, { filled: this.filled });
  }

  get full(): boolean {
    return this.filled === this.columns;
  }

  /** Add one token per slot: `k.<layer>`, `v.<layer>` [Hkv, B, 1, headDim]. */
  append(outputs: Record<string, Value>): void {
    const { headDim, numKvHeads, numLayers } = this.config;
    for (const which of ['k', 'v']) {
      for (let layer = 0; layer < numLayers; layer++) {
        const source = outputs[`${which}.${layer}`]!.data as Float32Array;
        const target = this.feeds[`past.${which}.${layer}`]!.data as Float32Array;
        for (let row = 0; row < numKvHeads * this.batch; row++) {
          const to = (row * this.columns + this.filled) * headDim;
          for (let i = 0; i < headDim; i++) target[to + i] = source[row * headDim + i]!;
        }
      }
    }
    this.filled++;
  }

  /** A slot's last `length` tokens. */
  lift(slot: number, length: number): CacheSlot {
    const { headDim, numLayers } = this.config;
    const layers = (which: 'k' | 'v') =>
      Array.from({ length: numLayers }, (_, l) => this.feeds[`past.${which}.${l}`]!.data as Float32Array);
    const row = this.columns * headDim;
    const first = slot * row + (this.filled - length) * headDim;
    return { k: layers('k'), v: layers('v'), first, stride: this.batch * row };
  }
}

/** Keys and values of two consecutive parts of a sequence as one block. */
export function joinBlocks({ numKvHeads, headDim }: ModelConfig, a: KvBlock, b: KvBlock): KvBlock {
  const length = a.length + b.length;
  const join = (first: Float32Array, second: Float32Array) => {
    const joined = new Float32Array(numKvHeads * length * headDim);
    for (let h = 0; h < numKvHeads; h++) {
      const [m, n] = [a.length * headDim, b.length * headDim];
      joined.set(first.subarray(h * m, (h + 1) * m), h * (m + n));
      joined.set(second.subarray(h * n, (h + 1) * n), h * (m + n) + m);
    }
    return joined;
  };
  return { length, k: a.k.map((k, l) => join(k, b.k[l]!)), v: a.v.map((v, l) => join(v, b.v[l]!)) };
}
