import type { Purpose, Selection } from '../../server/protocol/circuit.ts';
import type { JobState, StepPoint } from '../../server/protocol/jobs.ts';
import type { GuardLimits, ShownPivot, ToPanel, TrainingChoices } from '../../server/protocol/panel.ts';
import type { RunReport } from '../../server/protocol/runs.ts';
import { Bits } from '../circuit/bits.ts';
import { begin, type History } from '../circuit/history.ts';
import type { KindFilter } from '../circuit/rank.ts';
import type { Space } from '../circuit/space.ts';
import type { Layer, Lens } from '../circuit/values.ts';

type Message<K extends ToPanel['type']> = Omit<Extract<ToPanel, { type: K }>, 'type'>;

/** A run's circuit with its numbers decoded. */
export interface Circuit {
  view: Message<'circuit'>['view'];
  space: Space;
  layers: Readonly<Record<Lens, Layer | null>>;
  /** What the run itself selected. */
  own: Bits;
}

export type LiveMask = Omit<Message<'mask'>, 'values'>;

export interface State {
  circuit: Circuit | null;
  lens: Lens;
  /** Layer that is shown alone; null for all. */
  zoom: number | null;
  /** Component that is inspected. */
  focus: number | null;
  selection: History<Bits>;
  saved: readonly Selection[];
  /** Selection that the present one is compared with: a saved one's name, or the run's own; null for none. */
  compare: { saved: string } | 'own' | null;
  /** Kinds that picking by value may take. */
  kinds: KindFilter;
  choices: TrainingChoices;
  limits: GuardLimits;
  trusted: boolean;
  job: JobState | null;
  /** The mask that is being learned; null while none is. */
  live: LiveMask | null;
  steps: readonly StepPoint[];
  /** Index in `steps` that the curves are read at; null for the last one. */
  cursor: number | null;
  report: RunReport | null;
  purpose: Purpose | null;
  /** Under the cursor of a trace. */
  pivot: ShownPivot | null;
  attributing: { done: number; total: number } | null;
  notice: { level: 'info' | 'error'; text: string } | null;
}

export const initial: State = {
  circuit: null,
  lens: 'mask',
  zoom: null,
  focus: null,
  selection: begin(Bits.empty(0)),
  saved: [],
  compare: null,
  kinds: { q: true, k: true, v: true, mlp: true },
  choices: { steps: 30, learningRate: 5e-3, klControl: 3, neurons: 'up', validateEvery: 10, variants: [] },
  limits: { maxKl: null, maxDrop: null },
  trusted: true,
  job: null,
  live: null,
  steps: [],
  cursor: null,
  report: null,
  purpose: null,
  pivot: null,
  attributing: null,
  notice: null,
};

/** Numbers that colour the grid now; null where the run has none of that sort. */
export const shownLayer = (state: State): Layer | null => state.circuit?.layers[state.lens] ?? null;

/** The selection that the present one is compared with. */
export function comparedWith({ circuit, compare, saved }: State): Bits | null {
  if (!circuit || compare === null) return null;
  if (compare === 'own') return circuit.own;
  const found = saved.find(({ name }) => name === compare.saved);
  return found ? Bits.of(circuit.space.size, found.selected) : null;
}

export const isActive = (job: JobState | null): job is JobState =>
  job !== null && (job.state === 'running' || job.state === 'cancelling');
