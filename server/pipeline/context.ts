import type { StepReport } from '../amplify/amplifier.ts';
import type { Signal } from '../control.ts';
import type { Pair, Trace } from '../data/records.ts';
import { Runner } from '../generate/forward.ts';
import { sharedPrefix } from '../generate/traces.ts';
import type { Model } from '../model/model.ts';
import { noOverlay, type Overlay } from '../model/overlay.ts';

/** How far a stage is. */
export interface StageProgress {
  event: 'progress';
  stage: string;
  /** What a person counts, in `unit`s. */
  done: number;
  total: number;
  unit: string;
  /** Part of the stage's work that is done, by the time it takes, 0 to 1. */
  share: number;
  /** Seconds to the end of the stage, or at most as many; null while unknown. */
  remaining: number | null;
  atMost?: true;
  /** Tokens of model work per second, lately. */
  tokensPerSecond?: number;
  /** What is being worked on. */
  note?: string;
}

/** What a stage tells whoever runs it, as it happens. */
export type StageEvent =
  | StageProgress
  | { event: 'trace'; trace: Trace }
  | { event: 'pair'; pair: Pair }
  | {
      event: 'mask';
      lambda: number;
      epoch: number;
      selected: number;
      margin: number;
      loss: number;
      values: number[];
    }
  | { event: 'step'; report: StepReport }
  | { event: 'notice'; level: 'info' | 'warning'; text: string }
  | { event: 'stage'; stage: string; state: 'started' | 'finished' | 'kept'; seconds: number };

/** A loaded model, asked to stop through `signal`, telling through `emit`. */
export interface StageContext {
  model: Model;
  signal: Signal;
  emit(event: StageEvent): void;
}

/** The model with and without the prompt prefix that a set of prompts shares. */
export interface Runners {
  /** For sequences that start with the shared prefix. */
  shared: Runner;
  /** For any sequence. */
  plain: Runner;
}

/**
 * Runners of a new phase of the work: the sessions of the one before make room (Model.makeRoom).
 * @param prompts token ids of ALL prompts of the run, so that the prefix does not depend on how work is cut
 */
export async function makeRunners(
  model: Model,
  prompts: readonly (readonly number[])[],
  overlay: Overlay = noOverlay,
): Promise<Runners> {
  await model.makeRoom();
  const plain = await Runner.create(model, overlay);
  // Under dynamic scaling the cache of a prefix depends on the length of the whole sequence.
  const prefix = model.config.ropeScaling.type === 'dynamic' ? [] : sharedPrefix(prompts);
  if (prefix.length === 0) return { plain, shared: plain };
  const shared = await Runner.create(model, overlay, prefix);
  // What computed the prefix is not what computes behind it.
  await model.makeRoom();
  return { plain, shared };
}

/** Consecutive pieces of at most `size` items. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
