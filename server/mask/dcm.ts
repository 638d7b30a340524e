import type { Signal } from '../control.ts';
import { Adam } from '../optimize/adam.ts';
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

/** Learn one real number in [0, 1] per component; the circuit is what rounds to 1. */
export async function learnMask(
  steps: MaskSteps,
  options: DcmOptions,
  { signal, onProgress }: { signal: Signal; onProgress?: (progress: DcmProgress) => void },
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
  for (let epoch = 0; epoch < options.epochs; epoch++) {
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
      });
      // Before anything has been dropped the count stands still too.
      if (unchanged >= patience && selected < size)
        return { mask, selected, steps: done, epochs: epoch + 1, converged: true };
    }
  }
  return { mask, selected, steps: done, epochs: options.epochs, converged: false };
}

/** What a search for lambda tried. */
export interface BudgetTrial {
  lambda: number;
  selected: number;
}

/**
 * Learn the mask that selects as many components as a budget allows: lambda is doubled or halved until two values
 * bracket the budget, then bisected on a log scale.
 * @param budget components at most
 * @returns the mask with the most components within the budget, and every lambda tried
 */
export async function learnMaskWithin(
  steps: MaskSteps,
  budget: number,
  options: DcmOptions,
  hooks: { signal: Signal; onProgress?: (progress: DcmProgress & { lambda: number }) => void },
): Promise<LearnedMask & { lambda: number; trials: BudgetTrial[] }> {
  const trials: BudgetTrial[] = [];
  const fitting: (LearnedMask & { lambda: number })[] = [];
  const best = () =>
    fitting.reduce<(LearnedMask & { lambda: number }) | null>(
      (a, b) => (a && a.selected >= b.selected ? a : b),
      null,
    );
  const attempt = async (lambda: number) => {
    const learned = await learnMask(
      steps,
      { ...options, lambda },
      { signal: hooks.signal, onProgress: (progress) => hooks.onProgress?.({ ...progress, lambda }) },
    );
    trials.push({ lambda, selected: learned.selected });
    if (learned.selected > 0 && learned.selected <= budget) fitting.push({ ...learned, lambda });
    return learned.selected;
  };
  let low = options.lambda;
  let high = options.lambda;
  const within = (count: number) => count <= budget;
  let count = await attempt(options.lambda);
  const factor = within(count) ? 1 / 2 : 2;
  for (let i = 0; i < 8 && within(count) === factor < 1 && count !== budget; i++) {
    if (factor < 1) [low, high] = [low * factor, low];
    else [low, high] = [high, high * factor];
    count = await attempt(factor < 1 ? low : high);
  }
  for (let i = 0; i < 4 && high / low > 1.05 && best()?.selected !== budget; i++) {
    const middle = Math.sqrt(low * high);
    if (within(await attempt(middle))) high = middle;
    else low = middle;
  }
  const chosen = best();
  if (!chosen) {
    const least = Math.min(...trials.map((t) => t.selected));
    throw new Error(
      `no lambda from ${trials[0]!.lambda} to ${high} selects 1 to ${budget} components (least ${least})`,
    );
  }
  return { ...chosen, trials };
}
