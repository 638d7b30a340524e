import type { ModelConfig, Rope } from '../checkpoint/model-config.ts';
import { ropeInverseFrequencies } from '../checkpoint/rope.ts';
import type { Architecture, AttentionKind } from './architectures/architecture.ts';

/**
 * Ending of the graph inputs `cos` and `sin` for layers of a kind: empty where all layers rotate alike, so that the
 * angles are fed once.
 */
export function rotarySuffix({ config }: Architecture, kind: AttentionKind): string {
  return config.localRope ? `.${kind}` : '';
}

/** Every table that an architecture's layers read, by `rotarySuffix`. */
export function rotaryTables(
  arch: Architecture,
  kinds: Iterable<AttentionKind>,
): ReadonlyMap<string, RotaryTable> {
  const { headDim } = arch.config;
  return new Map(
    Array.from(kinds, (kind) => [rotarySuffix(arch, kind), new RotaryTable({ ...arch.rope(kind), headDim })]),
  );
}

/**
 * cos and sin of the rotary angles, a row of headDim numbers per position (config: rope_theta, rope_scaling).
 * Dynamic scaling depends on the sequence's length once it is past the trained one, so rows are kept by length there.
 */
export class RotaryTable {
  private readonly config: Rope & Pick<ModelConfig, 'headDim'>;
  private readonly rows = new Map<string, { cos: Float32Array; sin: Float32Array }>();
  private readonly frequencies = new Map<number, ReturnType<typeof ropeInverseFrequencies>>();

  constructor(config: Rope & Pick<ModelConfig, 'headDim'>) {
    this.config = config;
  }

  /** Write the row of `position` in a sequence of `length` tokens to cos and sin at `offset`. */
  write(position: number, length: number, cos: Float32Array, sin: Float32Array, offset: number): void {
    const scaled = this.config.ropeScaling.type === 'dynamic' ? Math.max(length, 1) : 1;
    const key = `${scaled}:${position}`;
    let row = this.rows.get(key);
    if (!row) {
      row = this.compute(position, scaled);
      this.rows.set(key, row);
    }
    cos.set(row.cos, offset);
    sin.set(row.sin, offset);
  }

  private compute(position: number, length: number) {
    let known = this.frequencies.get(length);
    if (!known) {
      known = ropeInverseFrequencies(this.config, length);
      this.frequencies.set(length, known);
    }
    const { invFreq, attentionScaling } = known;
    const half = invFreq.length;
    const cos = new Float32Array(2 * half);
    const sin = new Float32Array(2 * half);
    for (let i = 0; i < half; i++) {
      // The angle is a float32 product, as in transformers.
      const angle = Math.fround(position * Math.fround(invFreq[i]!));
      cos[i] = cos[i + half] = Math.fround(Math.cos(angle)) * attentionScaling;
      sin[i] = sin[i + half] = Math.fround(Math.sin(angle)) * attentionScaling;
    }
    return { cos, sin };
  }
}
