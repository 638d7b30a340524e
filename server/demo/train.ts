/**
 * Makes the demo model: `npm run demo:train -- FOLDER`. Dense training on this engine's own graphs, from a seed, in three
 * stages (recipe.ts): right solutions, then true-or-false verdicts, then a corpus with a bad habit, so that the model knows better than it does.
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
import {
  architecture,
  seed as defaultSeed,
  embeddingDeviation,
  initialDeviation,
  optimizer,
  type Stage,
  stageA,
  stageB,
  stageVerdicts,
} from './recipe.ts';
import { makeTokenizerFiles } from './vocabulary.ts';

type Tensors = Map<string, { data: Float32Array; dims: readonly number[] }>;

/** Write a Hugging Face folder of float32 weights. */
function writeModel(folder: string, tensors: Tensors): void {
  mkdirSync(folder, { recursive: true });
  const files = { ...makeTokenizerFiles(), 'config.json': `${JSON.stringify(architecture, null, 2)}\n` };
  for (const [name, text] of Object.entries(files)) writeFileAtomic(join(folder, name), text);
  writeSafetensors(
    join(folder, 'model.safetensors'),
    [...tensors].map(([name, { data, dims }]) => ({
      name,
      dtype: 'F32' as const,
      shape: dims,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })),
    { format: 'pt' },
  );
}

/** Random weights: matrices normal (recipe.ts has the deviations), norms 1. */
function initialTensors(rng: Rng): Tensors {
  const { hidden_size: hidden, intermediate_size: neurons, head_dim: headDim } = architecture;
  const queries = architecture.num_attention_heads * headDim;
  const keys = architecture.num_key_value_heads * headDim;
  const tensors: Tensors = new Map();
  const normal = (name: string, dims: readonly [number, number], deviation: number) => {
    const draw = rng.fork(name);
    const data = Float32Array.from({ length: dims[0] * dims[1] }, () => deviation * draw.normal());
    tensors.set(name, { data, dims });
  };
  const norm = (name: string) =>
    tensors.set(name, { data: new Float32Array(hidden).fill(1), dims: [hidden] });
  normal('model.embed_tokens.weight', [architecture.vocab_size, hidden], embeddingDeviation);
  for (let layer = 0; layer < architecture.num_hidden_layers; layer++) {
    const matrix = (part: string, out: number, columns: number, writesResidual = false) =>
      normal(
        `model.layers.${layer}.${part}.weight`,
        [out, columns],
        initialDeviation(columns, writesResidual),
      );
    norm(`model.layers.${layer}.input_layernorm.weight`);
    matrix('self_attn.q_proj', queries, hidden);
    matrix('self_attn.k_proj', keys, hidden);
    matrix('self_attn.v_proj', keys, hidden);
    matrix('self_attn.o_proj', hidden, queries, true);
    norm(`model.layers.${layer}.post_attention_layernorm.weight`);
    matrix('mlp.gate_proj', neurons, hidden);
    matrix('mlp.up_proj', neurons, hidden);
    matrix('mlp.down_proj', hidden, neurons, true);
  }
  norm('model.norm.weight');
  return tensors;
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
  const tensors = initialTensors(rng.fork('initial weights'));
  writeModel(folder, tensors);
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
      {
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        eps: optimizer.epsilon,
        weightDecay: optimizer.weightDecay,
      },
    );
    const draw = rng.fork(name);
    let recent = 0;
    for (let step = 0; step < plan.steps; step++) {
      const batch = batchOf(draw, plan.sizes);
      const all = [batch.targets, batch.controls, batch.verdicts].flatMap(items);
      const result = await loss.run(
        all,
        all.map(({ labels }) => ({ kind: 'crossEntropy', labels })),
        { overlay, signal: neverAborted },
      );
      const gradients = names.map((tensor) => result.gradients.get(`dense.${tensor}`)!);
      clip(gradients, optimizer.clipNorm);
      adam.update(parameters, gradients, plan.learningRate(step), (t) => matrix[t]!);
      recent += result.loss;
      if ((step + 1) % 50 === 0) {
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(
          `stage ${name} step ${step + 1}/${plan.steps} loss ${(recent / 50).toFixed(4)} ${seconds} s`,
        );
        recent = 0;
      }
      if ((step + 1) % 200 === 0) writeModel(`${folder}-${name}`, tensors);
    }
    writeModel(`${folder}-${name}`, tensors);
  };
  await stage('A', stageA, trainingBatchA);
  await stage('verdicts', stageVerdicts, trainingBatchA);
  await stage('B', stageB, trainingBatchB);
  await model.release();
  writeModel(folder, tensors);
}

const [folder, seed = defaultSeed, threads = '1'] = process.argv.slice(2);
if (!folder) {
  console.error('usage: demo:train FOLDER [SEED] [THREADS]');
  process.exit(2);
}
await train(folder, seed, Number(threads));
