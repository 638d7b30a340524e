import type { ModelConfig } from '../checkpoint/config.ts';
import { ropeInverseFrequencies } from '../checkpoint/rope.ts';

/**
 * cos and sin of the rotary angles, a row of headDim numbers per position (config: rope_theta, rope_scaling).
 * Dynamic scaling depends on the sequence's length once it is past the trained one, so rows are kept by length there.
 */
export class RotaryTable {
  private readonly config: ModelConfig;
  private readonly rows = new Map<string, { cos: Float32Array; sin: Float32Array }>();
  private readonly frequencies = new Map<number, ReturnType<typeof ropeInverseFrequencies>>();

  constructor(config: ModelConfig) {
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
