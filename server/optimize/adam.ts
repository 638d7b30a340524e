/** Adam (Kingma & Ba 2015) with torch.optim.Adam's update, bias correction included, and AdamW's decoupled decay. */
export interface AdamOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled weight decay per unit of learning rate (AdamW). */
  weightDecay: number;
}

const adamDefaults: AdamOptions = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };

/** One optimiser over several float32 tensors, updated in place; its state can be saved and restored bit for bit. */
export class Adam {
  private readonly options: AdamOptions;
  private readonly first: Float32Array[];
  private readonly second: Float32Array[];
  private step = 0;

  constructor(sizes: readonly number[], options: Partial<AdamOptions> = {}) {
    this.options = { ...adamDefaults, ...options };
    this.first = sizes.map((n) => new Float32Array(n));
    this.second = sizes.map((n) => new Float32Array(n));
  }

  /** parameters -= learningRate * m / (sqrt(v) + eps). `decay` says which tensors the weight decay touches. */
  update(
    parameters: readonly Float32Array[],
    gradients: readonly Float32Array[],
    learningRate: number,
    decay: (tensor: number) => boolean = () => true,
  ): void {
    const { beta1, beta2, eps, weightDecay } = this.options;
    this.step++;
    const correction1 = 1 - beta1 ** this.step;
    const rootCorrection2 = Math.sqrt(1 - beta2 ** this.step);
    const size = learningRate / correction1;
    parameters.forEach((p, t) => {
      const g = gradients[t]!;
      const m = this.first[t]!;
      const v = this.second[t]!;
      const shrink = decay(t) ? 1 - learningRate * weightDecay : 1;
      for (let i = 0; i < p.length; i++) {
        const gi = g[i]!;
        m[i] = beta1 * m[i]! + (1 - beta1) * gi;
        v[i] = beta2 * v[i]! + (1 - beta2) * gi * gi;
        p[i] = p[i]! * shrink - (size * m[i]!) / (Math.sqrt(v[i]!) / rootCorrection2 + eps);
      }
    });
  }

  /** Step count and moments as bytes. */
  save(): Uint8Array {
    const arrays = [Float32Array.of(this.step), ...this.first, ...this.second];
    const bytes = new Uint8Array(arrays.reduce((sum, a) => sum + a.byteLength, 0));
    let at = 0;
    for (const a of arrays) {
      bytes.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), at);
      at += a.byteLength;
    }
    return bytes;
  }

  restore(bytes: Uint8Array): void {
    // A copy of its own: a Buffer's slice() would still be a view of the whole file.
    const all = new Float32Array(Uint8Array.from(bytes).buffer);
    this.step = all[0]!;
    let at = 1;
    for (const a of [...this.first, ...this.second]) {
      a.set(all.subarray(at, at + a.length));
      at += a.length;
    }
  }
}
