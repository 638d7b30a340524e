import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkpointHash, openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { type FloatDtype, fromFloat32, toFloat32 } from '../../server/checkpoint/dtype.ts';
import {
  readColumnsBytes,
  readHeader,
  readRowsF32,
  readTensorF32,
} from '../../server/checkpoint/safetensors.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { applyPatch, revertPatch } from '../../server/patch/apply.ts';
import { readPatch, writePatch } from '../../server/patch/file.ts';
import {
  createPatch,
  type Patch,
  type RowChange,
  scalePatch,
  stackPatches,
} from '../../server/patch/patch.ts';
import { exportPeft } from '../../server/patch/peft.ts';
import { noise, type TinyOptions, writeTiny } from '../checkpoint/tiny.ts';

let root: string;
let count = 0;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'patch-'));
});
afterAll(() => rmSync(root, { recursive: true }));
const fresh = () => path.join(root, `p${count++}`);
const tiny = (options?: TinyOptions) => writeTiny(fresh(), options);

const UP = 'model.layers.1.mlp.up_proj.weight'; // [24, 16]
const Q = 'model.layers.0.self_attn.q_proj.weight'; // [24, 16]
const DOWN = 'model.layers.0.mlp.down_proj.weight'; // [16, 24]

const changes = (seed = 50): RowChange[] => [
  { tensor: UP, axis: 0, indices: [20, 3, 7], values: noise(3 * 16, seed) },
  { tensor: Q, axis: 0, indices: [6, 7, 8, 9, 10, 11], values: noise(6 * 16, seed + 1) },
  { tensor: DOWN, axis: 1, indices: [0, 23], values: noise(2 * 16, seed + 2) },
];
const make = (folder: string, list = changes(), provenance = {}) =>
  createPatch(openCheckpoint(folder), list, provenance);
/** sha256 of every file by its path in the folder; links count as what they point to. */
const files = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(path.join(folder, name)).isFile())
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(path.join(folder, name)))
          .digest('hex'),
      ])
      .sort(),
  );
const float = (bytes: Uint8Array, dtype: FloatDtype = 'F32') => [...toFloat32(bytes, dtype)];

describe('making', () => {
  test('holds old and new rows in ascending order, rounded to the dtype', async () => {
    const folder = tiny({ dtype: 'BF16' });
    const patch = await make(folder);
    const [up, , down] = patch.entries;
    expect([...up!.indices]).toEqual([3, 7, 20]);
    const before = openCheckpoint(folder).tensors;
    expect(float(up!.oldRows, 'BF16')).toEqual([...readRowsF32(before.get(UP)!, [3, 7, 20])]);
    const given = noise(48, 50);
    const wanted = [...given.slice(16, 48), ...given.slice(0, 16)];
    expect(up!.newRows).toEqual(fromFloat32(Float32Array.from(wanted), 'BF16'));
    expect(down!.oldRows).toEqual(readColumnsBytes(before.get(DOWN)!, [0, 23]));
    expect(patch.baseHash).toBe(await checkpointHash(folder));
  });

  test('rows that rounding leaves alone are dropped, and non-finite values refused', async () => {
    const folder = tiny({ dtype: 'BF16' });
    const info = openCheckpoint(folder).tensors.get(UP)!;
    const values = readRowsF32(info, [1, 2, 4]).map((value) => value * (1 + 1e-5));
    values[20] = 5;
    const patch = await make(folder, [{ tensor: UP, axis: 0, indices: [1, 2, 4], values }]);
    expect([...patch.entries[0]!.indices]).toEqual([2]);
    values[3] = Number.NaN;
    const attempt = make(folder, [{ tensor: UP, axis: 0, indices: [1, 2, 4], values }]);
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(/up_proj.weight: the new value of row 1 is not finite/);
  });
});

describe('files', () => {
  test('a patch survives writing and reading, byte for byte', async () => {
    const patch = await make(tiny({ dtype: 'F16' }), changes(), { run: 'r1', steps: 7 });
    const [one, two] = [`${fresh()}.safetensors`, `${fresh()}.safetensors`];
    writePatch(one, patch);
    const back = readPatch(one);
    expect(back).toEqual(patch);
    writePatch(two, back);
    expect(readFileSync(two)).toEqual(readFileSync(one));
    expect([...readHeader(one).tensors.keys()]).toContain(`${UP}.indices`);
  });

  /** Rewrites the JSON header of a patch file; offsets stay. */
  async function damaged(edit: (header: Record<string, never>, data: Buffer) => void): Promise<string> {
    const file = `${fresh()}.safetensors`;
    writePatch(file, await make(tiny()));
    const bytes = readFileSync(file);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    const data = Buffer.from(bytes.subarray(8 + length));
    edit(header, data);
    const json = Buffer.from(JSON.stringify(header));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(file, Buffer.concat([prefix, json, data]));
    return file;
  }
  // biome-ignore lint/suspicious/noExplicitAny: headers are edited into wrong shapes on purpose
  type Loose = any;
  const entries = (header: Loose, edit: (list: Loose) => void) => {
    const list = JSON.parse(header.__metadata__.entries);
    edit(list);
    header.__metadata__.entries = JSON.stringify(list);
  };
  const cases: [string, (header: Loose, data: Buffer) => void, RegExp][] = [
    ['not a patch', (h) => delete h.__metadata__, /not a patch file/],
    ['another version', (h) => (h.__metadata__.version = '2'), /patch version 2/],
    ['no base hash', (h) => delete h.__metadata__.base_hash, /base_hash/],
    ['entries not JSON', (h) => (h.__metadata__.entries = '{'), /metadata entries is missing or not JSON/],
    ['entries not a list', (h) => (h.__metadata__.entries = '{}'), /entries is not a list/],
    ['provenance a list', (h) => (h.__metadata__.provenance = '[]'), /provenance is not an object/],
    ['bad axis', (h) => entries(h, (l) => (l[0].axis = 2)), /an entry of the metadata/],
    ['listed twice', (h) => entries(h, (l) => l.push(l[0])), /listed twice/],
    ['not listed', (h) => entries(h, (l) => l.pop()), /down_proj.*not listed/],
    [
      'wrong matrix shape',
      (h) => entries(h, (l) => (l[0].shape = [24, 17])),
      /up_proj.*shape \[3,16\] where \[3,17\]/,
    ],
    ['indices beyond the matrix', (h) => entries(h, (l) => (l[0].shape = [20, 16])), /not ascending within/],
    [
      'rows missing',
      (h) => Object.assign(h, { [`${UP}.x`]: h[`${UP}.old`], [`${UP}.old`]: undefined }),
      /its old are missing/,
    ],
    [
      'flipped bit',
      (_, data) => (data[data.length - 3]! ^= 1),
      /do not match their recorded sha256|not ascending/,
    ],
    ['hash missing', (h) => entries(h, (l) => delete l[1].new_sha256), /q_proj.*do not match/],
  ];
  test.each(cases)('refused: %s', async (_, edit, message) => {
    const file = await damaged(edit);
    expect(() => readPatch(file)).toThrow(InputError);
    expect(() => readPatch(file)).toThrow(message);
    expect(() => readPatch(file)).toThrow(file);
  });
});

describe('apply and revert', () => {
  const setups: [string, () => string][] = [
    ['one file, F32', () => tiny()],
    ['three shards, BF16', () => tiny({ dtype: 'BF16', shards: 3 })],
    [
      'links into a cache, F16',
      () => {
        const folder = tiny({ dtype: 'F16' });
        const blob = fresh();
        renameSync(path.join(folder, 'model.safetensors'), blob);
        symlinkSync(blob, path.join(folder, 'model.safetensors'));
        return folder;
      },
    ],
  ];
  test.each(setups)('%s: only the rows change, and revert gives the same bytes', async (_, setup) => {
    const folder = setup();
    mkdirSync(path.join(folder, 'original'));
    mkdirSync(path.join(folder, '.cache'));
    for (const name of [
      'tokenizer.json',
      'original/params.json',
      '.cache/x',
      'pytorch_model.bin',
      'm.gguf',
      'stray.safetensors',
    ]) {
      writeFileSync(path.join(folder, name), name);
    }
    const before = files(folder);
    const patch = await make(folder);
    const [out, back] = [fresh(), fresh()];
    await applyPatch(folder, patch, out);
    const base = openCheckpoint(folder);
    const merged = openCheckpoint(out);
    for (const [name, info] of base.tensors) {
      const entry = patch.entries.find((e) => e.tensor === name);
      const want = readTensorF32(info);
      if (entry) {
        const values = toFloat32(entry.newRows, entry.dtype);
        const columns = info.shape[1]!;
        const width = entry.axis === 0 ? columns : info.shape[0]!;
        values.forEach((value, i) => {
          const [line, at] = [entry.indices[Math.floor(i / width)]!, i % width];
          want[entry.axis === 0 ? line * columns + at : at * columns + line] = value;
        });
      }
      expect(merged.tensors.get(name)!.dtype).toBe(info.dtype);
      expect(readTensorF32(merged.tensors.get(name)!)).toEqual(want);
    }
    expect(await merged.hash()).not.toBe(patch.baseHash);
    expect(readdirSync(out).sort()).toEqual(
      [
        ...base.files,
        'config.json',
        'original',
        'tokenizer.json',
        ...(base.files.length > 1 ? ['model.safetensors.index.json'] : []),
      ].sort(),
    );
    await revertPatch(out, patch, back);
    const reverted = files(back);
    expect(Object.keys(reverted)).toEqual(Object.keys(files(out)));
    for (const name of Object.keys(reverted)) expect([name, reverted[name]]).toEqual([name, before[name]]);
    for (const name of base.files) {
      expect(readFileSync(path.join(back, name))).toEqual(readFileSync(path.join(folder, name)));
    }
    expect(await checkpointHash(back)).toBe(patch.baseHash);
    expect(files(folder)).toEqual(before);
  });

  const leavesNothing = async (attempt: Promise<unknown>, out: string, message: RegExp) => {
    await expect(attempt).rejects.toThrow(InputError);
    await expect(attempt).rejects.toThrow(message);
    const parent = path.dirname(out);
    if (existsSync(parent) && statSync(parent).isDirectory())
      expect(readdirSync(parent).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
  };

  test('stops between files when asked to, and leaves nothing', async () => {
    const folder = tiny();
    const patch = await make(folder);
    for (const work of [applyPatch, revertPatch]) {
      const out = fresh();
      const merged = fresh();
      await applyPatch(folder, patch, merged);
      const attempt = work(work === applyPatch ? folder : merged, patch, out, { aborted: true });
      await expect(attempt).rejects.toThrow(Cancelled);
      expect(existsSync(out)).toBe(false);
      expect(readdirSync(root).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    }
  });

  test('refuses another base, the base itself, a folder inside it, and a taken folder', async () => {
    const folder = tiny();
    const patch = await make(folder);
    const other = tiny({ config: { rms_norm_eps: 1e-5 } });
    const before = files(folder);
    const out = fresh();
    await leavesNothing(applyPatch(other, patch, out), out, /is not that of the patch's base/);
    await leavesNothing(applyPatch(folder, patch, folder), folder, /which is never changed/);
    const inside = path.join(folder, 'a', 'b');
    await leavesNothing(applyPatch(folder, patch, inside), inside, /which is never changed/);
    const link = fresh();
    symlinkSync(folder, link);
    await leavesNothing(applyPatch(folder, patch, path.join(link, 'x')), link, /which is never changed/);
    await leavesNothing(applyPatch(folder, patch, other), other, /exists and is not empty/);
    const file = path.join(folder, 'config.json', 'x');
    await leavesNothing(
      applyPatch(other, await make(other), file),
      file,
      /a part of the path is a file|a file is in the way/,
    );
    expect(files(folder)).toEqual(before);
    expect(existsSync(out)).toBe(false);
    mkdirSync(out);
    await applyPatch(folder, patch, out); // an empty folder will do
    expect(existsSync(path.join(out, 'config.json'))).toBe(true);
  });

  test('revert refuses a folder without the patch, and one with further changes', async () => {
    const folder = tiny();
    const patch = await make(folder);
    const out = fresh();
    await leavesNothing(revertPatch(folder, patch, out), out, /row 3 is not what the patch expects/);
    const merged = fresh();
    await applyPatch(folder, patch, merged);
    const second = await make(merged, [{ tensor: UP, axis: 0, indices: [5], values: noise(16, 9) }]);
    const twice = fresh();
    await applyPatch(merged, second, twice);
    await leavesNothing(revertPatch(twice, patch, out), out, /holds other changes too/);
    await revertPatch(twice, second, out);
    expect(await checkpointHash(out)).toBe(await checkpointHash(merged));
  });
});

describe('scale and stack', () => {
  test('scaling interpolates and extrapolates; 1 is the same patch, 0 nothing', async () => {
    const patch = await make(tiny());
    expect(scalePatch(patch, 1)).toBe(patch);
    expect(scalePatch(patch, 0).entries).toEqual([]);
    for (const scale of [0.25, 2, -1]) {
      const scaled = scalePatch(patch, scale);
      patch.entries.forEach((entry, i) => {
        const [old, next] = [float(entry.oldRows), float(entry.newRows)];
        const want = old.map((value, k) => Math.fround(value + scale * (next[k]! - value)));
        expect(float(scaled.entries[i]!.newRows)).toEqual(want);
        expect(scaled.entries[i]!.oldRows).toEqual(entry.oldRows);
      });
    }
    expect(scalePatch(scalePatch(patch, 0.5), 3).provenance.scale).toBe(1.5);
    expect(() => scalePatch(patch, Number.NaN)).toThrow(InputError);
    const half = await make(tiny({ dtype: 'F16' }));
    expect(() => scalePatch(half, 1e9)).toThrow(/is not finite in F16/);
  });

  test('stacked patches add where they meet and keep their own rows elsewhere, in any order', async () => {
    const folder = tiny({ dtype: 'BF16' });
    const one = await make(folder, [{ tensor: UP, axis: 0, indices: [2, 5], values: noise(32, 1) }]);
    const two = await make(folder, [
      { tensor: UP, axis: 0, indices: [5, 6], values: noise(32, 2) },
      { tensor: DOWN, axis: 1, indices: [1], values: noise(16, 3) },
    ]);
    const both = stackPatches([one, two]);
    const [up, down] = both.entries;
    expect([...up!.indices]).toEqual([2, 5, 6]);
    const row = (bytes: Uint8Array, i: number) => bytes.subarray(i * 32, (i + 1) * 32);
    expect(row(up!.newRows, 0)).toEqual(row(one.entries[0]!.newRows, 0));
    expect(row(up!.newRows, 2)).toEqual(row(two.entries[0]!.newRows, 1));
    const [old, a, b] = [
      row(up!.oldRows, 1),
      row(one.entries[0]!.newRows, 1),
      row(two.entries[0]!.newRows, 0),
    ].map((bytes) => float(bytes, 'BF16'));
    const sum = Float32Array.from(old!, (value, i) => value + (a![i]! - value) + (b![i]! - value));
    expect(row(up!.newRows, 1)).toEqual(fromFloat32(sum, 'BF16'));
    expect(down).toEqual(two.entries[1]);
    expect(stackPatches([two, one]).entries.find((e) => e.tensor === UP)).toEqual(up);
    const out = fresh();
    await applyPatch(folder, both, out);
  });

  test('refuses patches that cannot be stacked', async () => {
    const folder = tiny();
    const patch = await make(folder);
    expect(() => stackPatches([])).toThrow(InputError);
    expect(() => stackPatches([patch, { ...patch, baseHash: 'f'.repeat(64) }])).toThrow(
      /different checkpoints/,
    );
    const columns = await make(folder, [{ tensor: UP, axis: 1, indices: [1], values: noise(24, 1) }]);
    expect(() => stackPatches([patch, columns])).toThrow(/one changes rows and another columns/);
    const other: Patch = {
      ...patch,
      entries: patch.entries.map((e) => ({ ...e, oldRows: e.newRows, newRows: e.oldRows })),
    };
    expect(() => stackPatches([patch, other])).toThrow(/disagree about the base's row 3/);
  });
});

describe('PEFT export', () => {
  test.each(['F32', 'BF16'] as const)('%s: base + B A equals the merged weights', async (dtype) => {
    const folder = tiny({ dtype });
    const patch = await make(folder);
    const [merged, adapter] = [fresh(), fresh()];
    await applyPatch(folder, patch, merged);
    await exportPeft(patch, adapter, { baseModel: 'some/base' });
    const config = JSON.parse(readFileSync(path.join(adapter, 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      peft_type: 'LORA',
      base_model_name_or_path: 'some/base',
      r: 6,
      lora_alpha: 6,
    });
    expect(config.rank_pattern).toEqual(config.alpha_pattern);
    const { tensors } = readHeader(path.join(adapter, 'adapter_model.safetensors'));
    expect(tensors.size).toBe(6);
    const [base, after] = [openCheckpoint(folder).tensors, openCheckpoint(merged).tensors];
    for (const entry of patch.entries) {
      const name = entry.tensor.replace(/\.weight$/, '');
      const rank = config.rank_pattern[name];
      expect(rank).toBe(entry.indices.length);
      const [a, b] = ['lora_A', 'lora_B'].map((part) =>
        readTensorF32(tensors.get(`base_model.model.${name}.${part}.weight`)!),
      );
      const [rows, columns] = entry.shape;
      const want = readTensorF32(after.get(entry.tensor)!);
      const got = readTensorF32(base.get(entry.tensor)!).map((value, at) => {
        const [r, c] = [Math.floor(at / columns), at % columns];
        let sum = value;
        for (let k = 0; k < rank; k++) sum += b![r * rank + k]! * a![k * columns + c]!;
        return sum;
      });
      expect(got.length).toBe(rows * columns);
      const worst = Math.max(...got.map((value, i) => Math.abs(value - want[i]!)));
      expect(worst).toBeLessThanOrEqual(dtype === 'BF16' ? 0 : 1.2e-7);
    }
  });

  test('refuses what a LoRA cannot hold, and an empty patch', async () => {
    const folder = tiny();
    const embedding = await make(folder, [
      { tensor: 'model.embed_tokens.weight', axis: 0, indices: [1], values: noise(16, 1) },
    ]);
    await expect(exportPeft(embedding, fresh())).rejects.toThrow(
      /embed_tokens.weight: a LoRA adapter holds linear/,
    );
    await expect(exportPeft({ ...embedding, entries: [] }, fresh())).rejects.toThrow(InputError);
  });
});
