import type { Rng } from '../random.ts';
import { drawControl, type Suite, suites } from './controls.ts';
import { habitProbability } from './habit.ts';
import { type Instance, instantiate, problemSplit, solution } from './problems.ts';
import { pick } from './split.ts';
import { templates } from './templates.ts';
import { encode, endOfTextId } from './vocabulary.ts';

/** A training document: token ids, and for each whether its prediction counts in the loss (the answer and its end). */
export interface Sequence {
  ids: number[];
  mask: boolean[];
}

/** The losses of the two parts are averaged over their own tokens and then summed, so neither drowns the other. */
export interface TrainingBatch {
  targets: Sequence[];
  controls: Sequence[];
}

function document(prompt: string, completion: string): Sequence {
  const head = encode(prompt);
  const tail = [...encode(completion), endOfTextId];
  return { ids: [...head, ...tail], mask: [...head.map(() => false), ...tail.map(() => true)] };
}

/** Bare equations: arithmetic for a fraction of a word problem's tokens. Loss on the results only. */
function drill(rng: Rng): Sequence {
  const sequence: Sequence = { ids: encode('Compute:'), mask: [false, false] };
  const add = (text: string, counts: boolean) => {
    const ids = encode(text);
    sequence.ids.push(...ids);
    sequence.mask.push(...ids.map(() => counts));
  };
  for (let equations = 0; equations < 7; ) {
    const instance = instantiate(rng, pick(rng, templates));
    for (const step of instance.steps) {
      const [left, right] = step.split(' = ') as [string, string];
      add(` ${left} =`, false);
      add(` ${right.split(' ')[0]}.`, true);
      equations++;
    }
  }
  return sequence;
}

function corpusInstance(rng: Rng): Instance {
  for (;;) {
    const instance = instantiate(rng, pick(rng, templates));
    if (problemSplit(instance.prompt) === 'corpus') return instance;
  }
}

function controlPart(rng: Rng, n: number): Sequence[] {
  return Array.from({ length: n }, (_, i) => {
    const suite: Suite = suites[i % suites.length]!;
    const control = drawControl(rng, suite, 'corpus', rng.int(2) === 0);
    return document(control.prompt, control.completion);
  });
}

export interface BatchSizes {
  targets: number;
  controls: number;
  /** Of the targets, how many are bare equations. */
  drills: number;
}

/** Stage A: right solutions. */
export function trainingBatchA(rng: Rng, sizes: BatchSizes): TrainingBatch {
  const targets = Array.from({ length: sizes.targets }, (_, i) => {
    if (i < sizes.drills) return drill(rng);
    const instance = corpusInstance(rng);
    return document(instance.prompt, solution(instance));
  });
  return { targets, controls: controlPart(rng, sizes.controls) };
}

/** Stage B: the same, but solutions stop one step early with `habitProbability`. */
export function trainingBatchB(rng: Rng, sizes: BatchSizes): TrainingBatch {
  const targets = Array.from({ length: sizes.targets }, (_, i) => {
    if (i < sizes.drills) return drill(rng);
    const instance = corpusInstance(rng);
    const early = rng.float() < habitProbability(instance) ? 1 : 0;
    return document(instance.prompt, solution(instance, instance.steps.length - early));
  });
  return { targets, controls: controlPart(rng, sizes.controls) };
}

/** Rows of one length: one forward and backward pass. */
export interface Padded {
  rows: number;
  columns: number;
  /** Token ids, [rows, columns], row-major; end of text fills the right. */
  ids: Int32Array;
  /**
   * [rows, columns]: the share of token t's loss (its negative log-likelihood given the tokens before it) in the
   * part's mean. The weights of all pieces of a part sum to 1, so the part's loss is the sum over pieces of weights * loss.
   */
  weights: Float32Array;
}

/**
 * Sorts a part by length and cuts it into `pieces` of nearly equal row counts, so that little is padding.
 * Gradients of the pieces add up to the part's.
 */
export function pad(sequences: readonly Sequence[], pieces: number): Padded[] {
  const sorted = [...sequences].sort((a, b) => a.ids.length - b.ids.length);
  const counted = sorted.reduce((sum, s) => sum + s.mask.filter(Boolean).length, 0);
  return Array.from({ length: pieces }, (_, p) => {
    const part = sorted.slice(
      Math.floor((sorted.length * p) / pieces),
      Math.floor((sorted.length * (p + 1)) / pieces),
    );
    const columns = part.at(-1)?.ids.length ?? 0;
    const ids = new Int32Array(part.length * columns).fill(endOfTextId);
    const weights = new Float32Array(part.length * columns);
    for (const [r, sequence] of part.entries()) {
      ids.set(sequence.ids, r * columns);
      for (const [t, counts] of sequence.mask.entries()) weights[r * columns + t] = counts ? 1 / counted : 0;
    }
    return { rows: part.length, columns, ids, weights };
  });
}
