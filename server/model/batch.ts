import { type Feeds, f32, i64 } from '../onnx/session.ts';
import type { Architecture, AttentionKind } from './architectures/architecture.ts';
import type { RotaryTable } from './rotary.ts';

/** Added to a score to hide it; finite, so that a row that sees nothing (padding) stays free of NaN. */
const HIDDEN = -1e9;

/** Own tokens of one sequence, after `offset` tokens that it does not carry itself (shared prompt, own cache). */
export interface Row {
  ids: ArrayLike<number>;
  /** Position of ids[0]. */
  offset: number;
  /** Tokens of the own cache, right-aligned in its filled columns; 0 without one. */
  cached: number;
  /** Tokens of the whole sequence where that is more than offset + ids.length; only dynamic RoPE scaling asks. */
  total?: number;
}

/** What a batch's feeds depend on; a Model is one. */
export interface BatchContext {
  readonly arch: Architecture;
  readonly rotary: RotaryTable;
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
 * Feeds `ids`, `cos`, `sin` and `bias.<kind>` of a block of ragged sequences. Right-aligned blocks end at the last
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
  const cos = new Float32Array(batch * length * headDim).fill(1);
  const sin = new Float32Array(batch * length * headDim);
  const column = (b: number) => (align === 'right' ? length - rows[b]!.ids.length : 0);
  rows.forEach((row, b) => {
    const first = column(b);
    const total = Math.max(row.total ?? 0, row.offset + row.ids.length);
    for (let i = 0; i < row.ids.length; i++) {
      const at = b * length + first + i;
      ids[at] = BigInt(row.ids[i]!);
      rotary.write(row.offset + i, total, cos, sin, at * headDim);
    }
  });
  const feeds: Feeds = {
    ids: { data: ids, dims: [batch, length] },
    cos: f32(cos, batch, length, headDim),
    sin: f32(sin, batch, length, headDim),
  };
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
  return { feeds, column };
}

/** Feeds of a live shared prompt: `shared.ids`, `shared.cos`, `shared.sin`, `shared.bias.<kind>`. */
export function sharedPromptFeeds(context: BatchContext, ids: ArrayLike<number>): Feeds {
  const { arch, attentionKinds } = context;
  const { headDim } = arch.config;
  const length = ids.length;
  const { feeds } = blockFeeds(context, [{ ids, offset: 0, cached: 0 }], {
    length,
    past: 0,
    align: 'left',
  });
  const out: Feeds = {
    'shared.ids': i64(ids),
    'shared.cos': f32(feeds.cos!.data as Float32Array, length, headDim),
    'shared.sin': f32(feeds.sin!.data as Float32Array, length, headDim),
  };
  for (const kind of attentionKinds) {
    out[`shared.bias.${kind}`] = f32(feeds[`bias.${kind}`]!.data as Float32Array, length, length);
  }
  return out;
}
