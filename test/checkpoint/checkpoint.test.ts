import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkpointHash, openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { fromFloat32 } from '../../server/checkpoint/dtype.ts';
import { readTensorF32 } from '../../server/checkpoint/safetensors.ts';
import { Cancelled, InputError } from '../../server/errors.ts';
import { type TinyOptions, writeTiny } from './tiny.ts';

let root: string;
let count = 0;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'checkpoint-'));
});
afterAll(() => rmSync(root, { recursive: true }));
const tiny = (options?: TinyOptions) => writeTiny(path.join(root, `c${count++}`), options);

describe('opening', () => {
  test('single file and shards give the same tensors', () => {
    const single = openCheckpoint(tiny());
    const sharded = openCheckpoint(tiny({ shards: 3 }));
    expect([...sharded.tensors.keys()]).toEqual([...single.tensors.keys()]);
    for (const [name, info] of single.tensors) {
      expect(readTensorF32(sharded.tensors.get(name)!)).toEqual(readTensorF32(info));
    }
    expect(single.config.headDim).toBe(6);
    expect(single.ignored).toEqual([]);
  });

  test('rotary buffers and an equal copy of tied embeddings are harmless', () => {
    const { tensors, ignored } = openCheckpoint(
      tiny({
        config: { tie_word_embeddings: true },
        edit: (list) => [
          ...list,
          { ...list[0]!, name: 'lm_head.weight' },
          {
            name: 'model.layers.0.self_attn.rotary_emb.inv_freq',
            dtype: 'F32',
            shape: [3],
            data: new Uint8Array(12),
          },
        ],
      }),
    );
    expect(tensors.has('lm_head.weight')).toBe(false);
    expect([...ignored].sort()).toEqual(['lm_head.weight', 'model.layers.0.self_attn.rotary_emb.inv_freq']);
  });

  const edited = (edit: TinyOptions['edit'], rest: TinyOptions = {}) => tiny({ ...rest, edit: edit! });
  const remap = (change: (map: Record<string, unknown>) => unknown) => {
    const folder = tiny({ shards: 2 });
    const file = path.join(folder, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(file, 'utf8'));
    index.weight_map = change(index.weight_map) ?? index.weight_map;
    writeFileSync(file, JSON.stringify(index));
    return folder;
  };
  const norm = 'model.norm.weight';
  const cases: [string, () => string, RegExp][] = [
    [
      'no weights',
      () => {
        const folder = tiny();
        rmSync(path.join(folder, 'model.safetensors'));
        return folder;
      },
      /neither model.safetensors nor/,
    ],
    [
      'only pickled weights',
      () => {
        const folder = tiny();
        rmSync(path.join(folder, 'model.safetensors'));
        writeFileSync(path.join(folder, 'pytorch_model.bin'), '');
        return folder;
      },
      /Convert pytorch_model.bin/,
    ],
    [
      'missing tensor',
      () => edited((list) => list.filter((t) => t.name !== norm)),
      /"model.norm.weight": missing/,
    ],
    [
      'wrong shape',
      () => edited((list) => list.map((t) => (t.name === norm ? { ...t, shape: [4, 4] } : t))),
      /"model.norm.weight": shape \[4,4\] where .*config.json makes it \[16\]/,
    ],
    [
      'integer weights',
      () => edited((list) => list.map((t) => (t.name === norm ? { ...t, dtype: 'I32' } : t))),
      /"model.norm.weight": dtype I32/,
    ],
    [
      'foreign tensor',
      () => edited((list) => [...list, { ...list[1]!, name: 'model.layers.0.self_attn.q_norm.weight' }]),
      /q_norm.weight": not a part of a llama model/,
    ],
    [
      'more layers than tensors',
      () => {
        const folder = tiny();
        const file = path.join(folder, 'config.json');
        writeFileSync(
          file,
          readFileSync(file, 'utf8').replace('"num_hidden_layers":2', '"num_hidden_layers":2000000000'),
        );
        return folder;
      },
      /field num_hidden_layers: 2000000000 layers, but/,
    ],
    ['config of another size', () => edited((list) => list.slice(0, 10)), /missing/],
    [
      'lm_head that differs from tied embeddings',
      () =>
        edited((list) => [...list, { ...list[0]!, name: 'lm_head.weight', data: new Uint8Array(2048) }], {
          config: { tie_word_embeddings: true },
        }),
      /"lm_head.weight": differs from model.embed_tokens.weight/,
    ],
    ['no weight_map', () => remap(() => []), /field weight_map: not a map/],
    [
      'shard name with a path',
      () => remap((map) => ({ ...map, [norm]: '../x.safetensors' })),
      /not a shard's file/,
    ],
    [
      'shard name not text',
      () => remap((map) => ({ ...map, [norm]: 1 })),
      /weight_map.model.norm.weight: 1 is not/,
    ],
    [
      'missing shard',
      () => remap((map) => ({ ...map, [norm]: 'gone.safetensors' })),
      /the shard .*gone.* is missing/,
    ],
    [
      'tensor not in its shard',
      () => remap((map) => ({ ...map, extra: map[norm] })),
      /"extra": missing, though model.safetensors.index.json/,
    ],
  ];
  test.each(cases)('refused: %s', (_, make, message) => {
    const folder = make();
    const attempt = () => openCheckpoint(folder);
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
  });
});

describe('hash', () => {
  test('depends on the weights and the architecture, not on sharding, spelling or token ids', async () => {
    const base = await checkpointHash(tiny());
    expect(base).toMatch(/^[0-9a-f]{64}$/);
    expect(await checkpointHash(tiny({ shards: 2 }))).toBe(base);
    expect(await checkpointHash(tiny({ config: { eos_token_id: 9, torch_dtype: 'float32' } }))).toBe(base);
    const rope = { rope_parameters: { rope_type: 'default', rope_theta: 10000 } };
    expect(await checkpointHash(tiny({ config: rope }))).toBe(base);
    const others = [
      tiny({ config: { rms_norm_eps: 1e-5 } }),
      tiny({ dtype: 'BF16' }),
      tiny({
        edit: (list) => list.map((t, i) => (i === 3 ? { ...t, data: flip(t.data as Uint8Array) } : t)),
      }),
    ];
    const hashes = await Promise.all(others.map(checkpointHash));
    expect(new Set([base, ...hashes]).size).toBe(4);
  });

  test('a file that changed is hashed again', async () => {
    const folder = tiny();
    const checkpoint = openCheckpoint(folder);
    const before = await checkpoint.hash();
    expect(await checkpoint.hash()).toBe(before);
    const file = path.join(folder, 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    await new Promise((resolve) => setTimeout(resolve, 20)); // a new modification time
    writeFileSync(file, bytes);
    expect(await checkpoint.hash()).not.toBe(before);
  });

  function flip(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice();
    copy[0]! ^= 1;
    return copy;
  }
});

describe('non-finite weights', () => {
  test.each(['F32', 'F16', 'BF16'] as const)('%s: the tensor and the index are named', async (dtype) => {
    const plant = (value: number): TinyOptions => ({
      dtype,
      edit: (list) =>
        list.map((t) => {
          if (t.name !== 'model.layers.1.mlp.down_proj.weight') return t;
          const values = new Float32Array(16 * 24).fill(0.25);
          values[5 * 24 + 7] = value;
          return { ...t, data: fromFloat32(values, dtype) };
        }),
    });
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const check = openCheckpoint(tiny(plant(value))).hash();
      await expect(check).rejects.toThrow(InputError);
      await expect(check).rejects.toThrow(/layers\.1\.mlp\.down_proj\.weight": element \[5,7\]/);
    }
    await openCheckpoint(tiny(plant(dtype === 'F16' ? 65504 : 3e38))).hash();
  });

  test('can be cancelled', async () => {
    const checkpoint = openCheckpoint(tiny());
    const cancelled = checkpoint.hash(AbortSignal.abort());
    // One that waits for the same reading is not cancelled with it.
    const other = checkpoint.hash();
    await expect(cancelled).rejects.toThrow(Cancelled);
    await expect(other).resolves.toMatch(/^[0-9a-f]{64}$/);
  });
});
