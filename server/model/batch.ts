import { type Feeds, f32, i64 } from '../onnx/session.ts';
import type { Architecture, AttentionKind } from './architectures/architecture.ts';
import type { RotaryTable } from './rotary.ts';

/** Added to a score to hide it; finite, so that a row that sees nothing (padding) stays free of NaN. */
const HIDDEN = -1e9;

/** Own tokens of one sequence, after `offset` tokens that it does not carry itself (shared prompt, own cache). */
export interface Row {
  ids: ArrayLike<number>;
  /** Position of ids[0]: the same number more than `cached` in all rows of a block, the length of the shared prefix. */
  offset: number;
  /** Tokens of the own cache, right-aligned in its filled columns; 0 without one. */
  cached: number;
  /** Tokens of the whole sequence where that is more than offset + ids.length; only dynamic RoPE scaling asks. */
  total?: number;
}

/** Tokens that a block takes through the model. */
export const tokensOf = (rows: readonly Pick<Row, 'ids'>[]): number =>
  rows.reduce((sum, { ids }) => sum + ids.length, 0);

/** What a batch's feeds depend on; a Model is one. */
export interface BatchContext {
  readonly arch: Architecture;
  readonly rotary: ReadonlyMap<string, RotaryTable>;
  readonly attentionKinds: ReadonlySet<AttentionKind>;
}

export interface BatchLayout {
  /** Columns of own tokens. */
  length: number;
  /** Columns of own cache. */
  past: number;
  /** Columns of it that hold something, from the first; cached tokens end there. All of them by default. */
  filled?: number;
  align: 'left' | 'right';
}

/**
 * Feeds `ids`, `cos`, `sin` (by `rotarySuffix`) and `bias.<kind>` of a block of ragged sequences, and `bias.prefix` where
 * layers slide and the sequences go on from a shared prefix. Right-aligned blocks end at the last
 * column (their keys and values can be extended); left-aligned ones start at the first.
 * Token i of row b stands in column `column(b) + i`.
 */
export function blockFeeds(
  { arch, rotary, attentionKinds }: BatchContext,
  rows: readonly Row[],
  layout: BatchLayout,
): { feeds: Feeds; column(b: number): number } {
  const { length, past, filled = past, align } = layout;
  const batch = rows.length;
  const { headDim } = arch.config;
  const ids = new BigInt64Array(batch * length);
  const column = (b: number) => (align === 'right' ? length - rows[b]!.ids.length : 0);
  rows.forEach((row, b) => {
    const first = column(b);
    for (let i = 0; i < row.ids.length; i++) ids[b * length + first + i] = BigInt(row.ids[i]!);
  });
  const feeds: Feeds = { ids: { data: ids, dims: [batch, length] } };
  for (const [suffix, table] of rotary) {
    const cos = new Float32Array(batch * length * headDim).fill(1);
    const sin = new Float32Array(batch * length * headDim);
    rows.forEach((row, b) => {
      const total = Math.max(row.total ?? 0, row.offset + row.ids.length);
      for (let i = 0; i < row.ids.length; i++)
        table.write(row.offset + i, total, cos, sin, (b * length + column(b) + i) * headDim);
    });
    feeds[`cos${suffix}`] = f32(cos, batch, length, headDim);
    feeds[`sin${suffix}`] = f32(sin, batch, length, headDim);
  }
  const context = past + length;
  for (const kind of attentionKinds) {
    const window = kind === 'sliding' ? arch.slidingWindow : Number.POSITIVE_INFINITY;
    const bias = new Float32Array(batch * length * context).fill(HIDDEN);
    rows.forEach((row, b) => {
      const first = column(b);
      for (let i = 0; i < row.ids.length; i++) {
        const line = (b * length + first + i) * context;
        // Distance to the token before is 1: in a window of w a token sees itself and w-1 before it.
        const reach = Math.min(i, window - 1);
        bias.fill(0, line + past + first + i - reach, line + past + first + i + 1);
        const visible = Math.max(0, Math.min(row.cached, window - 1 - i));
        bias.fill(0, line + filled - visible, line + filled);
      }
    });
    feeds[`bias.${kind}`] = f32(bias, batch, length, context);
  }
  const prefix = rows[0] ? rows[0].offset - rows[0].cached : 0;
  if (attentionKinds.has('sliding') && prefix > 0) {
    const bias = new Float32Array(batch * length * prefix).fill(HIDDEN);
    rows.forEach((row, b) => {
      for (let i = 0; i < row.ids.length; i++) {
        const line = (b * length + column(b) + i) * prefix;
        const visible = Math.max(0, Math.min(prefix, arch.slidingWindow - 1 - i - row.cached));
        bias.fill(0, line + prefix - visible, line + prefix);
      }
    });
    feeds['bias.prefix'] = f32(bias, batch, length, prefix);
  }
  return { feeds, column };
}

/** Feeds of a live shared prompt: `shared.` before the names of `blockFeeds`, without the batch axis. */
export function sharedPromptFeeds(context: BatchContext, ids: ArrayLike<number>): Feeds {
  const { arch, rotary, attentionKinds } = context;
  const { headDim } = arch.config;
  const length = ids.length;
  const { feeds } = blockFeeds(context, [{ ids, offset: 0, cached: 0 }], {
    length,
    past: 0,
    align: 'left',
  });
  const out: Feeds = { 'shared.ids': i64(ids) };
  for (const suffix of rotary.keys()) {
    for (const name of [`cos${suffix}`, `sin${suffix}`])
      out[`shared.${name}`] = f32(feeds[name]!.data as Float32Array, length, headDim);
  }
  for (const kind of attentionKinds) {
    out[`shared.bias.${kind}`] = f32(feeds[`bias.${kind}`]!.data as Float32Array, length, length);
  }
  return out;
}
