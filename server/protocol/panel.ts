import type { CircuitView, Purpose, Selection } from './circuit.ts';
import type { JobState, StepPoint } from './jobs.ts';
import { type Float32s, request } from './message.ts';
import type { RunReport } from './runs.ts';

/** Settings of a training that is started from the panel. */
export interface TrainingChoices {
  steps: number;
  learningRate: number;
  /** Weight of the KL term to the base model on control text. */
  klControl: number;
  neurons: 'up' | 'up+gate+down';
  /** Validate after every this many steps. */
  validateEvery: number;
  /** Matched controls to run beside it. */
  variants: string[];
}

/** Where the guard ends a training; null where it does not watch. */
export interface GuardLimits {
  /** Mean KL to the base model on control text, nats per position. */
  maxKl: number | null;
  /** Points (of 100) that a guard suite may fall. */
  maxDrop: number | null;
}

/** What a training from a run's panel begins with: the run's own settings, the product's where it has none. */
export const trainingSettings = request<{ run: string }, { choices: TrainingChoices; limits: GuardLimits }>(
  'cca/circuit/training',
);

/** The pivot under the cursor of a trace document, and what pushes there toward its desired token. */
export interface ShownPivot {
  problem: string;
  desired: string;
  undesired: string;
  /** logit[desired] - logit[undesired]. */
  margin: number;
  /** Prefix tokens by gradient x embedding: positive pushes toward desired. `level`: -4 to 4 as in the document, 0 is too weak to show. */
  tokens: { text: string; attribution: number; level: number }[];
  /** By the gradient of -margin by their gates, most helpful first. */
  components: { component: number; gradient: number }[];
}

/** From the extension host to the circuit panel. */
export type ToPanel =
  | {
      type: 'circuit';
      view: CircuitView;
      selections: Selection[];
      choices: TrainingChoices;
      limits: GuardLimits;
      trusted: boolean;
    }
  | { type: 'attribution'; attribution: Float32s; pairs: number }
  | { type: 'attributing'; done: number; total: number }
  | { type: 'attributionStopped' }
  | {
      type: 'mask';
      lambda: number;
      epoch: number;
      selected: number;
      margin: number;
      loss: number;
      values: Float32s;
    }
  | { type: 'job'; job: JobState | null }
  | { type: 'steps'; from: number; steps: StepPoint[] }
  | { type: 'report'; report: RunReport | null }
  | { type: 'purpose'; purpose: Purpose }
  | { type: 'selections'; selections: Selection[] }
  /** Null: there is no pivot under the cursor any more. */
  | { type: 'pivot'; pivot: ShownPivot | null }
  | { type: 'focus'; component: number }
  | { type: 'notice'; level: 'info' | 'error'; text: string }
  | { type: 'trusted'; trusted: boolean };

/** From the circuit panel to the extension host. */
export type FromPanel =
  | { type: 'ready' }
  | { type: 'attribute' }
  | { type: 'stopAttribute' }
  | { type: 'purpose'; component: number }
  | { type: 'openPair'; pair: string; trace: string | null; token: number }
  | { type: 'train'; selected: number[]; choices: TrainingChoices }
  /** End the training, keep the best step so far and go on to the evaluation. */
  | { type: 'endTraining'; job: string }
  | { type: 'cancel'; job: string }
  | { type: 'saveSelection'; selected: number[] }
  | { type: 'removeSelection'; name: string }
  | { type: 'openReport' }
  | { type: 'openFlips' }
  | { type: 'failed'; message: string };
