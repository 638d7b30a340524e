import type { ModelConfig } from '../checkpoint/config.ts';
import type { Architecture, Projection } from './architectures/architecture.ts';
import type { Delta } from './overlay.ts';

/** A query, key or value head, or an MLP hidden neuron. */
export type ComponentKind = 'q' | 'k' | 'v' | 'mlp';
export const componentKinds: readonly ComponentKind[] = ['q', 'k', 'v', 'mlp'];

export interface Component {
  kind: ComponentKind;
  layer: number;
  index: number;
}

/** Selected component indices by kind and layer, each list ascending. */
export type Circuit = Record<ComponentKind, readonly (readonly number[])[]>;

/**
 * All components of a model in one flat order: kind (q, k, v, mlp), then layer, then index.
 * There are L * (Hq + 2 * Hkv + F) of them.
 */
export class ComponentSpace {
  readonly layers: number;
  readonly size: number;
  private readonly widths: Record<ComponentKind, number>;
  private readonly offsets: Record<ComponentKind, number>;

  constructor({ numLayers, numHeads, numKvHeads, intermediateSize }: ModelConfig) {
    this.layers = numLayers;
    this.widths = { q: numHeads, k: numKvHeads, v: numKvHeads, mlp: intermediateSize };
    this.offsets = { q: 0, k: 0, v: 0, mlp: 0 };
    let at = 0;
    for (const kind of componentKinds) {
      this.offsets[kind] = at;
      at += numLayers * this.widths[kind];
    }
    this.size = at;
  }

  /** Components of a kind in one layer. */
  width(kind: ComponentKind): number {
    return this.widths[kind];
  }

  /** Flat position of a layer's first component of a kind. */
  offset(kind: ComponentKind, layer: number): number {
    return this.offsets[kind] + layer * this.widths[kind];
  }

  at(flat: number): Component {
    const kind = componentKinds.findLast((k) => flat >= this.offsets[k])!;
    const rest = flat - this.offsets[kind];
    return { kind, layer: Math.floor(rest / this.widths[kind]), index: rest % this.widths[kind] };
  }

  /** The circuit of the flat positions that `selected` accepts. */
  circuit(selected: (flat: number) => boolean): Circuit {
    const ofKind = (kind: ComponentKind) =>
      Array.from({ length: this.layers }, (_, layer) => {
        const first = this.offset(kind, layer);
        return Array.from({ length: this.widths[kind] }, (_, i) => i).filter((i) => selected(first + i));
      });
    return { q: ofKind('q'), k: ofKind('k'), v: ofKind('v'), mlp: ofKind('mlp') };
  }

  /** Flat positions of a circuit's components, ascending. */
  flat(circuit: Circuit): number[] {
    return componentKinds.flatMap((kind) =>
      circuit[kind].flatMap((indices, layer) => indices.map((i) => this.offset(kind, layer) + i)),
    );
  }
}

export function countByKind(circuit: Circuit): Record<ComponentKind, number> {
  const count = (kind: ComponentKind) => circuit[kind].reduce((sum, indices) => sum + indices.length, 0);
  return { q: count('q'), k: count('k'), v: count('v'), mlp: count('mlp') };
}

/** Which weights of a selected MLP neuron are trained: its up_proj row, or that and gate_proj row and down_proj column. */
export type NeuronRows = 'up' | 'up+gate+down';

const projectionOf: Record<ComponentKind, Projection> = {
  q: 'q_proj',
  k: 'k_proj',
  v: 'v_proj',
  mlp: 'up_proj',
};

/** The weight matrix [out, in] whose rows a component owns. A fused one is that of several kinds. */
export function tensorOf(arch: Architecture, kind: ComponentKind, layer: number): string {
  return arch.weight(layer, projectionOf[kind]);
}

/** Rows of `tensorOf` that a component owns: headDim of them for a head, one for a neuron. */
export function rowsOf(arch: Architecture, kind: ComponentKind): number {
  return kind === 'mlp' ? 1 : arch.config.headDim;
}

/** Rows of `tensorOf` that components of the kind own together, component 0's first. */
export function rowSpan(arch: Architecture, kind: ComponentKind): { first: number; count: number } {
  return arch.rows(projectionOf[kind]);
}

/** Zero changes for every weight row (and column) that the circuit's components own, in a fixed order. */
export function circuitDeltas(arch: Architecture, circuit: Circuit, neurons: NeuronRows): Delta[] {
  const { hiddenSize, numLayers } = arch.config;
  // One entry for a matrix and axis: rows of several kinds meet in a fused matrix.
  const changed = new Map<string, { tensor: string; axis: 0 | 1; indices: number[] }>();
  const add = (tensor: string, axis: 0 | 1, indices: number[]) => {
    const entry = changed.get(`${axis} ${tensor}`) ?? { tensor, axis, indices: [] };
    entry.indices.push(...indices);
    if (indices.length > 0) changed.set(`${axis} ${tensor}`, entry);
  };
  for (let layer = 0; layer < numLayers; layer++) {
    for (const kind of componentKinds) {
      const count = rowsOf(arch, kind);
      const { first } = rowSpan(arch, kind);
      const rows = circuit[kind][layer]!.flatMap((i) =>
        Array.from({ length: count }, (_, r) => first + i * count + r),
      );
      add(tensorOf(arch, kind, layer), 0, rows);
    }
    if (neurons === 'up+gate+down') {
      const { first } = arch.rows('gate_proj');
      add(
        arch.weight(layer, 'gate_proj'),
        0,
        circuit.mlp[layer]!.map((i) => first + i),
      );
      add(arch.weight(layer, 'down_proj'), 1, [...circuit.mlp[layer]!]);
    }
  }
  return Array.from(changed.values(), ({ tensor, axis, indices }) => ({
    tensor,
    axis,
    indices: Int32Array.from(indices).sort(),
    // A row of q/k/v/gate/up and a column of down_proj are both hidden_size long.
    delta: new Float32Array(indices.length * hiddenSize),
  }));
}
