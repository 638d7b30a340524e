/** The benchmark's cases on the random model, each beside its PyTorch peer where there is one. */
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { generate } from '../../server/generate/generate.ts';
import { greedy } from '../../server/generate/sampler.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { ComponentSpace, circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay, type Overlay } from '../../server/model/overlay.ts';
import { PairLoss } from '../../server/optimize/pair-loss.ts';
import { Rng } from '../../server/random.ts';
import { digits, median, type Report, ratio, spread, time } from './measure.ts';
import { randomIds, randomPairs } from './pairs.ts';
import type { Shape } from './shape.ts';
import type { Torch } from './torch.ts';

const signal = neverAborted;

export interface Bench {
  folder: string;
  shape: Shape;
  threads: number;
  repeats: number;
  torch: Torch | null;
  /** Sequences at a time in PyTorch's whole-prefix mask step; 0: the whole batch. */
  torchMicroBatch: number;
  report: Report;
}

/** Every case opens the model anew, so that no case pays for another's memory. */
async function withModel(bench: Bench, use: (model: Model) => Promise<void>): Promise<void> {
  const model = await Model.load(bench.folder, { threads: bench.threads });
  try {
    await use(model);
  } finally {
    await model.release();
  }
}

/** One position per prefix against cached keys and values, beside whole prefixes forward and backward. */
export function mask(bench: Bench): Promise<void> {
  const { shape, report, repeats, torch, torchMicroBatch } = bench;
  const { batch, maskTokens, vocab } = shape;
  return withModel(bench, async (model) => {
    report.heading(`Mask step: batch ${batch}, prefixes of ${maskTokens} tokens`);
    const rng = new Rng('mask');
    // More pairs than a batch: no step finds the last one's keys and values in the processor's cache, as in training.
    const pairs = randomPairs(rng, { count: 2 * batch, tokens: maskTokens, vocab });
    const begin = performance.now();
    const steps = await MaskSteps.create(await Runner.create(model), pairs, 'margin', signal);
    const gate = new Float32Array(steps.space.size).map(() => 2 * rng.float());
    report.line(
      'prefixes, once',
      `${spread([(performance.now() - begin) / 1000])} s for ${pairs.length} pairs`,
    );
    const ours = await time(
      () => steps.run(rng.shuffle(pairs.map((_, i) => i)).slice(0, batch), gate, { signal }),
      { repeats: 10 * repeats, warmUp: 3 },
    );
    report.line('ours, seconds', spread(ours));
    if (!torch) return;
    const peer = (attention: 'eager' | 'fused') =>
      torch.run('mask', repeats, ['--micro-batch', String(torchMicroBatch), '--attention', attention])[0]!
        .seconds;
    // As the reference's models compute it, attention and norm step by step; and the best that PyTorch has.
    const naive = peer('eager');
    const fused = peer('fused');
    report.line('PyTorch, whole prefixes, seconds', spread(naive));
    report.line('PyTorch, whole prefixes, fused attention and norm, seconds', spread(fused));
    report.line('PyTorch, same trick, seconds', spread(torch.run('mask_cached', repeats)[0]!.seconds));
    const { text, value } = ratio(naive, ours);
    report.judged('times the whole-prefix step', text, value, { atLeast: 500 });
    // The peer's runs lie far apart, and other load can only slow one down: the fairest is its fastest.
    const least = Math.min(...naive) / median(ours);
    report.line('times its fastest', digits(least));
    report.line('times the fused whole-prefix step', ratio(fused, ours).text);
  });
}

/** Rows of `neurons` random MLP neurons and `heads` heads of each kind, in the layers from `lowest` on. */
function rowsOverlay(
  model: Model,
  { lowest, neurons, heads }: { lowest: number; neurons: number; heads: number },
): Overlay {
  const { numLayers, intermediateSize } = model.config;
  const rng = new Rng('circuit');
  const space = new ComponentSpace(model.config);
  const chosen = new Set<number>();
  const layers = numLayers - lowest;
  for (let i = 0; i < neurons; i++) {
    const layer = lowest + (i % layers);
    for (;;) {
      const flat = space.offset('mlp', layer) + rng.int(intermediateSize);
      if (chosen.has(flat)) continue;
      chosen.add(flat);
      break;
    }
  }
  for (const kind of ['q', 'k', 'v'] as const) {
    for (let layer = lowest; layer < numLayers; layer++) {
      for (let head = 0; head < heads; head++) chosen.add(space.offset(kind, layer) + head);
    }
  }
  const circuit = space.circuit((flat) => chosen.has(flat));
  return { ...noOverlay, deltas: circuitDeltas(model.arch, circuit, 'up') };
}

/** An update step of pairs whose prompt runs once, beside the same step with every prefix on its own. */
export function shared(bench: Bench): Promise<void> {
  const { shape, report, repeats, torch } = bench;
  const { batch, sharedTokens, suffixTokens, vocab, layers } = shape;
  return withModel(bench, async (model) => {
    report.heading(`Update step: prompt of ${sharedTokens} tokens, ${batch} suffixes of ${suffixTokens}`);
    const rng = new Rng('shared');
    const prompt = randomIds(rng, sharedTokens, vocab);
    const pairs = randomPairs(rng, { count: batch, prompt, tokens: suffixTokens, vocab });
    const lowest = layers / 2;
    const overlay = rowsOverlay(model, { lowest, neurons: 25, heads: 0 });
    const behind = await Runner.create(model, noOverlay, prompt);
    const alone = await Runner.create(model);
    const losses = {
      alone: await PairLoss.create(alone, 'softplus', { kind: 'overlay' }, overlay),
      behind: await PairLoss.create(behind, 'softplus', { kind: 'overlay' }, overlay),
    };
    const step = (which: keyof typeof losses) => () => losses[which].run(pairs, { overlay, signal });
    const differ = relative((await step('behind')()).gradients, (await step('alone')()).gradients);
    const unshared = await time(step('alone'), { repeats, warmUp: 0 });
    const once = await time(step('behind'), { repeats, warmUp: 0 });
    report.line('rows', `25 neurons of layers ${lowest} to ${layers - 1}`);
    report.line('every prefix on its own, seconds', spread(unshared));
    report.line('the prompt once, seconds', spread(once));
    report.line(
      'largest difference between the gradients',
      `${differ.toExponential(1)} of the largest entry`,
    );
    const { text, value } = ratio(unshared, once);
    report.judged('times the unshared step', text, value, { atLeast: 2.5 });
    if (!torch) return;
    const peer = torch.run('shared', repeats, ['--lowest-layer', String(lowest)])[0]!.seconds;
    report.line('PyTorch, every prefix on its own, seconds', spread(peer));
    report.line('times PyTorch', ratio(peer, once).text);
  });
}

function relative(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): number {
  let difference = 0;
  let largest = 0;
  for (const [name, values] of b) {
    const other = a.get(name)!;
    for (let i = 0; i < values.length; i++) {
      difference = Math.max(difference, Math.abs(values[i]! - other[i]!));
      largest = Math.max(largest, Math.abs(values[i]!));
    }
  }
  return difference / largest;
}

/** Gradients of selected rows of all layers, nothing shared. */
export function rows(bench: Bench): Promise<void> {
  const { shape, report, repeats, torch } = bench;
  const { batch, rowTokens, vocab, layers } = shape;
  return withModel(bench, async (model) => {
    report.heading(`Row-gradient step: ${batch} x ${rowTokens} tokens, all layers`);
    const pairs = randomPairs(new Rng('rows'), { count: batch, tokens: rowTokens, vocab });
    const overlay = rowsOverlay(model, { lowest: 0, neurons: 64 * layers, heads: 1 });
    const loss = await PairLoss.create(await Runner.create(model), 'margin', { kind: 'overlay' }, overlay);
    const ours = await time(() => loss.run(pairs, { overlay, signal }), { repeats });
    report.line('ours, seconds', spread(ours));
    if (!torch) return;
    const peer = torch.run('rows', repeats)[0]!.seconds;
    report.line('PyTorch, seconds', spread(peer));
    report.line('times PyTorch', ratio(peer, ours).text);
  });
}

/** Greedy completions of random prompts; seconds from the first decoded token of each sequence to the last. */
export async function decodeSeconds(
  model: Model,
  { promptTokens, newTokens }: Pick<Shape, 'promptTokens' | 'newTokens'>,
  batch: number,
): Promise<number> {
  const vocab = model.config.vocabSize;
  const rng = new Rng(`decode ${batch}`);
  const runner = await Runner.create(model);
  let first = 0;
  await generate(
    runner,
    Array.from({ length: batch }, () => ({
      ids: randomIds(rng, promptTokens, vocab),
      sampling: greedy,
      // The prompt's last token is fed by the first decoding step, which is not counted.
      maxTokens: newTokens + 1,
    })),
    {
      batch,
      stop: () => false,
      onTokens: (total) => {
        if (total === batch) first = performance.now();
      },
    },
  );
  return (performance.now() - first) / 1000;
}

export function decode(bench: Bench): Promise<void> {
  const { shape, report, repeats, torch } = bench;
  const { promptTokens, newTokens, decodeBatches } = shape;
  return withModel(bench, async (model) => {
    report.heading(`Greedy decoding: ${newTokens} tokens after a prompt of ${promptTokens}`);
    const peers = torch?.run('decode', repeats) ?? [];
    for (const batch of decodeBatches) {
      await decodeSeconds(model, shape, batch);
      const ours: number[] = [];
      for (let i = 0; i < repeats; i++) ours.push(await decodeSeconds(model, shape, batch));
      const rate = (seconds: number) => (batch * newTokens) / seconds;
      report.line(`batch ${batch}, ours, tokens/s`, spread(ours, rate));
      const peer = peers.find((p) => p.batch === batch)?.seconds;
      if (!peer) continue;
      report.line(`batch ${batch}, PyTorch, tokens/s`, spread(peer, rate));
      report.line(`batch ${batch}, times PyTorch`, ratio(peer, ours).text);
    }
  });
}
