import type { Pair } from '../data/records.ts';
import { isSelected, learnMask, learnMaskWithin } from '../mask/dcm.ts';
import { fisherScores, topComponents } from '../mask/fisher.ts';
import { MaskSteps } from '../mask/step.ts';
import { type Circuit, ComponentSpace, countByKind } from '../model/components.ts';
import { Rng } from '../random.ts';
import type { Runners, StageContext } from './context.ts';
import { budgetCount, type MaskSettings } from './settings.ts';

/** A circuit, how it was chosen, and the figure behind each component. */
export interface Selection {
  circuit: Circuit;
  method: 'dcm' | 'fisher' | 'random' | 'all';
  /** Learned mask in [0, 1], or score; flat by ComponentSpace. */
  values: Float32Array;
  lambda: number | null;
  budget: number | null;
  /** Lambdas that a budget search tried. */
  trials: { lambda: number; selected: number }[];
}

/** What an interrupted selection goes on from, and where its state goes. */
export interface SelectionState {
  saved?: Uint8Array | null;
  save?: (state: Uint8Array) => void;
}

/** Stage 2: choose the circuit from pairs, by the paper's mask or by gradient over Fisher information. */
export async function selectCircuit(
  { model, signal, emit }: StageContext,
  { shared, plain }: Runners,
  pairs: readonly Pair[],
  controlText: readonly (readonly number[])[],
  settings: MaskSettings,
  seed: number,
  state: SelectionState = {},
): Promise<Selection> {
  const space = new ComponentSpace(model.config);
  if (settings.select === 'fisher') {
    const budget = budgetCount(settings.budget, space.size);
    // The shared prompt is part of the prefixes here: its rows count in the gradient as all others.
    const scores = await fisherScores(shared, pairs, controlText, settings, {
      plain,
      rng: new Rng(seed).fork('fisher'),
      signal,
      onProgress: (done, total) => emit({ event: 'progress', stage: 'mask', done, total, unit: 'passes' }),
      ...state,
    });
    const chosen = new Set(topComponents(scores, budget));
    return {
      circuit: space.circuit((i) => chosen.has(i)),
      method: 'fisher',
      values: scores,
      lambda: null,
      budget,
      trials: [],
    };
  }
  const steps = await MaskSteps.create(shared, pairs, 'margin', signal);
  await model.makeRoom();
  const options = { ...settings, seed };
  const onProgress = (p: {
    epoch: number;
    epochs: number;
    batch: number;
    batches: number;
    selected: number;
    margin: number;
    loss: number;
    mask: Float32Array;
    lambda?: number;
  }) => {
    if (p.batch !== p.batches - 1) return;
    const lambda = p.lambda ?? settings.lambda;
    emit({
      event: 'progress',
      stage: 'mask',
      done: p.epoch + 1,
      total: p.epochs,
      unit: 'epochs',
      note: `lambda ${lambda}, ${p.selected} selected`,
    });
    emit({
      event: 'mask',
      lambda,
      epoch: p.epoch + 1,
      selected: p.selected,
      margin: p.margin,
      loss: p.loss,
      values: Array.from(p.mask),
    });
  };
  if (settings.budget === null) {
    const learned = await learnMask(steps, options, { signal, onProgress, ...state });
    return {
      circuit: space.circuit((i) => isSelected(learned.mask[i]!)),
      method: 'dcm',
      values: learned.mask,
      lambda: settings.lambda,
      budget: null,
      trials: [{ lambda: settings.lambda, selected: learned.selected }],
    };
  }
  const budget = budgetCount(settings.budget, space.size);
  const learned = await learnMaskWithin(steps, budget, options, { signal, onProgress, ...state });
  return {
    circuit: space.circuit((i) => isSelected(learned.mask[i]!)),
    method: 'dcm',
    values: learned.mask,
    lambda: learned.lambda,
    budget,
    trials: learned.trials,
  };
}

/** A random circuit with as many components of each kind as another (the matched control). */
export function randomCircuit(space: ComponentSpace, like: Circuit, rng: Rng): Circuit {
  const counts = countByKind(like);
  const chosen = new Set<number>();
  for (const [kind, count] of Object.entries(counts) as [keyof typeof counts, number][]) {
    const all = Array.from({ length: space.width(kind) * space.layers }, (_, i) => space.offset(kind, 0) + i);
    rng.fork(kind).shuffle(all);
    for (const i of all.slice(0, count)) chosen.add(i);
  }
  return space.circuit((i) => chosen.has(i));
}

/** Every component: what the paper's method narrows down. */
export function wholeCircuit(space: ComponentSpace): Circuit {
  return space.circuit(() => true);
}
