/** Requests about patch files, and exports. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { readHeader } from '../checkpoint/safetensors-header.ts';
import { InputError } from '../errors.ts';
import * as protocol from '../protocol/runs.ts';
import { readManifest } from '../runs/manifest.ts';
import type { ParamsOf } from './answers.ts';
import * as check from './check.ts';
import { findRuns } from './run-rows.ts';
import { modelRef, type Services } from './services.ts';
import { patchRef } from './traces.ts';

const FORMAT = 'circuit-amplifier.patch';

export function answerPatches(services: Services): void {
  const { answers, engine } = services;

  answers.on(
    protocol.patches,
    check.object<ParamsOf<typeof protocol.patches>>({ folders: check.list(check.text) }),
    ({ folders }) => listPatches(folders),
  );

  answers.on(
    protocol.exportPatches,
    check.object<ParamsOf<typeof protocol.exportPatches>>({
      model: check.text,
      patches: check.list(patchRef),
      as: check.oneOf('checkpoint', 'patch', 'peft'),
      out: check.text,
    }),
    async ({ model, patches, as, out }, { signal }) => {
      refuseNone(patches);
      const job = ({ checkpoint: 'apply', patch: 'exportPatch', peft: 'exportAdapter' } as const)[as];
      const { rows } = await engine.call(job, { model, patches, scale: 1, out }, { signal });
      return { out, rows };
    },
    { needsTrust: true },
  );

  answers.on(
    protocol.revertPatches,
    check.object<ParamsOf<typeof protocol.revertPatches>>({
      model: check.text,
      patches: check.list(patchRef),
      out: check.text,
    }),
    async ({ model, patches, out }, { signal }) => {
      refuseNone(patches);
      const { hash } = await engine.call('revert', { model, patches, scale: 1, out }, { signal });
      return { out, hash };
    },
    { needsTrust: true },
  );

  answers.on(
    protocol.exportPairs,
    check.object<ParamsOf<typeof protocol.exportPairs>>({
      run: check.text,
      as: check.oneOf('pts', 'dpo'),
      out: check.text,
    }),
    async ({ run, as, out }, { signal }) => {
      const model = readManifest(run)?.model?.path;
      if (model === undefined) throw new InputError(run, 'is not the folder of a run', 'Choose a run.');
      const ref = modelRef(model, services.options);
      const params = { model: ref, format: as, pairs: path.resolve(run), traces: null, out };
      const { records } = await engine.callOn('exportPairs', ref, params, { signal });
      return { out, records };
    },
    { needsTrust: true },
  );
}

function refuseNone(patches: readonly unknown[]): void {
  if (patches.length === 0) throw new InputError('patches', 'none is chosen', 'Switch one on first.');
}

/** Patch files of runs and of `patches` folders, newest first. */
function listPatches(folders: readonly string[]): {
  patches: protocol.PatchRow[];
  broken: { file: string; problem: string }[];
} {
  const runs = findRuns(folders);
  const models = new Map<string, string>();
  for (const run of runs) {
    const model = modelOf(run);
    if (model) models.set(model.hash, model.path);
  }
  const patches: protocol.PatchRow[] = [];
  const broken: { file: string; problem: string }[] = [];
  const places = [
    ...runs.map((run) => ({ folder: run, run })),
    ...folders.map((folder) => ({ folder: path.join(path.resolve(folder), 'patches'), run: null })),
  ];
  for (const { folder, run } of places) {
    for (const file of safetensorsIn(folder)) {
      try {
        const row = patchRow(file, run, models);
        if (row) patches.push(row);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        broken.push({ file, problem: error.message });
      }
    }
  }
  patches.sort((a, b) => b.created.localeCompare(a.created) || a.file.localeCompare(b.file));
  return { patches, broken };
}

function modelOf(run: string): { path: string; hash: string } | null {
  try {
    return readManifest(run)?.model ?? null;
  } catch {
    return null;
  }
}

function safetensorsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.safetensors'))
      .sort()
      .map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

/** A patch by its header alone; null for a file of another kind. */
function patchRow(
  file: string,
  run: string | null,
  models: ReadonlyMap<string, string>,
): protocol.PatchRow | null {
  const { metadata, tensors } = readHeader(file);
  if (metadata.format !== FORMAT) return null;
  const indices = [...tensors.values()].filter(({ name }) => name.endsWith('.indices'));
  const news = [...tensors.values()].filter(({ name }) => name.endsWith('.new'));
  const extent = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const name = path.basename(file, '.safetensors');
  return {
    file,
    name: run === null ? name : name === 'patch' ? path.basename(run) : `${path.basename(run)}: ${name}`,
    run,
    model: models.get(metadata.base_hash ?? '') ?? null,
    matrices: indices.length,
    rows: indices.reduce((sum, { shape }) => sum + extent(shape), 0),
    weights: news.reduce((sum, { shape }) => sum + extent(shape), 0),
    created: statSync(file).mtime.toISOString(),
  };
}
