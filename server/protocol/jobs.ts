import { type Float32s, notification, request } from './message.ts';

export type StageName = 'generate' | 'localize' | 'mask' | 'amplify' | 'evaluate';

/** The whole amplification of an experiment file, or a part of it. Runs in a process of its own, which outlives the editor. */
export interface JobSpec {
  /** Experiment file. */
  experiment: string;
  /** Run folder; null for the experiment's own. */
  out: string | null;
  /** Stop after this stage; null for all. */
  until: StageName | null;
  /** Do this stage and those after it again; null keeps what is finished. */
  redo: StageName | null;
  /** Another run whose traces and pairs are taken over; null. */
  from: string | null;
  /** Pairs in place of located ones: a file, a run folder or a folder of annotated documents; null. */
  pairs: string | null;
  /** Circuit in place of a selected one (a mask file); null. */
  circuit: string | null;
  seed: number | null;
  /** Matched controls and baselines, as in the experiment file; [] for none, null for the experiment's own. */
  variants: string[] | null;
  /** Settings in place of the experiment's, by dotted name: `amplify.steps`. */
  set: Record<string, number | string | boolean>;
}

/** One training step's figures; null where not measured. */
export interface StepPoint {
  step: number;
  loss: number;
  /** Mean logit difference, desired over undesired. */
  margin: number | null;
  klControl: number | null;
  klTraces: number | null;
  /** Share of validation problems solved, 0 to 1. */
  validation: number | null;
  /** Guard suites, 0 to 1, by name; null where not watched in this step. */
  guard: Record<string, number> | null;
  best: number;
  /** The limit that was passed, in words. */
  breach: string | null;
}

export interface JobState {
  id: string;
  title: string;
  spec: JobSpec;
  /** Run folder, absolute. */
  run: string;
  state: 'running' | 'cancelling' | 'finished' | 'failed' | 'cancelled';
  /** One line on why it failed. */
  error: string | null;
  stage: string | null;
  stages: { name: string; status: 'waiting' | 'running' | 'finished' | 'kept' }[];
  done: number;
  total: number;
  unit: string;
  /** Part of the stage's work that is done, by the time it takes, 0 to 1. */
  share: number;
  /** Seconds left of the stage and of all; null while unknown. */
  stageRemaining: number | null;
  remaining: number | null;
  /** These are upper bounds. */
  atMost: boolean;
  figures: Record<string, number>;
  /** Tokens of model work per second, over the last few seconds; null where none is under way here. */
  tokensPerSecond: number | null;
  /** Resident memory of the job's process, bytes; null before it has told. */
  memory: number | null;
  /** Milliseconds since the epoch. */
  started: number;
  ended: number | null;
  /** The training was asked to end early and has not yet. */
  endingTraining: boolean;
  /** Times that its process crashed and was started again. */
  restarts: number;
  device: string | null;
}

export const start = request<JobSpec, JobState>('cca/jobs/start');
/** Asks a job to stop; what it has finished is kept. */
export const cancel = request<{ id: string }, null>('cca/jobs/cancel');
/** Asks the training under way to end with its present step; its best step becomes the patch, and the job goes on. */
export const endTraining = request<{ id: string }, null>('cca/jobs/endTraining');
/** Jobs of this workspace, newest first, including those that another window or an earlier session started. */
export const list = request<null, JobState[]>('cca/jobs/list');
/** Takes an ended job off the list; its run folder stays. */
export const forget = request<{ id: string }, null>('cca/jobs/forget');
/** Seconds, from and to. */
export interface Span {
  low: number;
  high: number;
}

/** What a job would cost, before it starts. */
export interface JobCost {
  /** Null where nothing is known, as with a server or in a workspace that is not trusted. */
  seconds: Span | null;
  /** Bytes. */
  memory: number;
  /** Bytes that the run folder grows to; null where unknown. */
  disk: number | null;
  /** Bytes that are free there; null where the system does not tell. */
  free: number | null;
  /** Where it runs, and CPU threads where these matter and are known. */
  device: string | null;
  threads: number | null;
  /** Whether earlier runs of the model took so long, or a moment's measurement lets expect it. */
  from: 'runs' | 'measurement' | null;
  stages: { name: string; seconds: Span | null; kept: boolean }[];
}

/** `measure`: for a moment, on the loaded model, where no run of it has finished the stages yet. */
export const estimate = request<{ job: JobSpec; measure: boolean }, JobCost>('cca/jobs/estimate');

/** A job changed; at most ten a second for each. */
export const changed = notification<JobState>('cca/jobs/changed');
/** A job's training steps since the last message; `from` 0 starts over. */
export const steps = notification<{ id: string; run: string; from: number; steps: StepPoint[] }>(
  'cca/jobs/steps',
);
/** The mask while it is learned (values in component order); at most five a second. */
export const mask = notification<{
  id: string;
  run: string;
  lambda: number;
  epoch: number;
  selected: number;
  margin: number;
  loss: number;
  values: Float32s;
}>('cca/jobs/mask');
/** All training steps of a run so far, for a panel that opens late. */
export const curve = request<{ run: string }, StepPoint[]>('cca/jobs/curve');
