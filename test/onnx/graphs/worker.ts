/**
 * Runs every kind of graph of several models on one device: `node worker.mjs DEVICE FIXTURE...` prints one line of JSON a
 * model (Outcome). A process of its own: the driver is chosen by the environment, and may crash. One for all models: most of
 * the time goes into compiling shaders, which they share.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ort from 'onnxruntime-node';
import { neverAborted as signal } from '../../../server/control.ts';
import { Runner } from '../../../server/generate/forward.ts';
import { generate } from '../../../server/generate/generate.ts';
import { greedy } from '../../../server/generate/sampler.ts';
import { attributePairs } from '../../../server/inspect/attribute.ts';
import { fisherScores } from '../../../server/mask/fisher.ts';
import { MaskSteps, type TokenPairing } from '../../../server/mask/step.ts';
import { ComponentSpace, circuitDeltas, componentKinds } from '../../../server/model/components.ts';
import type { Objective } from '../../../server/model/graphs.ts';
import { Model, type ModelOptions } from '../../../server/model/model.ts';
import { noOverlay, type Overlay } from '../../../server/model/overlay.ts';
import { PairLoss } from '../../../server/optimize/pair-loss.ts';
import { TextLoss } from '../../../server/optimize/text-loss.ts';
import { Rng } from '../../../server/random.ts';
import { asPairs } from '../../model/pairs.ts';
import { loadOracle, type Oracle, type OracleName } from '../../oracle.ts';

/** How often nodes of one kind ran on one execution provider. */
export interface Placement {
  /** The runtime's name of it, e.g. WebGpuExecutionProvider. */
  provider: string;
  op: string;
  /** Whether it read 32-bit floating-point numbers: nodes that do not compute extents and indices. */
  floats: boolean;
  /** Whether it read 16-bit ones: these are meant for the CPU. */
  narrow: boolean;
  runs: number;
}

export interface Outcome {
  model: OracleName;
  results: Record<string, number[]>;
  placements: Placement[];
}

const [device, ...names] = process.argv.slice(2) as [NonNullable<ModelOptions['provider']>, ...OracleName[]];

/** Sessions of the model in hand, each of which writes a profile. */
const sessions: ort.InferenceSession[] = [];
const profiles = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-profiles-'));
const create = ort.InferenceSession.create as (
  model: Uint8Array,
  options: ort.InferenceSession.SessionOptions,
) => Promise<ort.InferenceSession>;
Object.assign(ort.InferenceSession, {
  create: async (model: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    const profileFilePrefix = path.join(profiles, `${sessions.length}`);
    sessions.push(await create(model, { ...options, enableProfiling: true, profileFilePrefix }));
    return sessions.at(-1);
  },
});

/** An event of a profile, as far as it is read. */
interface ProfileEvent {
  cat: string;
  name: string;
  args: { provider?: string; op_name?: string; input_type_shape?: Record<string, unknown>[] };
}

/** Ends the profiles and counts what ran where. */
function placements(): Placement[] {
  for (const session of sessions.splice(0)) session.endProfiling();
  const counts = new Map<string, Placement>();
  for (const file of fs.readdirSync(profiles)) {
    const at = path.join(profiles, file);
    const events: ProfileEvent[] = JSON.parse(fs.readFileSync(at, 'utf8'));
    fs.rmSync(at);
    for (const { cat, name, args } of events) {
      if (cat !== 'Node' || !name.endsWith('_kernel_time')) continue;
      const types = (args.input_type_shape ?? []).map((input) => Object.keys(input)[0]);
      const [floats, narrow] = [types.includes('float'), types.some((type) => /float16/.test(type ?? ''))];
      const placement = { provider: args.provider!, op: args.op_name!, floats, narrow };
      const key = JSON.stringify(placement);
      counts.set(key, { ...placement, runs: (counts.get(key)?.runs ?? 0) + 1 });
    }
  }
  return [...counts.values()];
}

/** One model's graphs, without and with changed weights, behind nothing and behind a shared prefix. */
class Graphs {
  readonly results: Record<string, number[]> = {};
  private readonly oracle: Oracle;
  private readonly model: Model;
  private readonly prompt: readonly number[];

  constructor(oracle: Oracle, model: Model) {
    this.oracle = oracle;
    this.model = model;
    this.prompt = oracle.logits.ids.slice(0, 13);
  }

  async run(): Promise<void> {
    const overlays = this.overlays();
    for (const [changed, overlay] of Object.entries({ plain: noOverlay, ...overlays })) {
      for (const shared of [false, true]) {
        const runner = await Runner.create(this.model, overlay, shared ? this.prompt : []);
        const key = `${changed}, ${shared ? 'behind a prefix' : 'alone'}`;
        // Where the keys and values are kept does not hang on how the weights differ: all of them together once.
        const isFull = changed === 'plain' || changed === 'rows';
        if (isFull || !shared) await this.forward(key, runner, isFull);
        if (isFull) await this.mask(key, runner);
        if (changed === 'plain') continue;
        await this.pairs(key, runner, 'softplus');
        if (changed === 'rows') await this.pairs(key, runner, 'margin');
        if (!shared) await this.texts(key, runner);
      }
    }
    await this.inspect(overlays.rows!);
    await this.lean();
  }

  /** 16-bit weights left as they are stored. */
  private async lean(): Promise<void> {
    if (![...this.model.checkpoint.tensors.values()].some(({ dtype }) => dtype !== 'F32')) return;
    const { provider } = this.model.options;
    const runner = await Runner.create(await Model.load(this.oracle.folder, { provider, lean: true }));
    await this.forward('lean', runner, true);
    await this.mask('lean', runner);
  }

  private put(key: string, values: Iterable<number>): void {
    this.results[key] = [...values];
  }

  private gradients(key: string, byName: ReadonlyMap<string, Float32Array>): void {
    for (const [tensor, values] of byName) this.put(`${key}, ${tensor}`, values);
  }

  /** A few rows and columns of every layer, low-rank changes, whole vectors. */
  private overlays(): Record<string, Overlay> {
    const { arch, config, tensors } = this.model;
    const rng = new Rng('overlay');
    const random = (count: number) => Float32Array.from({ length: count }, () => 0.02 * rng.normal());
    const circuit = new ComponentSpace(config).circuit((flat) => flat % 3 === 0);
    const deltas = circuitDeltas(arch, circuit, 'up+gate+down').map((delta) => ({
      ...delta,
      delta: random(delta.delta.length),
    }));
    const tensor = arch.weight(0, 'q_proj');
    const [out, width] = tensors(tensor).shape as [number, number];
    const rank = 3;
    const lowRank = [{ tensor, a: random(rank * width), b: random(out * rank), rank, scale: 0.5 }];
    const { shape } = tensors(arch.finalNorm);
    const dense = new Map([[arch.finalNorm, { data: random(shape[0]!).map((x) => 1 + x), dims: shape }]]);
    return {
      rows: { ...noOverlay, deltas },
      'low rank': { ...noOverlay, lowRank },
      'whole tensor': { ...noOverlay, dense },
    };
  }

  /** Without a cache of its own; with one, and decoding. */
  private async forward(key: string, runner: Runner, withCache: boolean): Promise<void> {
    const own = this.oracle.logits.ids.slice(runner.sharedIds.length);
    const [whole] = await runner.forward([{ ids: own, rows: own.map((_, i) => i), keep: true }]);
    this.put(`forward, ${key}: logits`, whole!.logits);
    this.put(`forward, ${key}: keys of the last layer`, whole!.kv!.k.at(-1)!);
    this.put(`forward, ${key}: values of the last layer`, whole!.kv!.v.at(-1)!);
    if (!withCache) return;
    const [first] = await runner.forward([{ ids: own.slice(0, 9), keep: true }]);
    const rest = own.slice(9);
    const [last] = await runner.forward([{ ids: rest, before: first!.kv!, rows: rest.map((_, i) => i) }]);
    this.put(`forward, ${key}, cache: logits`, last!.logits);
    if (runner.overlay !== noOverlay || runner.sharedIds.length > 0) return;
    const completions = await generate(
      runner,
      this.oracle.greedy.prompts.map((ids) => ({ ids, sampling: greedy, maxTokens: 8 })),
      { batch: 3, stop: () => false },
    );
    this.put(
      'greedy ids',
      completions.flatMap(({ ids }) => ids),
    );
  }

  /** The oracle's pairs, behind the runner's shared prefix. */
  private pairsOf({ sharedIds }: Runner) {
    return asPairs(this.oracle.pairs).map((pair) => ({ ...pair, prefix: [...sharedIds, ...pair.prefix] }));
  }

  private async mask(key: string, runner: Runner): Promise<void> {
    const pairs = this.pairsOf(runner);
    const gate = new Float32Array(new ComponentSpace(this.model.config).size).map(
      (_, i) => 1 + 0.5 * Math.sin(i),
    );
    const cases: [Objective, TokenPairing][] = [
      ['margin', 'own'],
      ['margin', 'reference'],
    ];
    if (runner.overlay === noOverlay) cases.push(['softplus', 'own']);
    for (const [objective, pairing] of cases) {
      const steps = await MaskSteps.create(runner, pairs, objective, signal);
      const { loss, margins, gradients } = await steps.run([...pairs.keys()], gate, { pairing, signal });
      const name = `mask, ${objective}, ${pairing} tokens, ${key}`;
      this.put(`${name}: loss`, [loss]);
      this.put(`${name}: margins`, margins);
      this.put(`${name}: gradient`, gradients);
    }
  }

  private async pairs(key: string, runner: Runner, objective: Objective): Promise<void> {
    const loss = await PairLoss.create(runner, objective, { kind: 'overlay' });
    const result = await loss.run(this.pairsOf(runner), { signal });
    this.put(`pairs, ${objective}, ${key}: loss`, [result.loss]);
    this.put(`pairs, ${objective}, ${key}: margins`, result.margins);
    this.gradients(`pairs, ${objective}, ${key}`, result.gradients);
  }

  private async texts(key: string, runner: Runner): Promise<void> {
    const { overlay } = runner;
    const vocab = this.model.config.vocabSize;
    const items = this.oracle.texts.map((ids) => ({ ids, rows: ids.slice(1).map((_, t) => t), share: 0.01 }));
    const flat = (rows: number) => new Float32Array(rows * vocab).fill(-Math.log(vocab));
    const targets = {
      crossEntropy: items.map(({ ids }) => ({ kind: 'crossEntropy' as const, labels: ids.slice(1) })),
      kl: items.map(({ rows }) => ({ kind: 'kl' as const, logp: flat(rows.length) })),
    };
    for (const kind of ['crossEntropy', 'kl'] as const) {
      const loss = await TextLoss.create(runner, kind, { kind: 'overlay' }, overlay);
      const result = await loss.run(items, targets[kind], { overlay, signal });
      this.put(`${kind}, ${key}: loss`, [result.loss]);
      this.gradients(`${kind}, ${key}`, result.gradients);
    }
  }

  /** Embedding rows; whole matrices, alone and behind a live prompt, and row norms by way of the Fisher scores. */
  private async inspect(overlay: Overlay): Promise<void> {
    const plain = await Runner.create(this.model);
    for (const [key, runner] of Object.entries({
      plain,
      rows: await Runner.create(this.model, overlay),
    })) {
      const attributed = await attributePairs(runner, this.pairsOf(runner), { components: false });
      this.put(
        `attribution to tokens, ${key}`,
        attributed.flatMap(({ inputs }) => [...inputs!]),
      );
    }
    for (const [key, runner] of Object.entries({
      alone: plain,
      'behind a prefix': await Runner.create(this.model, noOverlay, this.prompt),
    })) {
      const scores = await fisherScores(
        runner,
        this.pairsOf(runner),
        this.oracle.texts,
        { eps: 1, kinds: componentKinds },
        { plain, rng: new Rng('labels'), signal },
      );
      this.put(`Fisher scores, ${key}`, scores);
    }
  }
}

// No model is released: with its last session the provider would lose its compiled shaders.
for (const name of names) {
  const oracle = loadOracle(name);
  const model = await Model.load(oracle.folder, { provider: device });
  const graphs = new Graphs(oracle, model);
  await graphs.run();
  const outcome: Outcome = { model: name, results: graphs.results, placements: placements() };
  await new Promise<void>((done) => process.stdout.write(`${JSON.stringify(outcome)}\n`, () => done()));
}
fs.rmSync(profiles, { recursive: true });
// Drivers may leave threads behind.
process.exit(0);
