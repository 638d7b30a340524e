/**
 * Merged checkpoints and adapters of every fixture, exported anew: byte for byte the files that transformers and peft have
 * read (make_exports.py), and the logits that they computed from them.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import { readRowsF32, readTensorF32, type TensorInfo } from '../../server/checkpoint/safetensors.ts';
import { Runner } from '../../server/generate/forward.ts';
import { ComponentSpace, circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import type { Delta, Overlay } from '../../server/model/overlay.ts';
import { applyPatch } from '../../server/patch/apply.ts';
import { patchOverlay } from '../../server/patch/overlay.ts';
import { createPatch, type Patch } from '../../server/patch/patch.ts';
import { exportPeft } from '../../server/patch/peft.ts';
import { Rng } from '../../server/random.ts';
import { maxAbs } from '../model/compare.ts';
import {
  checkpointFolder,
  loadOracle,
  type OracleName,
  oracleNames,
  readDocument,
  type Tensor,
} from '../oracle.ts';

/** What make_exports.py writes of one checkpoint. */
interface Exported {
  ids: number[];
  /** Positions of the logits. */
  rows: number[];
  sha256: Record<'merged' | 'adapter', Record<string, string>>;
  /** Tensors that differ from the base's, as the safetensors package reads them. */
  changed: string[];
  /** Logits [rows, V] of transformers with the merged checkpoint, and of peft with the base and the adapter. */
  merged: Tensor;
  adapter: Tensor;
}

const root = mkdtempSync(path.join(tmpdir(), 'exports-'));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: OracleName, kind: 'merged' | 'adapter') => path.join(root, name, kind);
const patches = new Map<OracleName, Patch>();

beforeAll(async () => {
  for (const name of oracleNames) {
    const folder = checkpointFolder(name);
    const patch = await patchOf(folder, new Rng(name));
    patches.set(name, patch);
    await applyPatch(folder, patch, at(name, 'merged'));
    await exportPeft(patch, at(name, 'adapter'));
  }
  // A Python with torch, transformers and peft: writes anew what the tests compare with.
  if (!process.env.CCA_PYTHON) return;
  const jobs = oracleNames.map((name) => ({
    name,
    base: checkpointFolder(name),
    merged: at(name, 'merged'),
    adapter: at(name, 'adapter'),
    ids: loadOracle(name).logits.ids,
  }));
  const script = path.join(import.meta.dirname, 'make_exports.py');
  execFileSync(process.env.CCA_PYTHON, [script, JSON.stringify(jobs)], { stdio: 'inherit' });
}, 900_000);

/**
 * Every third component changed: heads and neurons of every kind and layer, with gate rows and down columns; two columns
 * of the first o_proj; and two rows of the head where it is a matrix of its own.
 */
async function patchOf(folder: string, rng: Rng): Promise<Patch> {
  const { arch, config, checkpoint } = await Model.load(folder);
  const circuit = new ComponentSpace(config).circuit((i) => i % 3 === 1);
  for (const layers of Object.values(circuit)) expect(layers.flat().length).toBeGreaterThan(0);
  const lines: Omit<Delta, 'delta'>[] = circuitDeltas(arch, circuit, 'up+gate+down');
  lines.push({ tensor: arch.weight(0, 'o_proj'), axis: 1, indices: Int32Array.of(3, 17) });
  if (arch.head !== arch.embedding)
    lines.push({ tensor: arch.head, axis: 0, indices: Int32Array.of(40, 211) });
  return createPatch(
    checkpoint,
    lines.map((line) => ({
      ...line,
      values: stored(checkpoint.tensors.get(line.tensor)!, line).map((x) => x + 0.2 * (rng.float() - 0.5)),
    })),
  );
}

/** Rows or columns of a tensor, one after another. */
function stored(info: TensorInfo, { axis, indices }: Omit<Delta, 'delta'>): Float32Array {
  if (axis === 0) return readRowsF32(info, indices);
  const [, columns] = info.shape as [number, number];
  const all = readTensorF32(info);
  return Float32Array.from([...indices].flatMap((index) => [...all.filter((_, i) => i % columns === index)]));
}

function hashes(folder: string, names: readonly string[]): Record<string, string> {
  const sha256 = (name: string) =>
    createHash('sha256')
      .update(readFileSync(path.join(folder, name)))
      .digest('hex');
  return Object.fromEntries(names.map((name) => [name, sha256(name)]));
}

describe.each(oracleNames)('%s', (name) => {
  let exported: Exported;
  beforeAll(() => {
    exported = readDocument<Record<OracleName, Exported>>(path.join(import.meta.dirname, 'fixtures/exports'))[
      name
    ];
  });

  test('the files are those that transformers and peft have read', () => {
    for (const kind of ['merged', 'adapter'] as const) {
      const known = exported.sha256[kind];
      const weights = readdirSync(at(name, kind)).filter((file) => file.endsWith('.safetensors'));
      expect(Object.keys(known)).toEqual(expect.arrayContaining(weights));
      expect(hashes(at(name, kind), Object.keys(known))).toEqual(known);
    }
  });

  test('untouched tensors are byte-identical', () => {
    const [base, merged] = [checkpointFolder(name), at(name, 'merged')].map((f) => openCheckpoint(f).tensors);
    const bytes = (info: TensorInfo) =>
      readFileSync(info.path).subarray(info.fileOffset, info.fileOffset + info.byteLength);
    const differ = [...base!].filter(([tensor, info]) => !bytes(info).equals(bytes(merged!.get(tensor)!)));
    const changed = differ.map(([tensor]) => tensor).sort();
    expect(changed).toEqual(
      patches
        .get(name)!
        .entries.map((entry) => entry.tensor)
        .sort(),
    );
    expect(changed).toEqual(exported.changed);
    expect(changed.length).toBeLessThan(base!.size);
  });

  test('merged, and as changes of the base: the logits of transformers and peft', async () => {
    const { ids, rows } = exported;
    const logits = async (model: Model, overlay?: Overlay) => {
      const [out] = await (await Runner.create(model, overlay)).forward([{ ids, rows }]);
      return out!.logits;
    };
    const [base, merged] = [await Model.load(checkpointFolder(name)), await Model.load(at(name, 'merged'))];
    const ofMerged = await logits(merged);
    // The head is no part of any circuit: an overlay holds it whole.
    const { deltas } = patchOverlay(patches.get(name)!);
    const head = merged.checkpoint.tensors.get(merged.arch.head)!;
    const ofOverlay = await logits(base, {
      deltas: deltas.filter(({ tensor }) => tensor !== base.arch.head),
      lowRank: [],
      dense: new Map([[base.arch.head, { data: readTensorF32(head), dims: head.shape }]]),
    });
    const unchanged = await logits(base);
    await Promise.all([base.release(), merged.release()]);
    expect(exported.merged.shape).toEqual([rows.length, base.config.vocabSize]);
    expect(maxAbs(unchanged, exported.merged.data)).toBeGreaterThan(0.05);
    expect(maxAbs(ofMerged, exported.merged.data)).toBeLessThan(2e-5);
    expect(maxAbs(ofMerged, exported.adapter.data)).toBeLessThan(2e-5);
    expect(maxAbs(ofOverlay, exported.adapter.data)).toBeLessThan(2e-5);
  });
});
