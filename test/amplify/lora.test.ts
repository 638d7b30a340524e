/** LoRA training against PEFT, torch and transformers (fixtures/make_lora.py): the same dropout, the same steps. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Amplifier, type Objective } from '../../server/amplify/amplifier.ts';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay, type Overlay } from '../../server/model/overlay.ts';
import type { Dropout } from '../../server/optimize/dropout.ts';
import { TextLoss } from '../../server/optimize/text-loss.ts';
import { Rng } from '../../server/random.ts';
import { checkpointFolder } from '../oracle.ts';

/** Numbers as base64 of little-endian float32, by PEFT's names. */
type Factors = Record<string, string>;

interface Fixture {
  settings: {
    rank: number;
    alpha: number;
    dropout: number;
    steps: number;
    warmUp: number;
    learningRate: number;
    weightDecay: number;
    beta1: number;
    beta2: number;
    maxGradNorm: number;
  };
  texts: { prompt: number[]; completion: number[] }[];
  start: Factors;
  /** `kept`: by tensor, one bit per feature of every token of every text. */
  steps: { loss: number; norm: number; kept: Record<string, string> }[];
  end: Factors;
  lossAfter: number;
}

const { settings, texts, start, steps, end, lossAfter }: Fixture = JSON.parse(
  readFileSync(new URL('./fixtures/lora.json', import.meta.url), 'utf8'),
);
const floats = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
const tensors = Object.keys(steps[0]!.kept);
const factor = (of: Factors, tensor: string, which: 'A' | 'B') =>
  floats(of[tensor.replace(/weight$/, `lora_${which}.weight`)]!);

/** What PEFT's dropout multiplied in a step. */
function dropoutOf(step: number): Dropout {
  const lengths = texts.map(({ prompt, completion }) => prompt.length + completion.length);
  return (text, tensor, count) => {
    const bits = Buffer.from(steps[step]!.kept[tensor]!, 'base64');
    const width = count / lengths[text]!;
    const first = width * lengths.slice(0, text).reduce((a, b) => a + b, 0);
    const kept = (i: number) => (bits[i >> 3]! >> (7 - (i & 7))) & 1;
    return Float32Array.from({ length: count }, (_, i) => kept(first + i) / (1 - settings.dropout));
  };
}

/** |x - y| / |y| in the norm of the whole. */
function apart(x: Float32Array, y: Float32Array): number {
  const norm = (of: (i: number) => number) => Math.sqrt(y.reduce((sum, _, i) => sum + of(i) ** 2, 0));
  return norm((i) => x[i]! - y[i]!) / norm((i) => y[i]!);
}

test('losses and adapters of every step are those of PEFT', async () => {
  const model = await Model.load(checkpointFolder('llama-tied'));
  const overlay: Overlay = {
    ...noOverlay,
    lowRank: tensors.map((tensor) => ({
      tensor,
      a: factor(start, tensor, 'A'),
      b: factor(start, tensor, 'B'),
      rank: settings.rank,
      scale: settings.alpha / settings.rank,
    })),
  };
  expect(overlay.lowRank).toHaveLength(7 * model.config.numLayers);
  const runner = await Runner.create(model);
  const items = texts.map(({ prompt, completion }) => ({
    ids: [...prompt, ...completion],
    rows: completion.map((_, k) => prompt.length + k - 1),
    share: 1 / texts.reduce((sum, text) => sum + text.completion.length, 0),
  }));
  const labels = texts.map(({ completion }) => ({ kind: 'crossEntropy' as const, labels: completion }));
  const training = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay', dropout: true }, overlay);
  const plain = await TextLoss.create(runner, 'crossEntropy', { kind: 'overlay' }, overlay);
  const norms: number[] = [];
  const objective: Objective = {
    stepTokens: items.reduce((sum, { ids }) => sum + ids.length, 0),
    async step(at, step, _, signal) {
      const { loss, gradients } = await training.run(items, labels, {
        overlay: at,
        dropout: dropoutOf(step),
        signal,
      });
      norms.push(
        Math.sqrt([...gradients.values()].reduce((sum, g) => g.reduce((s, x) => s + x * x, sum), 0)),
      );
      return { loss, margin: null, klControl: null, klTraces: null, gradients };
    },
  };
  const observe = async () => ({ accuracy: 1, n: 1, suites: {} });
  const amplifier = new Amplifier(
    overlay,
    objective,
    observe,
    {
      ...settings,
      optimizer: 'adam',
      schedule: 'cosine-to-zero',
      validateEvery: settings.steps,
      validateEveryEarly: settings.steps,
      keep: 'last',
      weights: 'float32',
      guard: { maxDrop: 100, maxKl: 100 },
    },
    new Rng(0),
  );
  amplifier.setBase(await amplifier.observeBase());
  for (const { loss } of steps) {
    const report = await amplifier.advance(neverAborted);
    expect(Math.abs(report.loss / loss - 1)).toBeLessThan(1e-6);
  }
  expect(amplifier.done).toBe(true);
  norms.forEach((norm, i) => {
    // Above the limit, so that every step is clipped.
    expect(norm).toBeGreaterThan(settings.maxGradNorm);
    expect(Math.abs(norm / steps[i]!.norm - 1)).toBeLessThan(1e-5);
  });
  for (const { tensor, a, b } of overlay.lowRank) {
    for (const [values, which] of [
      [a, 'A'],
      [b, 'B'],
    ] as const) {
      const before = factor(start, tensor, which);
      const change = (now: Float32Array) => now.map((x, i) => x - before[i]!);
      const moved = apart(change(values), change(factor(end, tensor, which)));
      expect(moved, `${tensor} ${which}`).toBeLessThan(1e-3);
    }
  }
  const { loss } = await plain.run(items, labels, { overlay, signal: neverAborted });
  expect(Math.abs(loss / lossAfter - 1)).toBeLessThan(1e-6);
  await model.release();
});
