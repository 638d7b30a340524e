import { notification, type PatchRef, request } from './message.ts';

/** One run folder. Shares are 0 to 1. */
export interface RunRow {
  folder: string;
  name: string;
  status: 'running' | 'finished' | 'failed' | 'cancelled' | 'interrupted';
  /** ISO time. */
  created: string;
  model: string;
  seed: number;
  device: string;
  stages: { name: string; status: 'waiting' | 'begun' | 'finished'; seconds: number }[];
  /** Job that works on it; null. */
  job: string | null;
  target: { base: number; amplified: number; gain: number; interval: [number, number]; n: number } | null;
  components: number | null;
  /** Whose pivots it trains on, where they were taken over and not located by the run itself. */
  pivots: TakenPivots | null;
  files: {
    patch: string | null;
    mask: string | null;
    report: string | null;
    traces: string | null;
    pairs: string | null;
  };
  error: string | null;
}

/** Pivots that a run took over, with what was done to them by hand. */
export interface TakenPivots {
  /** Run folder, folder of documents or file that they are from, absolute. */
  source: string;
  pairs: number;
  accepted: number;
  edited: number;
  /** Marked by hand. */
  marked: number;
}

/** What trace documents say, of a run or of any folder of them. */
export interface Annotations {
  /** The run folder; null for a folder of documents alone. */
  run: string | null;
  documents: number;
  /** Pairs that a training on them has, and how many of them were accepted, changed or marked by hand. */
  pairs: number;
  accepted: number;
  edited: number;
  marked: number;
  /** Pivots that a training leaves out. */
  rejected: number;
  /** Traces that a training leaves out. */
  excluded: number;
  /** Traces about which the documents say something else than the run was made from; without a run, all of them. */
  changed: number;
}

export const annotations = request<{ folder: string }, Annotations>('cca/runs/annotations');
/** A run folder that is free, named after another: `demo-2`, `demo-3`, ... */
export const freeFolder = request<{ run: string }, { folder: string }>('cca/runs/freeFolder');

/** Runs in the `runs` folders and their sub-folders of the workspace folders, and of jobs; newest first. */
export const list = request<
  { folders: string[] },
  { runs: RunRow[]; broken: { folder: string; problem: string }[] }
>('cca/runs/list');
export const remove = request<{ folder: string }, { kept: string[] }>('cca/runs/delete');
/**
 * A run under these folders was made, changed or removed; at most once a second for each. `files`: names in the folder that were
 * written since the last time; null where more than single files may have changed.
 */
export const changed = notification<{ folder: string; files: string[] | null }>('cca/runs/changed');

/** A suite before and after; shares 0 to 1, intervals 95 %. */
export interface SuiteFigures {
  name: string;
  kind: 'target' | 'set' | 'control';
  base: { accuracy: number; n: number; interval: [number, number] };
  amplified: { accuracy: number; n: number; interval: [number, number] };
  gain: number;
  gainInterval: [number, number];
  /** Exact McNemar test. */
  p: number;
}

export interface RunReport {
  folder: string;
  suites: SuiteFigures[];
  circuit: { components: number; total: number; weights: number; byKind: Record<string, number> };
  variants: { name: string; gain: number; worstControl: number | null }[];
  /** Where its pivots are from, if it did not locate them; null. */
  pivots: TakenPivots | null;
}

/** An experiment that was run with several seeds; shares 0 to 1. */
export interface StudyFigures {
  folder: string;
  seeds: { seed: number; folder: string; gain: number }[];
  /** Of the base model on the target problems. */
  base: number;
  /** Mean gain over the seeds and its standard error (null for one seed). */
  gain: { mean: number; error: number | null };
  worst: number;
}

/** Null for a folder that is no study's, or has no report yet. */
export const study = request<{ folder: string }, StudyFigures | null>('cca/runs/study');
export const report = request<{ folder: string }, RunReport | null>('cca/runs/report');
/** One run's own answers: a share of right ones, a mean score, or nats per word or byte (less is better). */
export interface ComparedSide {
  value: number;
  n: number;
  /** The same of the base model; null where the run did not score it. */
  base: number | null;
}

/** A figure of two runs; null where a run has no answers for it. */
export interface ComparedSuite {
  name: string;
  role: 'target' | 'set' | 'control' | 'task';
  unit: 'accuracy' | 'score' | 'nats';
  a: ComparedSide | null;
  b: ComparedSide | null;
  /** Over the documents that both have; null where they have none in common. */
  paired: {
    n: number;
    /** Documents that only one of the runs has. */
    unpaired: number;
    a: number;
    b: number;
    difference: number;
    /** 95 %, bootstrap over documents, and over whole templates where there are several. */
    interval: [number, number];
    templateInterval: [number, number] | null;
    /** Exact McNemar test; null for what is not right or wrong. */
    p: number | null;
    gained: number;
    lost: number;
    templates: { template: string; n: number; a: number; b: number; gained: number; lost: number }[];
    /** Ids of documents that `b` has right and `a` wrong, and the other way round. */
    flips: { gained: string[]; lost: string[] };
  } | null;
}

interface Overlap {
  a: number;
  b: number;
  both: number;
  /** Components in both over components in either; null where there are none. */
  jaccard: number | null;
}

export interface RunComparison {
  folders: [string, string];
  names: [string, string];
  /** What could not be compared and why, a line each. */
  missing: string[];
  suites: ComparedSuite[];
  /** Matched controls: gain on the target problems as a share. */
  variants: { name: string; a: number | null; b: number | null }[];
  /** Only those that differ. */
  settings: { name: string; a: string | null; b: string | null }[];
  circuit:
    | (Overlap & {
        byKind: Record<string, Overlap>;
        common: { kind: string; layer: number; index: number }[];
      })
    | null;
}

export const compare = request<{ a: string; b: string }, RunComparison>('cca/runs/compare');

/** A problem whose answer changed. */
export interface FlipRow {
  set: string;
  id: string;
  kind: 'wrong-to-right' | 'right-to-wrong';
  base: string;
  amplified: string;
}

export const flips = request<{ folder: string }, FlipRow[]>('cca/runs/flips');
/** The document of a flipped test problem with the base model's completion, made if it is not there. */
export const openFlip = request<{ folder: string; flip: FlipRow }, { file: string }>('cca/runs/openFlip');

/** A patch file. */
export interface PatchRow {
  file: string;
  name: string;
  /** Run folder that it is from; null. */
  run: string | null;
  /** Model folder that it changes; null where none with its hash is known. */
  model: string | null;
  matrices: number;
  rows: number;
  weights: number;
  created: string;
}

export const patches = request<
  { folders: string[] },
  { patches: PatchRow[]; broken: { file: string; problem: string }[] }
>('cca/patches/list');
export const exportPatches = request<
  { model: string; patches: PatchRef[]; as: 'checkpoint' | 'patch' | 'peft'; out: string },
  { out: string; rows: number }
>('cca/patches/export');
/** Takes patches out of a checkpoint that they were applied to, bit for bit, into a new folder. */
export const revertPatches = request<
  { model: string; patches: PatchRef[]; out: string },
  { out: string; hash: string | null }
>('cca/patches/revert');
export const exportPairs = request<
  { run: string; as: 'pts' | 'dpo'; out: string },
  { out: string; records: number }
>('cca/pairs/export');
