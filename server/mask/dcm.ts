import type { Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import { Adam } from '../optimize/adam.ts';
import { bytesOf, packState, setBytes, unpackState } from '../optimize/state.ts';
import { Rng } from '../random.ts';
import type { MaskSteps, TokenPairing } from './step.ts';

/** Desiderata-based component masking (arXiv 2307.03637) as the CCA paper sets it up (arXiv 2512.16914, section 3). */
export interface DcmOptions {
  /** Weight of the sum of |m|. */
  lambda: number;
  /** Adam's learning rate; times 0.9 every 5 epochs. */
  learningRate: number;
  /** Pairs per batch. */
  batch: number;
  /** At most this many passes over the pairs. */
  epochs: number;
  pairing: TokenPairing;
  seed: number;
}

export interface DcmProgress {
  epoch: number;
  epochs: number;
  batch: number;
  batches: number;
  loss: number;
  /** Mean logit[desired] - logit[undesired] over the batch, masked. */
  margin: number;
  /** Components whose mask rounds to 1. */
  selected: number;
  mask: Float32Array;
  /** Steps taken, in a search for lambda over all its trainings. */
  steps: number;
  /** Steps to come: those that are expected where another training has ended, else as many as there can be. */
  left: number;
  atMost: boolean;
}

export interface LearnedMask {
  /** Flat, by ComponentSpace, in [0, 1]. */
  mask: Float32Array;
  selected: number;
  steps: number;
  epochs: number;
  /** The rounded count had stopped changing. */
  converged: boolean;
}

/** Python's round() sends 0.5 to 0. */
export const isSelected = (m: number): boolean => m > 0.5;

const countSelected = (mask: Float32Array): number => mask.reduce((n, m) => n + Number(isSelected(m)), 0);

/** Whom learning tells, and what an interrupted one goes on from. */
export interface DcmHooks<P = DcmProgress> {
  signal: Signal;
  onProgress?: (progress: P) => void;
  /** Of an earlier session that was interrupted: it goes on where that one had come to, to the same mask. */
  saved?: Uint8Array | null;
  /** Gets the state after every epoch. */
  save?: (state: Uint8Array) => void;
}

/** State after an epoch, beside the mask and the optimiser's. */
interface SavedEpoch {
  epoch: number;
  selected: number;
  unchanged: number;
  done: number;
}

/** Learn one real number in [0, 1] per component; the circuit is what rounds to 1. */
export async function learnMask(
  steps: MaskSteps,
  options: DcmOptions,
  { signal, onProgress, saved, save }: DcmHooks,
): Promise<LearnedMask> {
  const { size } = steps.space;
  const mask = new Float32Array(size).fill(1);
  const gate = new Float32Array(size);
  const gradient = new Float32Array(size);
  const adam = new Adam([size]);
  const batches = Math.ceil(steps.pairs.length / options.batch);
  const patience = Math.max(1, Math.ceil(0.2 * batches));
  const rng = new Rng(options.seed).fork('mask');
  let selected = size;
  let unchanged = 0;
  let done = 0;
  let first = 0;
  if (saved) {
    const { head, parts } = unpackState<SavedEpoch>(saved);
    ({ selected, unchanged, done } = head);
    first = head.epoch + 1;
    setBytes(mask, parts[0]!);
    adam.restore(parts[1]!);
  }
  for (let epoch = first; epoch < options.epochs; epoch++) {
    const order = steps.pairs.map((_, i) => i);
    rng.fork(`epoch ${epoch}`).shuffle(order);
    const rate = options.learningRate * 0.9 ** Math.floor(epoch / 5);
    for (let b = 0; b < batches; b++) {
      const batch = order.slice(b * options.batch, (b + 1) * options.batch);
      for (let i = 0; i < size; i++) gate[i] = 2 * mask[i]!;
      const { loss, margins, gradients } = await steps.run(batch, gate, { pairing: options.pairing, signal });
      gradient.fill(0);
      for (let p = 0; p < batch.length; p++) {
        for (let i = 0; i < size; i++) gradient[i] = gradient[i]! + gradients[p * size + i]!;
      }
      let penalty = 0;
      for (let i = 0; i < size; i++) {
        penalty += mask[i]!;
        // d/dm = 2 d/dgate, mean over the batch; |m| is m on [0, 1], with subgradient 0 at 0 as in torch.
        gradient[i] = (2 * gradient[i]!) / batch.length + options.lambda * Math.sign(mask[i]!);
      }
      adam.update([mask], [gradient], rate);
      for (let i = 0; i < size; i++) mask[i] = Math.min(1, Math.max(0, mask[i]!));
      done++;
      const count = countSelected(mask);
      unchanged = count === selected ? unchanged + 1 : 0;
      selected = count;
      onProgress?.({
        epoch,
        epochs: options.epochs,
        batch: b,
        batches,
        loss: loss + options.lambda * penalty,
        margin: margins.reduce((sum, m) => sum + m, 0) / batch.length,
        selected,
        mask,
        steps: done,
        left: options.epochs * batches - done,
        atMost: true,
      });
      // Before anything has been dropped the count stands still too.
      if (unchanged >= patience && selected < size)
        return { mask, selected, steps: done, epochs: epoch + 1, converged: true };
    }
    const state: SavedEpoch = { epoch, selected, unchanged, done };
    save?.(packState(state, [bytesOf(mask), adam.save()]));
  }
  return { mask, selected, steps: done, epochs: options.epochs, converged: false };
}

/** Doublings or halvings of lambda at most, bisections at most, and the ratio of two lambdas that ends them. */
const BRACKETING = 8;
const BISECTIONS = 4;
const CLOSE = 1.05;
/** Trainings that a search of which nothing is known is expected to take. */
export const FIRST_TRIALS = 8;

/** Doublings or halvings that still bring the count to the budget, if it goes on as in the last two trials, or as 1 / lambda. */
function expectedBracketing(trials: readonly BudgetTrial[], budget: number): number {
  const last = trials.at(-1)!;
  const before = trials.at(-2);
  const perDoubling = before
    ? Math.log(Math.max(1, before.selected) / Math.max(1, last.selected)) /
      Math.log(last.lambda / before.lambda)
    : 1;
  const wanted = Math.abs(Math.log2(Math.max(1, last.selected) / budget));
  return Math.max(1, Math.ceil(wanted / Math.max(0.1, perDoubling)));
}

/** What a search for lambda tried. */
export interface BudgetTrial {
  lambda: number;
  selected: number;
}

type Trained = LearnedMask & { lambda: number };

/** State of a search: the trainings that have ended, which of them is the best, and after its mask the state of the one at work. */
interface SavedSearch {
  finished: Omit<Trained, 'mask'>[];
  best: number | null;
}

/**
 * Learn the mask that selects as many components as a budget allows: lambda is doubled or halved until two values
 * bracket the budget, then bisected on a log scale.
 * @param budget components at most
 * @returns the mask with the most components within the budget, and every lambda tried
 * @throws InputError where no lambda tried selects any number within the budget
 */
export async function learnMaskWithin(
  steps: MaskSteps,
  budget: number,
  options: DcmOptions,
  hooks: DcmHooks<DcmProgress & { lambda: number }>,
): Promise<Trained & { trials: BudgetTrial[] }> {
  const trials: BudgetTrial[] = [];
  const saved = hooks.saved ? unpackState<SavedSearch>(hooks.saved) : null;
  const finished: SavedSearch['finished'] = [];
  let best = null as Trained | null;
  const save = (atWork: readonly Uint8Array[]) => {
    const { lambda, mask } = best ?? {};
    const at = finished.findIndex((trained) => trained.lambda === lambda);
    const state: SavedSearch = { finished, best: best && at };
    hooks.save?.(packState(state, [...(mask ? [bytesOf(mask)] : []), ...atWork]));
  };
  const replayed = saved?.head.finished.length ?? 0;
  let taken = 0;
  /** @param ahead trainings that are expected after this one */
  const train = async (lambda: number, ahead: number): Promise<Trained> => {
    const at = trials.length;
    if (saved && at < replayed) {
      const mask = new Float32Array(steps.space.size);
      // Only the best of them is asked for its mask.
      if (saved.head.best === at) setBytes(mask, saved.parts[0]!);
      return { ...saved.head.finished[at]!, mask };
    }
    const interrupted = at === replayed ? saved?.parts[saved.head.best === null ? 0 : 1] : null;
    const learned = await learnMask(
      steps,
      { ...options, lambda },
      {
        signal: hooks.signal,
        onProgress: (progress) => {
          // The first may take all its steps; others are expected to take as many as those before them.
          const { steps: now, left: most } = progress;
          const each = at === 0 ? now + most : taken / at;
          const left = Math.min(most, Math.max(1, each - now)) + ahead * each;
          hooks.onProgress?.({ ...progress, lambda, steps: taken + now, left, atMost: at === 0 });
        },
        saved: interrupted ?? null,
        save: (state) => save([state]),
      },
    );
    return { ...learned, lambda };
  };
  const attempt = async (lambda: number, ahead: number) => {
    const learned = await train(lambda, ahead);
    taken += learned.steps;
    const { mask: _, ...figures } = learned;
    const { selected } = figures;
    trials.push({ lambda, selected });
    finished.push(figures);
    if (selected <= budget && selected > (best?.selected ?? 0)) best = learned;
    if (trials.length > replayed) save([]);
    return selected;
  };
  let low = options.lambda;
  let high = options.lambda;
  const within = (count: number) => count <= budget;
  let count = await attempt(options.lambda, FIRST_TRIALS - 1);
  const factor = within(count) ? 1 / 2 : 2;
  for (let i = 0; i < BRACKETING && within(count) === factor < 1 && count !== budget; i++) {
    if (factor < 1) [low, high] = [low * factor, low];
    else [low, high] = [high, high * factor];
    const ahead = Math.min(BRACKETING - i, expectedBracketing(trials, budget)) - 1 + BISECTIONS;
    count = await attempt(factor < 1 ? low : high, ahead);
  }
  for (let i = 0; i < BISECTIONS && high / low > CLOSE && best?.selected !== budget; i++) {
    const middle = Math.sqrt(low * high);
    const halvings = Math.ceil(Math.log2(Math.log(high / low) / Math.log(CLOSE)));
    if (within(await attempt(middle, Math.min(BISECTIONS - i, halvings) - 1))) high = middle;
    else low = middle;
  }
  if (!best) {
    const range = (of: readonly number[]) => `${Math.min(...of)} to ${Math.max(...of)}`;
    const tried = `from ${range(trials.map((t) => t.lambda))} (they select ${range(trials.map((t) => t.selected))})`;
    throw new InputError(
      '--budget',
      `no lambda tried selects 1 to ${budget} components, ${tried}`,
      'Raise it, allow more --epochs, or give a --lambda in its place.',
    );
  }
  return { ...best, trials };
}
