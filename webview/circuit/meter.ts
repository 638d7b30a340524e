import type { ComponentKind } from '../../server/protocol/circuit.ts';
import type { Bits } from './bits.ts';
import { kinds, type NeuronRows, type Space } from './space.ts';

/** What a selection comes to. */
export interface Meter {
  components: number;
  total: number;
  byKind: Record<ComponentKind, number>;
  /** Weight rows and columns that would be trained, and the weights in them. */
  rows: number;
  parameters: number;
  /** Weights of all components, counted the same way. */
  allParameters: number;
}

export function measure(space: Space, selection: Bits, neurons: NeuronRows): Meter {
  const { layers, hiddenSize } = space.shape;
  const byKind = { q: 0, k: 0, v: 0, mlp: 0 };
  let rows = 0;
  let allRows = 0;
  for (const kind of kinds) {
    const all = layers * space.width(kind);
    byKind[kind] = selection.countIn(space.offset(kind, 0), all);
    rows += byKind[kind] * space.rows(kind, neurons);
    allRows += all * space.rows(kind, neurons);
  }
  return {
    components: selection.count,
    total: space.size,
    byKind,
    rows,
    parameters: rows * hiddenSize,
    allParameters: allRows * hiddenSize,
  };
}
