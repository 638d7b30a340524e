/** Opening a run folder for a stage, and closing it as the stage ends. */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { readError } from '../data/files.ts';
import { Cancelled } from '../errors.ts';
import { runtimeVersion } from '../onnx/devices.ts';
import type { StageEvent } from '../pipeline/context.ts';
import type { RunContext } from '../pipeline/stages/common.ts';
import type { RunSetup } from '../runs/manifest.ts';
import { openRun } from '../runs/run.ts';
import { pairFiles } from './inputs/pairs.ts';
import { assertFits, describeNeed, footprint, memoryLimit, type Phase } from './memory.ts';
import type { Loaded, ModelRef, Models } from './models.ts';
import type { JobContext } from './rpc.ts';

/** What every job that works in a run folder takes. */
export interface RunParams {
  model: ModelRef;
  /** Run folder. */
  out: string;
  seed: number;
  /** Start over the stages that the job performs. */
  fresh: boolean;
}

/** The model is loaded; the device that runs it, and why. */
export interface ReadyEvent {
  event: 'ready';
  device: string;
  reason: string;
  threads: number;
}

/** A file, a source of pairs (a folder has some), or a folder with the files that are read of it. */
type Source = string | { path: string; files: readonly string[] };

export interface Work {
  /** Files that are read, by role; a resumed run must read the same. Those of one stage: `STAGE.ROLE`. */
  data: Readonly<Record<string, Source>>;
  /** Settings of the stages. */
  stages: RunSetup['stages'];
  /** Stages to start over though they are finished; none unless given. */
  redo?: readonly string[];
}

/**
 * Opens the model and the run folder, does the work in it and records how it ended.
 * @param prepare reads what the work needs, and says what it needs memory for; nothing is written before it has succeeded
 * @throws InputError where memory is short, before any weights are loaded
 */
export function inRunFolder<P, R>(
  models: Models,
  { model: ref, out, seed, fresh }: RunParams,
  { signal, emit }: JobContext<StageEvent | ReadyEvent>,
  prepare: (loaded: Loaded) => Promise<{ work: Work; prepared: P; phases: readonly Phase[] }>,
  perform: (context: RunContext, prepared: P, loaded: Loaded) => Promise<R>,
): Promise<R> {
  return models.open(ref, async (loaded) => {
    const { model, device } = loaded;
    emit({ event: 'ready', device: device.device, reason: device.reason, threads: model.options.threads });
    const { work, prepared, phases } = await prepare(loaded);
    const size = footprint(model.checkpoint, model.options.lean);
    const limit = memoryLimit();
    assertFits(size, phases, limit, ref.folder);
    emit({ event: 'notice', level: 'info', text: describeNeed(size, phases, limit) });
    const setup: RunSetup = {
      product: { name: manifest.name, version: manifest.version },
      model: { path: path.resolve(model.checkpoint.folder), hash: await model.checkpoint.hash(signal) },
      data: await sources(work.data),
      seed,
      device: device.device,
      versions: { node: process.versions.node, onnxruntime: runtimeVersion },
      stages: work.stages,
    };
    const run = openRun(out, setup, { fresh: fresh || (work.redo ?? []) });
    try {
      const result = await perform({ model, run, signal, emit }, prepared, loaded);
      run.close('finished');
      return result;
    } catch (error) {
      const message = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
      if (error instanceof Cancelled) run.close('cancelled');
      else run.close('failed', message);
      throw error;
    }
  });
}

async function sources(data: Work['data']): Promise<RunSetup['data']> {
  const found: RunSetup['data'] = {};
  for (const [role, source] of Object.entries(data)) {
    const folder = typeof source === 'string' ? source : source.path;
    found[role] = { path: path.resolve(folder), hash: await hashSource(source) };
  }
  return found;
}

/** Of a folder the hash is of the names and contents of the files that are read of it. */
async function hashSource(source: Source): Promise<string> {
  if (typeof source !== 'string') return hashFiles(source.path, source.files);
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return hashFile(source);
  const { pairs, documents } = await pairFiles(source);
  return hashFiles(source, [...(pairs === null ? [] : [pairs]), ...documents]);
}

async function hashFiles(folder: string, files: readonly string[]): Promise<string> {
  const sha = createHash('sha256');
  for (const file of files) {
    const name = path.relative(folder, file).split(path.sep).join('/');
    sha.update(`${name}\0${await hashFile(file)}\n`);
  }
  return sha.digest('hex');
}

async function hashFile(file: string): Promise<string> {
  const sha = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) sha.update(chunk);
  } catch (error) {
    throw readError(file, error);
  }
  return sha.digest('hex');
}

/** Files of one stage by role. */
export function dataOf(
  stage: string,
  files: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const given = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(given.map(([role, file]) => [`${stage}.${role}`, file]));
}

/** Files by role and name. */
export function roles(
  role: string,
  files: readonly { path: string; name: string }[],
): Record<string, string> {
  return Object.fromEntries(files.map(({ path: file, name }) => [`${role}.${name}`, file]));
}

/** Files by role and place in their list. */
export function numbered(role: string, files: readonly string[]): Record<string, string> {
  return Object.fromEntries(files.map((file, i) => [`${role}.${i + 1}`, file]));
}

/** Settings as a manifest's JSON. */
export function asRecord(settings: object): Record<string, unknown> {
  return { ...settings };
}
