import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { isFloatDtype, toFloat32 } from '../../server/checkpoint/dtype.ts';
import { neverAborted } from '../../server/control.ts';
import { makeJobs } from '../../server/engine/jobs/index.ts';
import { Models } from '../../server/engine/models.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { architectureOf } from '../../server/model/architectures/index.ts';
import { ComponentSpace, rowSpan, rowsOf, tensorOf } from '../../server/model/components.ts';
import { writePatch } from '../../server/patch/file.ts';
import { createPatch, readLines } from '../../server/patch/patch.ts';
import { fixture, scratch } from '../cli/built.ts';

const folder = scratch();
const jobs = makeJobs(new Models());
const checkpoint = openCheckpoint(fixture('llama-tied'));
const arch = architectureOf(checkpoint.config);
const space = new ComponentSpace(checkpoint.config);
const model = { folder: fixture('llama-tied'), device: 'cpu', threads: 1 } as const;
const quiet = { signal: neverAborted, emit: () => undefined };
const at = (name: string) => path.join(folder, name);

/** A query head of layer 0 with every weight `factor` times what it was. */
async function headPatch(name: string, factor: number): Promise<string> {
  const tensor = tensorOf(arch, 'q', 0);
  const count = rowsOf(arch, 'q');
  const indices = Array.from({ length: count }, (_, i) => rowSpan(arch, 'q').first + count + i);
  const info = checkpoint.tensors.get(tensor)!;
  if (!isFloatDtype(info.dtype)) throw new Error('not floats');
  const values = toFloat32(readLines(info, 0, indices), info.dtype).map((value) => factor * value);
  writePatch(at(name), await createPatch(checkpoint, [{ tensor, axis: 0, indices, values }]));
  return at(name);
}

const pairs = [
  {
    id: 'a',
    prefix: [1, 5, 9, 12],
    desired: 7,
    undesired: 3,
    method: 'human',
    status: 'accepted',
    trace: 't',
  },
  { id: 'b', prefix: [1, 6, 2], desired: 4, undesired: 8, method: 'human', status: 'accepted', trace: 't' },
  { id: 'c', prefix: [1, 6, 2], desired: 4, undesired: 9, method: 'human', status: 'rejected', trace: 't' },
];
const writePairs = (file: string, some: readonly object[]) => {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, some.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
};

let doubled: string;
beforeAll(async () => {
  doubled = await headPatch('doubled.safetensors', 2);
});

test('a pivot given as ids has the attribution of the same pair in a file', async () => {
  writePairs(at('one.jsonl'), [pairs[0]!]);
  const seen: { margin: number; tokens: { attribution: number }[]; gates: Float32Array | null }[] = [];
  const params = {
    model,
    patch: { file: doubled, scale: 0.5 },
    pairs: at('one.jsonl'),
    pair: null,
    components: true,
  };
  await jobs.attribute(params, { signal: neverAborted, emit: (event) => seen.push(event) });
  const { prefix, desired, undesired } = pairs[0]!;
  const found = await jobs.attributePivot(
    { model, patch: [{ file: doubled, scale: 0.5 }], prefix, desired, undesired, components: true },
    quiet,
  );
  expect(found.margin).toBe(seen[0]!.margin);
  expect([...found.tokens]).toEqual(seen[0]!.tokens.map(({ attribution }) => attribution));
  expect(found.gates).toEqual(seen[0]!.gates);
  const stray = { model, patch: null, prefix, desired: 1e6, undesired, components: false };
  await expect(jobs.attributePivot(stray, quiet)).rejects.toThrow(/has token id 1000000/);
});

describe('completions of prefixes', () => {
  const params = { model, patch: null, maxTokens: 12, stop: { answer: true, strings: [] } };

  test('go on as if nothing had been cut; several at once are those of each alone', async () => {
    const prompt = [1, 5, 9];
    const [whole] = await jobs.complete({ ...params, prefixes: [{ ids: prompt, prompt: 3 }] }, quiet);
    expect(whole!.ids.length).toBeGreaterThan(4);
    const cut = { ids: [...prompt, ...whole!.ids.slice(0, 4)], prompt: 3 };
    const other = { ids: [1, 6, 2, 2], prompt: 4 };
    const tokens: number[] = [];
    const both = await jobs.complete(
      { ...params, prefixes: [cut, other] },
      { signal: neverAborted, emit: (event) => tokens.push(event.tokens) },
    );
    expect(both[0]).toEqual(whole);
    expect(both[1]).toEqual((await jobs.complete({ ...params, prefixes: [other] }, quiet))[0]);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(tokens.at(-1)).toBeGreaterThan(0);
  });

  test('stop at a string, at the limit, and when asked to', async () => {
    const prefixes = [{ ids: [1, 5, 9], prompt: 3 }];
    const [whole] = await jobs.complete({ ...params, prefixes }, quiet);
    const stop = whole!.text.slice(3, 5);
    const [short] = await jobs.complete(
      { ...params, prefixes, stop: { answer: true, strings: [stop] } },
      quiet,
    );
    expect(short!.truncated).toBe(false);
    expect(whole!.text.startsWith(short!.text)).toBe(true);
    expect(short!.text).not.toContain(stop);
    expect(whole!.truncated).toBe(whole!.ids.length === 12);
    const full = { ids: [1, 5, 9, ...whole!.ids], prompt: 3 };
    expect((await jobs.complete({ ...params, prefixes: [full] }, quiet))[0]!.ids).toEqual(whole!.ids);
    await expect(
      jobs.complete({ ...params, prefixes }, { ...quiet, signal: { aborted: true } }),
    ).rejects.toThrow(Cancelled);
    await expect(jobs.complete({ ...params, prefixes: [{ ids: [], prompt: 0 }] }, quiet)).rejects.toThrow(
      InputError,
    );
  });
});

describe('patches', () => {
  const score = (patch: { file: string; scale: number }[]) =>
    jobs.score({ model, patch, text: [1, 5, 9, 12, 3], topK: 1 }, quiet);

  test('a stack adds up, each with a scale of its own', async () => {
    const whole = await score([{ file: doubled, scale: 1 }]);
    const parts = await score([
      { file: doubled, scale: 0.25 },
      { file: doubled, scale: 0.75 },
    ]);
    const none = await score([{ file: doubled, scale: 0 }]);
    expect(parts.logprob).toBeCloseTo(whole.logprob, 5);
    expect(none.logprob).toBe((await score([])).logprob);
    expect(Math.abs(whole.logprob - none.logprob)).toBeGreaterThan(1e-6);
  });

  test('the change of components is relative to what they were, in the field and row by row', async () => {
    const head = space.offset('q', 0) + 1;
    const change = await jobs.componentChange({
      model: model.folder,
      patches: [{ file: doubled, scale: 1 }],
    });
    expect(change).toHaveLength(space.size);
    expect(change[head]).toBeCloseTo(1, 5);
    expect([...change].filter((value) => value !== 0)).toHaveLength(1);
    const half = await jobs.componentChange({
      model: model.folder,
      patches: [{ file: doubled, scale: 0.5 }],
    });
    expect(half[head]).toBeCloseTo(0.5, 5);
    const rows = await jobs.componentRows({
      model: model.folder,
      component: head,
      patches: [{ file: doubled, scale: 0.5 }],
    });
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ tensor: tensorOf(arch, 'q', 0), first: rowsOf(arch, 'q') });
    expect(rows[0]!.change).toBeCloseTo(0.5, 5);
    const neuron = await jobs.componentRows({
      model: model.folder,
      component: space.offset('mlp', 1) + 2,
      patches: [],
    });
    expect(neuron.map(({ change: moved }) => moved)).toEqual([null, null, null]);
    expect(neuron.map(({ tensor }) => /(\w+)_proj/.exec(tensor)![1])).toEqual(['up', 'gate', 'down']);
  });

  test('are refused by a model that they were not made for', async () => {
    const other = fixture('llama-bias');
    const patches = [{ file: doubled, scale: 1 }];
    await expect(jobs.componentChange({ model: other, patches })).rejects.toThrow(InputError);
  });
});

test("a run's mean attribution is computed once for its pairs, and again when they change", async () => {
  const run = at('run');
  writePairs(path.join(run, 'pairs.jsonl'), pairs);
  const done: number[] = [];
  const ask = async () => {
    done.length = 0;
    return jobs.attributeRun(
      { model, run },
      { signal: neverAborted, emit: (event) => done.push(event.done) },
    );
  };
  const first = await ask();
  expect(done).toEqual([1, 2]);
  expect(first.pairs).toBe(2);
  writePairs(at('two.jsonl'), pairs.slice(0, 2));
  const direct = await jobs.attribute(
    { model, patch: null, pairs: at('two.jsonl'), pair: null, components: true },
    quiet,
  );
  for (const { kind, layer, index, gradient } of direct.components!) {
    expect(first.mean[space.offset(kind, layer) + index]).toBeCloseTo(gradient, 5);
  }
  expect(await ask()).toEqual(first);
  expect(done).toEqual([]);
  writePairs(path.join(run, 'pairs.jsonl'), pairs.slice(0, 1));
  expect((await ask()).pairs).toBe(1);
  expect(done).toEqual([1]);
  // A file that was cut short is made anew.
  for (const bytes of [100, 600]) {
    fs.truncateSync(path.join(run, 'attribution.bin'), bytes);
    expect((await ask()).pairs).toBe(1);
    expect(done).toEqual([1]);
  }
});
