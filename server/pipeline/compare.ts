/** Two runs side by side, from their folders alone. */
import fs from 'node:fs';
import path from 'node:path';
import { type ComparedSuite, pairRuns } from '../evaluate/paired.ts';
import { type CircuitOverlap, circuitOverlap, readSelection } from '../mask/mask-file.ts';
import { describeRun, type RunDescription } from '../runs/catalogue.ts';
import type { Manifest } from '../runs/manifest.ts';
import type { Report } from './report.ts';

/** A setting that two runs do not share; null: a run does not have it. */
export interface ComparedSetting {
  /** Dotted: `seed`, `data.train`, `amplify.steps`. */
  name: string;
  a: string | null;
  b: string | null;
}

export interface RunComparison {
  /** Run folders, absolute, and what to call them. */
  folders: [string, string];
  names: [string, string];
  /** What could not be compared and why, a line each. */
  missing: string[];
  suites: ComparedSuite[];
  /** Matched controls: gain on the target problems as a share; null where a run has none. */
  variants: { name: string; a: number | null; b: number | null }[];
  settings: ComparedSetting[];
  /** Null where a run has no circuit, or they are of two models. */
  circuit: CircuitOverlap | null;
}

/**
 * Compares two runs, finished or not: their answers paired where they answered the same documents, the settings in which
 * they differ, and their circuits.
 * @throws InputError where a folder is no run's, or a file in it is damaged
 */
export async function compareRuns(a: string, b: string): Promise<RunComparison> {
  const runs = [describeRun(a), describeRun(b)] as const;
  const names = namesOf(runs[0].folder, runs[1].folder);
  const answered = ({ folder, manifest }: RunDescription) => ({ folder, patched: isPatched(manifest) });
  const suites = await pairRuns([answered(runs[0]), answered(runs[1])]);
  const missing = [
    ...missingIn(
      runs[0],
      names[0],
      suites.some((suite) => suite.a !== null),
    ),
    ...missingIn(
      runs[1],
      names[1],
      suites.some((suite) => suite.b !== null),
    ),
  ];
  for (const { name, unit, a: left, b: right, paired } of suites) {
    if (!left || !right || paired) continue;
    const why = unit === 'nats' ? 'other documents, or tokens of two tokenizers' : 'no document in both runs';
    missing.push(`${name} is not paired: ${why}`);
  }
  const masks = runs.every(hasMask);
  const sameModel = runs[0].manifest.model?.hash === runs[1].manifest.model?.hash;
  if (masks && !sameModel) missing.push('the circuits are of two models, so they are not compared');
  return {
    folders: [runs[0].folder, runs[1].folder],
    names,
    missing,
    suites,
    variants: compareVariants(runs),
    settings: differences(
      settingsOf(runs[0].manifest, runs[1].manifest),
      settingsOf(runs[1].manifest, runs[0].manifest),
    ),
    circuit:
      masks && sameModel
        ? circuitOverlap(readSelection(maskOf(runs[0])), readSelection(maskOf(runs[1])))
        : null,
  };
}

/** The names of two run folders; with the folder above where they are the same. */
function namesOf(a: string, b: string): [string, string] {
  const levels = path.basename(a) === path.basename(b) ? 2 : 1;
  const name = (folder: string) => folder.split(path.sep).slice(-levels).join('/');
  return [name(a), name(b)];
}

/** Whether what a run answers with, once it does, is a patched model. */
const isPatched = ({ stages, data }: Manifest) => 'amplify' in stages || 'evaluate.patch' in data;

const maskOf = ({ folder }: RunDescription) => path.join(folder, 'mask.json');
const hasMask = (run: RunDescription) => fs.existsSync(maskOf(run));

/** What a run has not come to yet. @param some whether it has answers */
function missingIn(run: RunDescription, name: string, some: boolean): string[] {
  const { stages, report, manifest } = run;
  const lines: string[] = [];
  const finished = stages.filter(({ status }) => status === 'finished').map((stage) => stage.name);
  const soFar = `finished: ${finished.join(', ') || 'nothing'}`;
  if (!some) lines.push(`${name} has no ${isPatched(manifest) ? 'amplified ' : ''}answers yet (${soFar})`);
  else if (!report) lines.push(`${name} has no report yet: its figures are of what it has answered so far`);
  if ('mask' in manifest.stages && !hasMask(run)) lines.push(`${name} has no circuit yet (${soFar})`);
  return lines;
}

function compareVariants(runs: readonly RunDescription[]): RunComparison['variants'] {
  const [a, b] = runs.map(({ report }) => {
    const { variants = {} } = (report ?? {}) as Partial<Report>;
    return new Map(
      Object.entries(variants).map(([name, { problems }]) => [name, problems.test?.gain ?? null]),
    );
  }) as [Map<string, number | null>, Map<string, number | null>];
  const names = [...new Set([...a.keys(), ...b.keys()])];
  return names.map((name) => ({ name, a: a.get(name) ?? null, b: b.get(name) ?? null }));
}

/** What a run was made from: text to show by dotted name, and the text that decides. */
type Settings = Map<string, { shown: string; key: string }>;

/** Settings of a stage that the other run does not have are only told to be there. */
function settingsOf(manifest: Manifest, other: Manifest): Settings {
  const found: Settings = new Map();
  const add = (name: string, value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    found.set(name, { shown: text, key: text });
  };
  const walk = (name: string, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return add(name, value);
    for (const [key, part] of Object.entries(value)) walk(`${name}.${key}`, part);
  };
  const { model, data, product, seed, device, versions, stages } = manifest;
  for (const [name, source] of Object.entries({ ...(model && { model }), ...prefixed('data', data) }))
    found.set(name, { shown: `${source.path} (${source.hash.slice(0, 12)})`, key: source.hash });
  add('seed', seed);
  add('device', device);
  add('version', product.version);
  walk('versions', versions);
  for (const [stage, settings] of Object.entries(stages)) {
    if (other.stages[stage]) walk(stage, settings);
    else add(stage, 'done');
  }
  return found;
}

const prefixed = <T>(prefix: string, values: Readonly<Record<string, T>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));

function differences(a: Settings, b: Settings): ComparedSetting[] {
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((name) => {
    const [left, right] = [a.get(name), b.get(name)];
    if (left?.key === right?.key) return [];
    return [{ name, a: left?.shown ?? null, b: right?.shown ?? null }];
  });
}
