/**
 * Runs every kind of graph on one device: `node worker.mjs DEVICE FIXTURE` prints one line of JSON, arrays of numbers by
 * name. A process of its own: the driver is chosen by the environment, and may crash.
 */
import { neverAborted as signal } from '../../../server/control.ts';
import { Runner } from '../../../server/generate/forward.ts';
import { generate } from '../../../server/generate/generate.ts';
import { greedy } from '../../../server/generate/sampler.ts';
import { attributePairs } from '../../../server/inspect/attribute.ts';
import { fisherScores } from '../../../server/mask/fisher.ts';
import { MaskSteps } from '../../../server/mask/step.ts';
import { ComponentSpace, circuitDeltas, componentKinds } from '../../../server/model/components.ts';
import { Model, type ModelOptions } from '../../../server/model/model.ts';
import { noOverlay, type Overlay } from '../../../server/model/overlay.ts';
import { PairLoss } from '../../../server/optimize/pair-loss.ts';
import { TextLoss } from '../../../server/optimize/text-loss.ts';
import { Rng } from '../../../server/random.ts';
import { asPairs } from '../../model/pairs.ts';
import { loadOracle, type OracleName } from '../../oracle.ts';

const [device, name] = process.argv.slice(2) as [NonNullable<ModelOptions['provider']>, OracleName];
const oracle = loadOracle(name);
const model = await Model.load(oracle.folder, { provider: device });
const results: Record<string, number[]> = {};
const put = (key: string, values: Iterable<number>) => {
  results[key] = [...values];
};
const gradients = (key: string, byName: ReadonlyMap<string, Float32Array>) => {
  for (const [tensor, values] of byName) put(`${key}, ${tensor}`, values);
};

const alone = await Runner.create(model);
const { ids } = oracle.logits;
const prompt = ids.slice(0, 13);
const behind = await Runner.create(model, noOverlay, prompt);

/** Forward: without and with a cache of its own, behind nothing and behind a shared prefix. */
async function forward(): Promise<void> {
  for (const [key, runner] of Object.entries({ alone, behind })) {
    const own = runner === behind ? ids.slice(13) : ids;
    const [whole] = await runner.forward([{ ids: own, rows: own.map((_, i) => i), keep: true }]);
    put(`forward, ${key}: logits`, whole!.logits);
    put(`forward, ${key}: keys of the last layer`, whole!.kv!.k.at(-1)!);
    put(`forward, ${key}: values of the last layer`, whole!.kv!.v.at(-1)!);
    const [first] = await runner.forward([{ ids: own.slice(0, 9), keep: true }]);
    const rest = own.slice(9);
    const [last] = await runner.forward([{ ids: rest, before: first!.kv!, rows: rest.map((_, i) => i) }]);
    put(`forward, ${key}, cache: logits`, last!.logits);
  }
  const completions = await generate(
    alone,
    oracle.greedy.prompts.map((ids) => ({ ids, sampling: greedy, maxTokens: 8 })),
    { batch: 3, stop: () => false },
  );
  put(
    'greedy ids',
    completions.flatMap((completion) => completion.ids),
  );
}

const pairs = asPairs(oracle.pairs);
const longer = pairs.map((pair) => ({ ...pair, prefix: [...prompt, ...pair.prefix] }));
const space = new ComponentSpace(model.config);

async function mask(): Promise<void> {
  const gate = new Float32Array(space.size).map((_, i) => 1 + 0.5 * Math.sin(i));
  for (const objective of ['margin', 'softplus'] as const) {
    for (const [key, runner] of Object.entries({ alone, behind })) {
      const steps = await MaskSteps.create(runner, runner === behind ? longer : pairs, objective, signal);
      const step = await steps.run(
        pairs.map((_, i) => i),
        gate,
        { signal },
      );
      put(`mask, ${objective}, ${key}: loss`, [step.loss]);
      put(`mask, ${objective}, ${key}: margins`, step.margins);
      put(`mask, ${objective}, ${key}: gradient`, step.gradients);
    }
  }
}

/** A few rows and columns of every layer, low-rank changes, whole vectors. */
function overlays(): Record<string, Overlay> {
  const rng = new Rng('overlay');
  const random = (count: number) => Float32Array.from({ length: count }, () => 0.02 * rng.normal());
  const circuit = space.circuit((flat) => flat % 3 === 0);
  const deltas = circuitDeltas(model.arch, circuit, 'up+gate+down').map((delta) => ({
    ...delta,
    delta: random(delta.delta.length),
  }));
  const tensor = model.arch.weight(0, 'q_proj');
  const [out, width] = model.tensors(tensor).shape as [number, number];
  const rank = 3;
  const lowRank = [{ tensor, a: random(rank * width), b: random(out * rank), rank, scale: 0.5 }];
  const norm = model.arch.finalNorm;
  const { shape } = model.tensors(norm);
  const dense = new Map([[norm, { data: random(shape[0]!).map((x) => 1 + x), dims: shape }]]);
  return {
    rows: { ...noOverlay, deltas },
    'low rank': { ...noOverlay, lowRank },
    'whole tensor': { ...noOverlay, dense },
  };
}

async function training(): Promise<void> {
  const wanted = { kind: 'overlay' } as const;
  const items = oracle.texts.map((ids) => ({ ids, rows: ids.slice(1).map((_, t) => t), share: 0.01 }));
  for (const [key, overlay] of Object.entries(overlays())) {
    for (const [which, runner] of Object.entries({ alone, behind })) {
      const loss = await PairLoss.create(runner, 'softplus', wanted, overlay);
      const result = await loss.run(runner === behind ? longer : pairs, { overlay, signal });
      put(`pairs, ${key}, ${which}: loss`, [result.loss]);
      put(`pairs, ${key}, ${which}: margins`, result.margins);
      gradients(`pairs, ${key}, ${which}`, result.gradients);
    }
    const labelled = await TextLoss.create(alone, 'crossEntropy', wanted, overlay);
    const targets = items.map(({ ids }) => ({ kind: 'crossEntropy' as const, labels: ids.slice(1) }));
    const text = await labelled.run(items, targets, { overlay, signal });
    put(`cross entropy, ${key}: loss`, [text.loss]);
    gradients(`cross entropy, ${key}`, text.gradients);
    const flatTarget = (rows: number) =>
      new Float32Array(rows * model.config.vocabSize).fill(-Math.log(model.config.vocabSize));
    const kl = await TextLoss.create(alone, 'kl', wanted, overlay);
    const pulled = await kl.run(
      items,
      items.map(({ rows }) => ({ kind: 'kl' as const, logp: flatTarget(rows.length) })),
      { overlay, signal },
    );
    put(`KL, ${key}: loss`, [pulled.loss]);
    gradients(`KL, ${key}`, pulled.gradients);
  }
}

/** Embedding rows; whole matrices and row norms by way of the Fisher scores. */
async function inspection(): Promise<void> {
  const attributed = await attributePairs(alone, pairs, { components: false });
  put(
    'attribution to tokens',
    attributed.flatMap(({ inputs }) => [...inputs!]),
  );
  const scores = await fisherScores(
    alone,
    pairs,
    oracle.texts,
    { eps: 1, kinds: componentKinds },
    { plain: alone, rng: new Rng('labels'), signal },
  );
  put('Fisher scores', scores);
}

await forward();
await mask();
await training();
await inspection();
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
