import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { toFloat32 } from '../../server/checkpoint/dtype.ts';
import { readRowsBytes } from '../../server/checkpoint/safetensors.ts';
import { readPivots } from '../../server/data/pts.ts';
import { writePatch } from '../../server/patch/file.ts';
import { createPatch } from '../../server/patch/patch.ts';
import { loadOracle } from '../oracle.ts';
import { build, cca, events, fixture, result, scratch } from './built.ts';
import { DECODING, tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);
const model = ['--model', task.model];
const oracle = loadOracle('llama-tied');
const patch = ['--patch', at('patch.safetensors')];
const pairs = ['--pairs', at('pairs.jsonl')];

beforeAll(async () => {
  await build();
  const checkpoint = openCheckpoint(task.model);
  const tensor = 'model.layers.1.mlp.up_proj.weight';
  const indices = [3, 7];
  const old = toFloat32(readRowsBytes(checkpoint.tensors.get(tensor)!, indices), 'F32');
  const values = old.map((value, i) => value + Math.sin(i));
  writePatch(at('patch.safetensors'), await createPatch(checkpoint, [{ tensor, axis: 0, indices, values }]));
  const records = oracle.pairs.map((pair, i) => ({ id: `pair-${i}`, ...pair, problem_id: `p${i}` }));
  fs.writeFileSync(at('pairs.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
});

describe('score', () => {
  const text = ['--text', 'The answer is 12.'];

  test('scores come as they are made, and whole in the result', async () => {
    const all = await events(['score', ...model, ...text, '--top-k', '2']);
    const pieces = all.filter((event) => event.kind === 'tokens').flatMap((event) => event.tokens);
    const last = all.at(-1)!;
    expect(pieces).toEqual(last.tokens);
    expect(last.tokens.map((token: { text: string }) => token.text).join('')).toBe('The answer is 12.');
    const logprobs: number[] = last.tokens.map((token: { logprob: number }) => token.logprob);
    expect(last.logprob).toBeCloseTo(logprobs.reduce((a, b) => a + b));
    expect(last.perplexity).toBeCloseTo(Math.exp(-last.logprob / last.scored));
    for (const { rank, logprob, top } of last.tokens) {
      expect(top).toHaveLength(2);
      if (rank === 1) expect(logprob).toBe(top[0].logprob);
      else expect(logprob).toBeLessThanOrEqual(top[0].logprob);
    }
  });

  test('a patch changes the scores by its scale; a file is read like the text', async () => {
    fs.writeFileSync(at('text.txt'), 'The answer is 12.');
    const base = await result(['score', ...model, '--file', at('text.txt')]);
    expect(base.logprob).toBe((await result(['score', ...model, ...text])).logprob);
    const none = await result(['score', ...model, ...text, ...patch, '--scale', '0']);
    expect(none.logprob).toBe(base.logprob);
    const whole = await result(['score', ...model, ...text, ...patch]);
    expect(Math.abs(whole.logprob - base.logprob)).toBeGreaterThan(1e-3);
  });

  test('for people', async () => {
    const { code, stdout } = await cca(['score', ...model, ...text, '--quiet']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^" answer" +286 +-\d/m);
    expect(stdout).toMatch(/^6 tokens scored, log-probability -\d+\.\d+ nats, perplexity \d/m);
  });
});

describe('attribute', () => {
  test('every pair, with the figures of the oracle', async () => {
    const all = await events(['attribute', ...model, ...pairs, '--components']);
    const found = all.filter((event) => event.kind === 'attribution');
    expect(found.map((event) => event.id)).toEqual(oracle.pairs.map((_, i) => `pair-${i}`));
    for (const [i, { margin, tokens, gates, desired }] of found.entries()) {
      expect(margin).toBeCloseTo(oracle.pairs[i]!.margin, 3);
      expect(tokens.map((token: { id: number }) => token.id)).toEqual([...oracle.pairs[i]!.prefix]);
      expect(desired.id).toBe(oracle.pairs[i]!.desired);
      expect(gates).toHaveLength(168);
    }
    const { components } = all.at(-1)!;
    expect(components).toHaveLength(168);
    const gradients = components.map((component: { gradient: number }) => component.gradient);
    expect(gradients).toEqual([...gradients].sort((a, b) => a - b));
  });

  test('one pair; one that is not there', async () => {
    const { stdout } = await cca(['attribute', ...model, ...pairs, '--pair', '2', '--top', '3', '--quiet']);
    expect(stdout).toMatch(/^pair 2 \(pair-1\): ".*" over ".*", logit difference -?\d/);
    expect(stdout.trimEnd().split('\n')).toHaveLength(5);
    const { code, stderr } = await cca(['attribute', ...model, ...pairs, '--pair', '7']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('the file has 6 pairs, so there is no pair 7'),
    ]);
  });
});

describe('diff', () => {
  const problems = ['--problems', task.test, ...DECODING];

  test('token-aligned runs give both completions', async () => {
    const all = await events(['diff', ...model, ...problems, ...patch]);
    const diffs = all.filter((event) => event.kind === 'diff');
    expect(diffs).toHaveLength(8);
    for (const { base, changed, runs, firstDivergence } of diffs) {
      const side = (left: string) =>
        runs
          .filter((run: { kind: string }) => run.kind !== left)
          .reduce((sum: number, run: Record<string, { from: number; to: number }>) => {
            const { from, to } = run[left === 'added' ? 'a' : 'b']!;
            return sum + to - from;
          }, 0);
      expect(side('added')).toBe(base.completion_ids.length);
      expect(side('removed')).toBe(changed.completion_ids.length);
      if (firstDivergence === null) expect(base).toEqual(changed);
    }
    expect(all.at(-1)).toMatchObject({ n: 8, base: { correct: expect.any(Number) }, p: expect.any(Number) });
    expect(all.at(-1)!.differing).toBeGreaterThan(0);
  });

  test('two scales of one patch; the merged checkpoint is the same as the patch', async () => {
    const half = await result(
      ['diff', ...model, ...problems, ...patch, '--base-patch', at('patch.safetensors')].concat(
        ...['--base-scale', '0'],
      ),
    );
    expect(half.differing).toBeGreaterThan(0);
    await result(['apply', ...model, ...patch, '--out', at('merged-for-diff')]);
    const changed = ['--changed-model', at('merged-for-diff'), '--base-patch', at('patch.safetensors')];
    const same = await result(['diff', ...model, ...problems, ...changed]);
    expect(same).toMatchObject({ differing: 0, wrongToRight: 0, rightToWrong: 0 });
  });
});

describe('patches', () => {
  const weights = (folder: string) => fs.readFileSync(path.join(folder, 'model.safetensors'));

  test('apply, then revert: the same bytes', async () => {
    const applied = await result(['apply', ...model, ...patch, '--scale', '0.5', '--out', at('merged')]);
    expect(applied).toMatchObject({ out: at('merged'), matrices: 1, rows: 2 });
    expect(weights(at('merged'))).not.toEqual(weights(task.model));
    const reverted = await result([
      ...['revert', '--model', at('merged'), ...patch, '--scale', '0.5', '--out', at('restored')],
    ]);
    expect(weights(at('restored'))).toEqual(weights(task.model));
    expect(reverted.hash).toBe(await openCheckpoint(task.model).hash());
  });

  test('a patch of another model is refused, whatever is to be done with it', async () => {
    const other = ['--model', fixture('llama-bias')];
    for (const line of [
      ['apply', ...other, ...patch, '--out', at('wrong')],
      ['export', '--format', 'peft', ...other, ...patch, '--out', at('wrong')],
      ['score', ...other, ...patch, '--text', 'a'],
    ]) {
      const { code, stderr } = await cca(line);
      expect([code, stderr.trimEnd().split('\n').length]).toEqual([2, 1]);
    }
    expect(fs.existsSync(at('wrong'))).toBe(false);
  });

  test('export as a PEFT adapter', async () => {
    await result(['export', '--format', 'peft', ...model, ...patch, '--out', at('adapter')]);
    const config = JSON.parse(fs.readFileSync(at('adapter', 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 2,
      base_model_name_or_path: task.model,
    });
    expect(fs.existsSync(at('adapter', 'adapter_model.safetensors'))).toBe(true);
  });

  test('export pairs as DPO preferences and as PTS pivots', async () => {
    await result(['export', '--format', 'dpo', ...model, ...pairs, '--out', at('dpo.jsonl')]);
    const dpo = fs.readFileSync(at('dpo.jsonl'), 'utf8').trimEnd().split('\n');
    expect(dpo.map((line) => JSON.parse(line).metadata.chosen_id)).toEqual(
      oracle.pairs.map((p) => p.desired),
    );
    await result(['export', '--format', 'pts', ...model, ...pairs, '--out', at('pts.jsonl')]);
    let i = 0;
    for await (const pivot of readPivots(at('pts.jsonl'))) {
      const { desired, undesired, margin } = oracle.pairs[i++]!;
      expect([pivot.pivot_token_id, pivot.rejected_token_id]).toEqual([desired, undesired]);
      expect(pivot.prob_before).toBeCloseTo(1 / (1 + Math.exp(-margin)), 4);
      expect(pivot.prob_delta).toBeCloseTo(1 - pivot.prob_before, 9);
    }
    expect(i).toBe(6);
    // What was written can be read back as pairs.
    const again = await events(['attribute', ...model, '--pairs', at('pts.jsonl')]);
    expect(again.at(-1)).toMatchObject({ pairs: 6 });
  });
});

test('devices: the CPU works, what does not says why, and one is chosen', async () => {
  const { devices, auto, threads } = await result(['devices']);
  const cpu = devices.find((one: { device: string }) => one.device === 'cpu');
  expect(cpu).toMatchObject({ works: true, reason: null, milliseconds: expect.any(Number) });
  for (const { works, reason } of devices) if (!works) expect(reason).toMatch(/\S/);
  expect(
    devices.some((one: { device: string; works: boolean }) => one.works && one.device === auto.device),
  ).toBe(true);
  expect(threads).toBeGreaterThanOrEqual(1);
  expect(threads).toBeLessThanOrEqual(8);
});
