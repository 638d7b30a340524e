/** `--preset reference`: the reference code's recipe with its quirks. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { halfStep } from '../../server/amplify/half.ts';
import { fromFloat32, toFloat32 } from '../../server/checkpoint/dtype.ts';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import type { Trace } from '../../server/data/records.ts';
import { resolveSettings } from '../../server/engine/experiment/settings.ts';
import { InputError } from '../../server/errors.ts';
import { reencodedPair, reencodedTrace } from '../../server/localize/reencode.ts';
import { readPatch } from '../../server/patch/file.ts';
import { quirksOf } from '../../server/pipeline/quirks.ts';
import { paperSettings, referenceSettings } from '../../server/pipeline/settings.ts';
import { build, cca, fixture, result, scratch } from '../cli/built.ts';
import { tinyTask } from '../cli/tiny-task.ts';

const root = scratch();

describe('weights in float16', () => {
  test('gradients, steps and sums are rounded', () => {
    // Units in the last place: 2^-10 at 1, 2^-13 at 0.1, 2^-24 for the smallest of all.
    const base = Float32Array.of(1, 1, 1, 0.1, 0);
    const change = new Float32Array(5);
    halfStep(change, base, Float32Array.of(-4, -6, 7, -1, -3e-5), 1e-4);
    const weights = base.map((w, i) => w + change[i]!);
    // 4e-4 is below half a unit above 1 and lost; 6e-4 is above it; 7e-4 goes down by one and a half units of 2^-11, to even.
    expect([...weights].slice(0, 3)).toEqual([1, 1 + 2 ** -10, 1 - 2 ** -11]);
    // 0.1 itself becomes 0.0999755859375 (1638 / 2^14) and 1e-4 of it two units of 2^-14: 1.6384.
    expect(weights[3]).toBeCloseTo((1638 + 2) / 2 ** 14, 7);
    // A step of 3e-9 is no float16.
    expect(weights[4]).toBe(0);
  });

  test('need gradient descent', () => {
    const adam = { amplify: { optimizer: 'adam' as const } };
    expect(() => resolveSettings('reference', adam)).toThrow(InputError);
    expect(
      resolveSettings('reference', { amplify: { optimizer: 'adam', weights: 'float32' } }),
    ).toBeDefined();
  });
});

test('ids of texts: equal text, other tokens, and a pair whose prefix is encoded anew', () => {
  const tokenizer = loadTokenizer(fixture('llama-tied'));
  const text = 'The answer is 12.';
  // Token by token, as sampling may choose them: not what encoding the text gives.
  const bytewise = [...text].flatMap((letter) => tokenizer.encode(letter, { addSpecialTokens: false }));
  const prompt_ids = tokenizer.encode('How many? ');
  const trace = { prompt_ids, completion_ids: [...bytewise, tokenizer.eosTokenId!], text } as Trace;
  const again = reencodedTrace(tokenizer, trace);
  expect(again.prompt_ids).toEqual(prompt_ids);
  expect(tokenizer.decode(again.completion_ids)).toBe(text);
  expect(again.completion_ids.length).toBeLessThan(bytewise.length);
  const pair = { prefix: [...prompt_ids, ...bytewise], desired: 5, undesired: 6 } as never;
  expect(reencodedPair(tokenizer, pair).prefix).toEqual(tokenizer.encode(`How many? ${text}`));
});

test('every quirk is told, and none of them without the preset', () => {
  expect(quirksOf(paperSettings)).toEqual([]);
  const all = quirksOf(referenceSettings);
  expect(all.filter(({ reproduced }) => reproduced).length).toBe(5);
  const { mask, ...rest } = referenceSettings;
  const own = quirksOf({ ...rest, mask: { ...mask, pairing: 'own' } as typeof mask });
  expect(own.filter(({ reproduced }) => reproduced).length).toBe(4);
});

test('fine-tuning as the experiment files of the reference code have it, each setting by name', () => {
  const { lora, full } = referenceSettings.variants;
  expect(lora).toEqual({
    ...{ rank: 16, alpha: 32, dropout: 0.1, data: 'traces', learningRate: 1e-5, epochs: 2, batch: 32 },
    ...{ beta1: 0.9, beta2: 0.999, weightDecay: 0.01, maxGradNorm: 1, warmUp: 5, validateEvery: 10 },
    ...{ schedule: 'cosine-to-zero', patience: 3 },
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  });
  expect(full).toMatchObject({ learningRate: 1e-5, epochs: 10, batch: 16, warmUp: 15, weightDecay: 0.01 });
  const own = resolveSettings('default', {
    variants: { lora: { rank: 4, targets: ['q_proj'], dropout: 0.2 } },
  });
  expect(own.variants.lora).toMatchObject({ rank: 4, alpha: 32, dropout: 0.2, targets: ['q_proj'] });
});

describe('a whole run', () => {
  beforeAll(build);

  test('lists the quirks, walks texts, and leaves float16 weights', async () => {
    const task = tinyTask(root);
    const out = path.join(root, 'reference');
    const experiment = path.join(root, 'experiment.json');
    fs.writeFileSync(
      experiment,
      JSON.stringify({
        ...{ model: task.model, out, preset: 'reference', threads: 1, device: 'cpu' },
        problems: { train: task.problems, val: task.val, test: task.test },
        settings: {
          generate: { samples: 30, temperatureWrong: 1, maxTokens: 30, stop: { strings: ['.', 'e', '4'] } },
          mask: { lambda: 0.5, epochs: 3 },
          amplify: { steps: 4, learningRate: 5 },
          evaluate: { maxTokens: 20 },
          variants: { lora: { rank: 2, targets: ['q_proj', 'v_proj'], batch: 2 } },
        },
        variants: ['lora'],
      }),
    );
    const report = await result(['run', '--experiment', experiment]);
    expect(report.quirks).toEqual(quirksOf(referenceSettings));
    expect(Object.keys(report.variants)).toEqual(['lora']);
    expect(report.training.best).toBeGreaterThan(0);
    const patch = readPatch(path.join(out, 'patch.safetensors'));
    for (const { newRows } of patch.entries) {
      const after = toFloat32(newRows, 'F32');
      const rounded = toFloat32(fromFloat32(after, 'F16'), 'F16');
      // Give or take the float32 rounding of the change that is added to the old weight; float16 steps are 3e-5 and more.
      expect(Math.max(...after.map((w, i) => Math.abs(w - rounded[i]!)))).toBeLessThan(2e-6);
    }
    const shown = await cca(['run', '--experiment', experiment, '--quiet']);
    expect(shown.stdout).toContain('reference code');
    expect(shown.stdout).toContain('weights updated in float16');
  });
});
