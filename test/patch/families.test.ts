/** Patches of every decoder family: merged checkpoints and adapters give the logits of the changed model. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRowsF32, readTensorF32, type TensorInfo } from '../../server/checkpoint/safetensors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { ComponentSpace, circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import type { Delta, Overlay } from '../../server/model/overlay.ts';
import { applyPatch } from '../../server/patch/apply.ts';
import { patchOverlay } from '../../server/patch/overlay.ts';
import { createPatch, type Patch } from '../../server/patch/patch.ts';
import { exportPeft } from '../../server/patch/peft.ts';
import { maxAbs } from '../model/compare.ts';
import { familyNames, loadOracle } from '../oracle.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'family-patches-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** Every third component changed: heads and neurons of every kind and layer, with gate rows and down columns. */
async function patchOf(model: Model): Promise<Patch> {
  const space = new ComponentSpace(model.config);
  const circuit = space.circuit((i) => i % 3 === 1);
  for (const layers of Object.values(circuit)) expect(layers.flat().length).toBeGreaterThan(0);
  const deltas = circuitDeltas(model.arch, circuit, 'up+gate+down');
  return createPatch(
    model.checkpoint,
    deltas.map((delta) => ({
      ...delta,
      values: changed(model.checkpoint.tensors.get(delta.tensor)!, delta),
    })),
  );
}

function changed(info: TensorInfo, { axis, indices }: Delta): Float32Array {
  const [, columns] = info.shape as [number, number];
  const noise = (value: number, i: number) => value + Math.sin(1 + 0.7 * i) / 10;
  if (axis === 0) return readRowsF32(info, indices).map(noise);
  const all = readTensorF32(info);
  const column = (index: number) => all.filter((_, at) => at % columns === index);
  return Float32Array.from([...indices].flatMap((index) => [...column(index)])).map(noise);
}

async function logitsOf(model: Model, ids: readonly number[], overlay?: Overlay): Promise<Float32Array> {
  const runner = await Runner.create(model, overlay);
  const [out] = await runner.forward([{ ids, rows: ids.map((_, i) => i) }]);
  return out!.logits;
}

describe.each(familyNames)('%s', (name) => {
  test('merged: the patched logits, untouched tensors byte-identical', async () => {
    const { folder, logits } = loadOracle(name);
    const base = await Model.load(folder);
    const patch = await patchOf(base);
    const out = path.join(root, name, 'merged');
    await applyPatch(folder, patch, out);
    const merged = await Model.load(out);
    const actual = await logitsOf(merged, logits.ids);
    expect(maxAbs(actual, await logitsOf(base, logits.ids, patchOverlay(patch)))).toBeLessThan(2e-5);
    expect(maxAbs(actual, logits.values.data)).toBeGreaterThan(0.05);
    const touched = new Set(patch.entries.map((entry) => entry.tensor));
    const bytes = (info: TensorInfo) =>
      readFileSync(info.path).subarray(info.fileOffset, info.fileOffset + info.byteLength);
    for (const [tensor, info] of base.checkpoint.tensors) {
      const same = bytes(info).equals(bytes(merged.checkpoint.tensors.get(tensor)!));
      expect(same, tensor).toBe(!touched.has(tensor));
    }
    await exportPeft(patch, path.join(root, name, 'adapter'));
    writeFileSync(path.join(root, name, 'logits'), actual);
    await Promise.all([base.release(), merged.release()]);
  });
});

// CCA_PYTHON: a Python with torch, transformers and peft.
test.skipIf(!process.env.CCA_PYTHON)(
  'transformers and peft give the same logits',
  { timeout: 300_000 },
  () => {
    const jobs = familyNames.map((name) => {
      const { folder, logits } = loadOracle(name);
      const at = (file: string) => path.join(root, name, file);
      return {
        base: folder,
        merged: at('merged'),
        adapter: at('adapter'),
        logits: at('logits'),
        ids: logits.ids,
      };
    });
    const script = path.join(import.meta.dirname, 'check_families.py');
    const output = execFileSync(process.env.CCA_PYTHON!, [script, JSON.stringify(jobs)], {
      encoding: 'utf8',
    });
    const results: { merged: number; adapter: number; effect: number }[] = JSON.parse(
      output.trim().split('\n').at(-1)!,
    );
    results.forEach(({ merged, adapter, effect }, i) => {
      expect(effect, familyNames[i]).toBeGreaterThan(0.05);
      expect(merged, familyNames[i]).toBeLessThan(2e-5);
      expect(adapter, familyNames[i]).toBeLessThan(2e-4);
    });
  },
);
