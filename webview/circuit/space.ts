import type { ComponentKind, ComponentShape } from '../../server/protocol/circuit.ts';

export const kinds: readonly ComponentKind[] = ['q', 'k', 'v', 'mlp'];

/** Which weights of a selected neuron are trained: its up_proj row, or gate_proj row and down_proj column too. */
export type NeuronRows = 'up' | 'up+gate+down';

export interface Component {
  kind: ComponentKind;
  layer: number;
  index: number;
}

/** Where every component of a model stands in the flat order: kind, then layer, then index. */
export class Space {
  readonly shape: ComponentShape;
  readonly size: number;
  private readonly offsets: Record<ComponentKind, number>;

  constructor(shape: ComponentShape) {
    this.shape = shape;
    this.offsets = { q: 0, k: 0, v: 0, mlp: 0 };
    let at = 0;
    for (const kind of kinds) {
      this.offsets[kind] = at;
      at += shape.layers * this.width(kind);
    }
    this.size = at;
  }

  /** Components of a kind in one layer. */
  width(kind: ComponentKind): number {
    const { heads, kvHeads, neurons } = this.shape;
    return kind === 'q' ? heads : kind === 'mlp' ? neurons : kvHeads;
  }

  /** Flat position of a layer's first component of a kind. */
  offset(kind: ComponentKind, layer: number): number {
    return this.offsets[kind] + layer * this.width(kind);
  }

  at(flat: number): Component {
    const kind = kinds.findLast((k) => flat >= this.offsets[k] && this.width(k) > 0)!;
    const rest = flat - this.offsets[kind];
    return { kind, layer: Math.floor(rest / this.width(kind)), index: rest % this.width(kind) };
  }

  /** `L3 Q5`, `L0 neuron 1234`: as in the engine's reports, spelt out for neurons. */
  label(flat: number): string {
    const { kind, layer, index } = this.at(flat);
    return `L${layer} ${kind === 'mlp' ? `neuron ${index}` : `${kind.toUpperCase()}${index}`}`;
  }

  /** Weight rows (and columns), each hiddenSize long, that a component of the kind trains. */
  rows(kind: ComponentKind, neurons: NeuronRows): number {
    if (kind !== 'mlp') return this.shape.headDim;
    return neurons === 'up' ? 1 : 3;
  }
}
