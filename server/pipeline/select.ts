import type { Pair } from '../data/records.ts';
import { type DcmProgress, FIRST_TRIALS, isSelected, learnMask, learnMaskWithin } from '../mask/dcm.ts';
import { fisherScores, fisherTokens, topComponents } from '../mask/fisher.ts';
import { MaskSteps } from '../mask/step.ts';
import { type Circuit, ComponentSpace, countByKind } from '../model/components.ts';
import { Rng } from '../random.ts';
import type { Runners, StageContext } from './context.ts';
import { budgetCount, type MaskSettings } from './settings.ts';
import type { Piece, StageWork } from './work.ts';

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

/** Expected work of choosing a circuit, to be planned before `selectCircuit` is called, and followed by it. */
export interface SelectionWork {
  /** What a person counts, and how many these are (at most). */
  unit: 'passes' | 'epochs';
  total: number;
  /** Of them what an interrupted session has done. */
  kept: number;
  pieces: readonly Piece[];
  /** Mask steps that this session has taken, and those to come. */
  steps: { taken: number; left: number } | null;
}

export function selectionWork(
  { shared }: Runners,
  pairs: readonly Pair[],
  controlText: readonly (readonly number[])[],
  settings: MaskSettings,
  { saved = null }: SelectionState = {},
): SelectionWork {
  if (settings.select === 'fisher') {
    const { passes, kept, ...work } = fisherTokens(shared, pairs, controlText, saved);
    return { unit: 'passes', total: passes, kept, pieces: [() => work], steps: null };
  }
  const skip = shared.sharedIds.length + 1;
  const cached = pairs.reduce((sum, { prefix }) => sum + prefix.length - skip, 0);
  const batches = Math.ceil(pairs.length / settings.batch);
  const trials = settings.budget === null ? 1 : FIRST_TRIALS;
  const steps = { taken: 0, left: settings.epochs * batches * trials };
  const perStep = pairs.length / batches;
  return {
    unit: 'epochs',
    total: settings.epochs,
    kept: 0,
    pieces: [() => ({ forward: cached }), () => ({ mask: (steps.taken + steps.left) * perStep })],
    steps,
  };
}

/** Stage 2: choose the circuit from pairs, by the paper's mask or by gradient over Fisher information. */
export async function selectCircuit(
  { model, emit }: StageContext,
  { shared, plain }: Runners,
  pairs: readonly Pair[],
  controlText: readonly (readonly number[])[],
  settings: MaskSettings,
  seed: number,
  {
    work,
    expected,
    onProgress,
    state = {},
  }: {
    work: StageWork;
    expected: SelectionWork;
    /** Hears of the passes or epochs that are done, and how many there are (in a search: are expected). */
    onProgress?: (done: number, total: number, note?: string) => void;
    state?: SelectionState;
  },
): Promise<Selection> {
  const space = new ComponentSpace(model.config);
  const { signal } = work;
  work.begin(expected.pieces[0]!);
  if (settings.select === 'fisher') {
    const budget = budgetCount(settings.budget, space.size);
    // The shared prompt is part of the prefixes here: its rows count in the gradient as all others.
    const scores = await fisherScores(shared, pairs, controlText, settings, {
      plain,
      rng: new Rng(seed).fork('fisher'),
      signal,
      onProgress: (done, total) => onProgress?.(done, total),
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
  work.atMost = true;
  const steps = await MaskSteps.create(shared, pairs, 'margin', signal);
  await model.makeRoom();
  work.begin(expected.pieces[1]!);
  const options = { ...settings, seed };
  const onStep = (p: DcmProgress & { lambda?: number }) => {
    const lambda = p.lambda ?? settings.lambda;
    const { taken } = expected.steps!;
    Object.assign(expected.steps!, { taken: taken + 1, left: p.left });
    // Until a training has ended nobody knows when its selection comes to rest.
    work.atMost = p.atMost;
    if (p.batch !== p.batches - 1) return;
    const epochs = (count: number) => Math.ceil(count / p.batches);
    onProgress?.(epochs(p.steps), epochs(p.steps + p.left), `lambda ${lambda}, ${p.selected} selected`);
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
    const learned = await learnMask(steps, options, { signal, onProgress: onStep, ...state });
    work.atMost = false;
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
  const learned = await learnMaskWithin(steps, budget, options, {
    signal,
    onProgress: onStep,
    ...state,
  });
  work.atMost = false;
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
