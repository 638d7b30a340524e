import type { ModelConfig } from '../checkpoint/config.ts';
import { readJsonObject } from '../checkpoint/json-fields.ts';
import { InputError } from '../errors.ts';
import {
  type Circuit,
  type Component,
  type ComponentKind,
  ComponentSpace,
  componentKinds,
} from '../model/components.ts';

const FORMAT = 'circuit-amplifier-mask/1';

/** mask.json: a circuit, how it was chosen, and the figure behind every component. */
export interface MaskFile {
  format: typeof FORMAT;
  /** Hash of the checkpoint that it was chosen on. */
  model: string;
  /** `dcm` (values are masks in [0, 1]), `fisher` (values are scores), `random`, `all` or `human`. */
  method: 'dcm' | 'fisher' | 'random' | 'all' | 'human';
  /** Where a component's gate sits: on the projection's output, or after its norm. */
  gate_point: 'projection' | 'norm';
  lambda: number | null;
  /** Components at most. */
  budget: number | null;
  seed: number;
  /** Lambdas that a budget search tried. */
  trials: { lambda: number; selected: number }[];
  /** By layer, selected indices of each kind. */
  selected: Record<ComponentKind, number[]>[];
  /** By layer, every component's value. */
  values: Record<ComponentKind, number[]>[];
}

export function makeMaskFile(
  space: ComponentSpace,
  circuit: Circuit,
  values: Float32Array,
  fields: Omit<MaskFile, 'format' | 'selected' | 'values'>,
): MaskFile {
  const layers = Array.from({ length: space.layers }, (_, layer) => layer);
  const each = <T>(f: (kind: ComponentKind) => T) =>
    Object.fromEntries(componentKinds.map((kind) => [kind, f(kind)])) as Record<ComponentKind, T>;
  return {
    format: FORMAT,
    ...fields,
    selected: layers.map((layer) => each((kind) => [...circuit[kind][layer]!])),
    values: layers.map((layer) =>
      each((kind) => {
        const first = space.offset(kind, layer);
        return Array.from(values.subarray(first, first + space.width(kind)), (v) => Number(v.toPrecision(7)));
      }),
    ),
  };
}

/**
 * Read a mask file and check it against a model.
 * @throws InputError naming the file and what is wrong: another model's mask, an index out of range
 */
export function readMaskFile(
  path: string,
  config: ModelConfig,
  modelHash: string,
): { file: MaskFile; circuit: Circuit } {
  const file = readFormat(path);
  if (file.model !== modelHash) {
    throw new InputError(
      path,
      'was learned on another checkpoint',
      'Give the checkpoint that it belongs to as --model',
    );
  }
  const space = new ComponentSpace(config);
  if (file.selected.length !== space.layers) {
    throw new InputError(
      path,
      `has ${file.selected.length} layers, the model ${space.layers}`,
      'Learn the mask again',
    );
  }
  const chosen = new Set<number>();
  file.selected.forEach((layer: unknown, l) => {
    for (const kind of componentKinds) {
      const indices = (layer as Partial<Record<ComponentKind, unknown>> | null)?.[kind];
      if (!Array.isArray(indices)) {
        throw new InputError(path, `selected[${l}].${kind} is not a list of indices`, 'Learn the mask again');
      }
      for (const index of indices) {
        if (!Number.isInteger(index) || index < 0 || index >= space.width(kind)) {
          throw new InputError(
            path,
            `selected[${l}].${kind} has ${index}, outside 0 to ${space.width(kind) - 1}`,
            'Correct it',
          );
        }
        chosen.add(space.offset(kind, l) + index);
      }
    }
  });
  if (chosen.size === 0)
    throw new InputError(path, 'selects no component', 'Lower lambda or raise the budget');
  return { file: file as MaskFile, circuit: space.circuit((i) => chosen.has(i)) };
}

function readFormat(path: string): Partial<MaskFile> & Pick<MaskFile, 'selected'> {
  const file = readJsonObject(path) as Partial<MaskFile>;
  if (file.format === FORMAT && Array.isArray(file.selected)) return { ...file, selected: file.selected };
  throw new InputError(path, 'is not a mask file', 'Give the mask.json that the mask stage wrote');
}

/** The selected components of a mask file, without its model. @throws InputError where it is no mask file */
export function readSelection(path: string): Component[] {
  return readFormat(path).selected.flatMap((kinds, layer) =>
    componentKinds.flatMap((kind) => {
      const indices: unknown = kinds?.[kind];
      if (Array.isArray(indices)) return indices.map((index: number) => ({ kind, layer, index }));
      throw new InputError(
        path,
        `selected[${layer}].${kind} is not a list of indices`,
        'Learn the mask again',
      );
    }),
  );
}

/** Components of two circuits, and in both. */
export interface Overlap {
  a: number;
  b: number;
  both: number;
  /** Components in both over components in either; null where there are none. */
  jaccard: number | null;
}

/** How far two circuits of one model are the same. */
export interface CircuitOverlap extends Overlap {
  byKind: Record<ComponentKind, Overlap>;
  common: Component[];
}

export function circuitOverlap(a: readonly Component[], b: readonly Component[]): CircuitOverlap {
  const key = ({ kind, layer, index }: Component) => `${kind} ${layer} ${index}`;
  const others = new Set(b.map(key));
  const common = a.filter((one) => others.has(key(one)));
  const count = (of: (all: readonly Component[]) => readonly Component[]): Overlap => {
    const [left, right, both] = [of(a).length, of(b).length, of(common).length];
    const either = left + right - both;
    return { a: left, b: right, both, jaccard: either === 0 ? null : both / either };
  };
  const byKind = Object.fromEntries(
    componentKinds.map((kind) => [kind, count((all) => all.filter((one) => one.kind === kind))]),
  ) as Record<ComponentKind, Overlap>;
  return { ...count((all) => all), byKind, common };
}
