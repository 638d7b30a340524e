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

/** The losses of the parts are averaged over their own tokens and then summed, so none drowns the others. */
export interface TrainingBatch {
  targets: Sequence[];
  controls: Sequence[];
  /** True-or-false items of which only the verdict counts. */
  verdicts: Sequence[];
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

/** The verdict is one token among a control's several: with no loss of its own it stays at chance. */
function verdictPart(rng: Rng, n: number): Sequence[] {
  return Array.from({ length: n }, (_, i) => {
    const { prompt, completion } = drawControl(rng, 'truth', 'corpus', i % 2 === 0);
    const { ids } = document(prompt, completion);
    // ..., so true <|endoftext|>
    return { ids, mask: ids.map((_, t) => t === ids.length - 2) };
  });
}

export interface BatchSizes {
  targets: number;
  controls: number;
  verdicts: number;
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
  return {
    targets,
    controls: controlPart(rng, sizes.controls),
    verdicts: verdictPart(rng, sizes.verdicts),
  };
}

/** Stage B: the same, but solutions stop one step early with `habitProbability`. */
export function trainingBatchB(rng: Rng, sizes: BatchSizes): TrainingBatch {
  const targets = Array.from({ length: sizes.targets }, (_, i) => {
    if (i < sizes.drills) return drill(rng);
    const instance = corpusInstance(rng);
    const early = rng.float() < habitProbability(instance) ? 1 : 0;
    return document(instance.prompt, solution(instance, instance.steps.length - early));
  });
  return {
    targets,
    controls: controlPart(rng, sizes.controls),
    verdicts: verdictPart(rng, sizes.verdicts),
  };
}
