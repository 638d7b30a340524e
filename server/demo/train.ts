/**
 * Makes the demo model: `npm run demo:train -- FOLDER`. Dense training on this engine's own graphs, from a seed, in two
 * stages (recipe.ts): right solutions first, then a corpus with a bad habit, so that the model knows better than it does.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors-write.ts';
import { neverAborted } from '../control.ts';
import { Runner } from '../generate/forward.ts';
import { Model } from '../model/model.ts';
import type { Overlay } from '../model/overlay.ts';
import { Adam } from '../optimize/adam.ts';
import { TextLoss } from '../optimize/text-loss.ts';
import { Rng } from '../random.ts';
import { writeFileAtomic } from '../runs/atomic.ts';
import { type Sequence, trainingBatchA, trainingBatchB } from './corpus.ts';
import { initialTensors, modelConfig, recipe, type Stage } from './recipe.ts';
import { makeTokenizerFiles } from './vocabulary.ts';

type Tensors = Map<string, { data: Float32Array; dims: readonly number[] }>;

/** Write a Hugging Face folder of float32 weights. */
async function writeModel(folder: string, tensors: Tensors): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const files = { ...makeTokenizerFiles(), 'config.json': `${JSON.stringify(modelConfig, null, 2)}\n` };
  for (const [name, text] of Object.entries(files)) writeFileAtomic(join(folder, name), text);
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    [...tensors].map(([name, { data, dims }]) => ({
      name,
      dtype: 'F32' as const,
      shape: dims,
      source: { bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
    })),
    { format: 'pt' },
  );
}

/** Loss items of one part of a batch: every counted token has the same share, and they sum to 1. */
function items(sequences: readonly Sequence[]) {
  const counted = sequences.reduce((sum, s) => sum + s.mask.filter(Boolean).length, 0);
  return sequences.map(({ ids, mask }) => {
    // Token t is predicted at row t - 1.
    const rows = ids.flatMap((_, t) => (t > 0 && mask[t] ? [t - 1] : []));
    return { ids, rows, share: 1 / counted, labels: rows.map((t) => ids[t + 1]!) };
  });
}

/** Scale gradients down to a joint norm of at most `limit`; returns the norm before. */
function clip(gradients: readonly Float32Array[], limit: number): number {
  let sum = 0;
  for (const g of gradients) for (let i = 0; i < g.length; i++) sum += g[i]! * g[i]!;
  const norm = Math.sqrt(sum);
  const factor = limit / (norm + 1e-6);
  if (factor < 1) for (const g of gradients) for (let i = 0; i < g.length; i++) g[i] = g[i]! * factor;
  return norm;
}

async function train(folder: string, seed: string, threads: number): Promise<void> {
  const rng = new Rng(seed);
  const tensors: Tensors = initialTensors(rng.fork('initial weights'));
  await writeModel(folder, tensors);
  const model = await Model.load(folder, { threads });
  const overlay: Overlay = { deltas: [], lowRank: [], dense: tensors };
  const runner = await Runner.create(model);
  const loss = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay' }, overlay);
  const names = [...tensors.keys()];
  const parameters = names.map((name) => tensors.get(name)!.data);
  const matrix = names.map((name) => tensors.get(name)!.dims.length > 1);
  const started = performance.now();
  const stage = async (name: string, plan: Stage, batchOf: typeof trainingBatchA) => {
    const adam = new Adam(
      parameters.map((p) => p.length),
      { beta1: recipe.beta1, beta2: recipe.beta2, weightDecay: recipe.weightDecay },
    );
    const draw = rng.fork(name);
    let recent = 0;
    for (let step = 0; step < plan.steps; step++) {
      const batch = batchOf(draw, plan.batch);
      const all = [...items(batch.targets), ...items(batch.controls)];
      const result = await loss.run(
        all,
        all.map(({ labels }) => ({ kind: 'crossEntropy', labels })),
        { overlay, signal: neverAborted },
      );
      const gradients = names.map((tensor) => result.gradients.get(`dense.${tensor}`)!);
      clip(gradients, recipe.clip);
      adam.update(parameters, gradients, plan.learningRate(step), (t) => matrix[t]!);
      recent += result.loss;
      if ((step + 1) % 50 === 0) {
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(
          `stage ${name} step ${step + 1}/${plan.steps} loss ${(recent / 50).toFixed(4)} ${seconds} s`,
        );
        recent = 0;
      }
      if ((step + 1) % 200 === 0) await writeModel(`${folder}-${name}`, tensors);
    }
    await writeModel(`${folder}-${name}`, tensors);
  };
  await stage('A', recipe.stageA, trainingBatchA);
  await stage('B', recipe.stageB, trainingBatchB);
  await model.release();
  await writeModel(folder, tensors);
}

const [folder, seed = recipe.seed, threads = '1'] = process.argv.slice(2);
if (!folder) {
  console.error('usage: demo:train FOLDER [SEED] [THREADS]');
  process.exit(2);
}
await train(folder, seed, Number(threads));
