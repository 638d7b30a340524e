import { type Float32s, request, type Streamed } from './message.ts';

export type ComponentKind = 'q' | 'k' | 'v' | 'mlp';

/**
 * Components of a model in one flat order: kind (q, k, v, mlp), then layer, then index. There are
 * layers * (heads + 2 * kvHeads + neurons) of them.
 */
export interface ComponentShape {
  layers: number;
  heads: number;
  kvHeads: number;
  neurons: number;
  headDim: number;
  hiddenSize: number;
}

/** What the circuit panel shows of a run. */
export interface CircuitView {
  run: string;
  name: string;
  /** Experiment file that a job from here uses; null where none is known. */
  experiment: string | null;
  shape: ComponentShape;
  /** dcm: values are masks in [0, 1]; fisher: scores; human: a hand-made selection. Null without a mask file. */
  method: 'dcm' | 'fisher' | 'random' | 'all' | 'human' | null;
  lambda: number | null;
  /** Components at most, as asked for. */
  budget: number | null;
  pairs: number;
  /** Flat positions, ascending. */
  selected: number[];
  values: Float32s | null;
  /** Mean gradient of -(logit difference) by every gate: negative helps. Null until computed. */
  attribution: Float32s | null;
  /** Root mean square change of every component's rows by the run's patch, relative to their own. Null without one. */
  change: Float32s | null;
}

export const open = request<{ run: string }, CircuitView>('cca/circuit/open');

/** Mean attribution over the run's pairs, streamed by pairs done; kept beside the run for the next time. */
export const attribute = request<
  { run: string } & Streamed,
  { attribution: Float32s; pairs: number },
  { done: number; total: number }
>('cca/circuit/attribute');

/** A pair that the run trains on. */
export interface TrainingPair {
  pair: string;
  problem: string;
  desired: string;
  undesired: string;
  /** Null where it comes from no trace of the run. */
  trace: string | null;
  /** Index of the pair's pivot in the trace's tokens. */
  token: number;
}

/** What a component is for. */
export interface Purpose {
  component: number;
  label: string;
  mask: number | null;
  gradient: number | null;
  /** Pairs that it serves most, best first; null while no attribution of the run's pairs is known. */
  served: (TrainingPair & { gradient: number })[] | null;
  /** Weight rows: tensor name and [first, last]. */
  rows: { tensor: string; first: number; last: number; norm: number; change: number | null }[];
}

export const purpose = request<{ run: string; component: number }, Purpose>('cca/circuit/purpose');

export interface RelatedPairs {
  /** In the order of the pairs; `count` is how many there are. */
  template: { count: number; pairs: TrainingPair[] } | null;
  /** Best first. */
  served: (TrainingPair & { agreement: number })[] | null;
}

/**
 * Pairs that the run trains on and that belong to a token of another problem: those of its template, and those that the
 * components behind the token serve too, by `servedTogether`. Null for what is not known: without a template, or before
 * the attribution of the run's pairs is computed.
 */
export const relatedPairs = request<
  {
    run: string;
    template: string | null;
    /** The token's components with their gradients at it. */
    components: { component: number; gradient: number }[];
  },
  RelatedPairs
>('cca/circuit/pairs');

/** Hand-made selections of a run: mask files RUN/selections/<name>.json. */
export interface Selection {
  name: string;
  file: string;
  selected: number[];
}

export const saveSelection = request<{ run: string; name: string; selected: number[] }, Selection>(
  'cca/circuit/selections/save',
);
export const selections = request<{ run: string }, { selections: Selection[]; problems: string[] }>(
  'cca/circuit/selections',
);
export const removeSelection = request<{ run: string; name: string }, null>('cca/circuit/selections/remove');
