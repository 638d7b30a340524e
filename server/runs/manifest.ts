import fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { withFileErrors, writeFileAtomic } from './atomic.ts';

export const MANIFEST_NAME = 'manifest.json';
/** Marks a manifest as ours: other programs use the same file name. */
const FORMAT = 'circuit-amplifier-run/1';
const START_OVER = 'Choose another --out, or start over with --fresh.';

/** A file or folder that a run depends on: the path is for people, the hash decides. */
export interface Source {
  path: string;
  hash: string;
}

/** What a run is made from. Equal setups give equal artefacts on the same device. */
export interface RunSetup {
  product: { name: string; version: string };
  model: Source | null;
  /** Problem sets, control suites and other files from outside the run, by role. */
  data: Record<string, Source>;
  seed: number;
  /** Where the model runs (cpu, cuda, ...), as resolved, not `auto`. */
  device: string;
  /** Versions that results may depend on: node, onnxruntime, ... */
  versions: Record<string, string>;
  /** Settings of every stage that this run performs, in their order. JSON values. */
  stages: Record<string, Record<string, unknown>>;
}

export type RunStatus = 'running' | 'finished' | 'cancelled' | 'failed';

/** manifest.json of a run folder. */
export interface Manifest extends RunSetup {
  format: typeof FORMAT;
  /** ISO 8601. */
  created: string;
  finished: string | null;
  status: RunStatus;
  /** One line, when the run failed. */
  error: string | null;
}

/** A manifest for a run that begins now. */
export function newManifest(setup: RunSetup): Manifest {
  const manifest: Manifest = {
    format: FORMAT,
    ...setup,
    created: new Date().toISOString(),
    finished: null,
    status: 'running',
    error: null,
  };
  return JSON.parse(JSON.stringify(manifest)) as Manifest;
}

/** Reads the manifest of a folder; null when the folder has none. InputError when it is not one of ours. */
export function readManifest(folder: string): Manifest | null {
  const file = path.join(folder, MANIFEST_NAME);
  if (!fs.existsSync(file)) return null;
  const text = withFileErrors(file, () => fs.readFileSync(file, 'utf8'));
  let value: Partial<Manifest> | null = null;
  try {
    value = JSON.parse(text) as Partial<Manifest>;
  } catch {
    // Reported below: not JSON is not ours.
  }
  const ours =
    isObject(value) &&
    value.format === FORMAT &&
    typeof value.product?.name === 'string' &&
    typeof value.product.version === 'string' &&
    typeof value.created === 'string' &&
    (value.model === null || isSource(value.model)) &&
    isObject(value.data) &&
    Object.values(value.data).every(isSource) &&
    isObject(value.stages);
  if (!ours) throw new InputError(file, 'is not the manifest of a run', 'Choose another folder.');
  return value as Manifest;
}

export function writeManifest(folder: string, manifest: Manifest): void {
  const file = path.join(folder, MANIFEST_NAME);
  writeFileAtomic(file, `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * The stored manifest with the stages and data that `setup` adds. What both name must be equal: model hash, data hashes,
 * seed, stage settings, major product version. Devices may differ (the journal records each); bit-identity then ends.
 * @throws InputError naming the first field that differs
 */
export function continueManifest(file: string, stored: Manifest, setup: RunSetup): Manifest {
  const asked = newManifest(setup);
  refuseChange(file, 'product.version (major)', major(stored), major(asked));
  refuseChange(file, 'model hash', stored.model?.hash ?? null, asked.model?.hash ?? null);
  refuseChange(file, 'seed', stored.seed, asked.seed);
  for (const [name, source] of Object.entries(asked.data)) {
    if (stored.data[name]) refuseChange(file, `data.${name} hash`, stored.data[name].hash, source.hash);
  }
  for (const [name, config] of Object.entries(asked.stages)) {
    if (stored.stages[name]) refuseChange(file, `stages.${name}`, stored.stages[name], config);
  }
  return {
    ...asked,
    model: asked.model ?? stored.model,
    data: { ...stored.data, ...asked.data },
    stages: { ...stored.stages, ...asked.stages },
    created: stored.created,
  };
}

function major(manifest: Manifest): number {
  return Number.parseInt(manifest.product.version, 10);
}

/** Compares JSON values field by field, so that the message names the innermost field. */
function refuseChange(file: string, field: string, stored: unknown, asked: unknown): void {
  if (isObject(stored) && isObject(asked)) {
    for (const key of new Set([...Object.keys(stored), ...Object.keys(asked)])) {
      refuseChange(file, `${field}.${key}`, stored[key], asked[key]);
    }
  } else if (JSON.stringify(stored) !== JSON.stringify(asked)) {
    throw new InputError(
      file,
      `${field} is ${brief(stored)} in this run and ${brief(asked)} now`,
      START_OVER,
    );
  }
}

function isSource(value: unknown): boolean {
  return isObject(value) && typeof value.path === 'string' && typeof value.hash === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
