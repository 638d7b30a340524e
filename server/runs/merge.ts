/** Putting the shards of a run together: what they must have in common, and their units in the order of one run. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { InputError } from '../errors.ts';
import { withFileErrors } from './atomic.ts';
import { JOURNAL_NAME } from './folder.ts';
import { readJournal } from './journal.ts';
import { MANIFEST_NAME, type Manifest, type RunSetup, readManifest } from './manifest.ts';
import { type Extent, replay, type StageRecord } from './replay.ts';
import { parseShard, type Shard, shardName } from './shard.ts';

/** One unit of a shard's stage, as its run committed it. */
export interface MergedUnit {
  key: string;
  result: unknown;
  /** Records by artefact. */
  records: Record<string, unknown[]>;
}

/** One stage that all shards have worked on. */
export interface MergedStage {
  name: string;
  artefacts: string[];
  /** As the stage of one run would have them, with a hash of the shards' work as `shards`. */
  inputs: Record<string, string>;
  /** Sum over the shards. */
  seconds: number;
  /** Units in all. */
  count: number;
  /** The units in the order of one run. @throws InputError for an artefact that was changed */
  units(): Generator<MergedUnit>;
}

export interface MergedRun {
  /** The setup of the one run that the shards are parts of. */
  setup: RunSetup;
  stages: MergedStage[];
  /** What keeps the bytes from being surely those of one run: other devices, other versions. */
  doubts: string[];
}

/**
 * Reads finished shards, given in any order.
 * @throws InputError where a folder is no finished shard, one is missing or given twice, or they are not of one run
 */
export function readShards(folders: readonly string[]): MergedRun {
  const shards = folders.map(openShard).sort((a, b) => a.shard.index - b.shard.index);
  const [first] = shards;
  if (!first) throw new InputError('shards', 'none are given', 'Give the run folders of all of them.');
  for (const other of shards.slice(1)) checkAlike(first, other);
  checkComplete(shards);
  const stages = first.stages.map((name) => mergeStage(name, shards));
  const { product, model, data, seed, device, versions } = first.manifest;
  const settings = Object.fromEntries(first.stages.map((name) => [name, whole(first.manifest, name)]));
  return {
    setup: { product, model, data, seed, device, versions, stages: settings },
    stages,
    doubts: doubtsOf(shards),
  };
}

interface OpenShard {
  folder: string;
  manifest: Manifest;
  shard: Shard;
  /** Stages that were run with --shard. */
  stages: string[];
  records: Map<string, StageRecord>;
}

function openShard(folder: string): OpenShard {
  const root = path.resolve(folder);
  withFileErrors(root, () => fs.readdirSync(root));
  const manifest = readManifest(root);
  if (!manifest) {
    throw new InputError(
      root,
      `is not a run folder (it has no ${MANIFEST_NAME})`,
      'Give the folder of a shard.',
    );
  }
  const named = Object.entries(manifest.stages).filter(([, settings]) => settings.shard !== undefined);
  const shards = [...new Set(named.map(([, settings]) => String(settings.shard)))];
  const shard = parseShard(shards[0] ?? '');
  if (!shard)
    throw new InputError(root, 'is no shard: no stage of it ran with --shard', 'Give folders of shards.');
  if (shards.length > 1) {
    const what = `holds several shards (${shards.join(', ')})`;
    throw new InputError(root, what, 'Run the same shard of every stage in one folder.');
  }
  const stages = named.map(([name]) => name);
  const { stages: records } = replay(readJournal(path.join(root, JOURNAL_NAME)).events);
  const open = stages.find((name) => !records.get(name)?.finished);
  if (open !== undefined) {
    const remedy = 'Run its command again; it goes on where it was.';
    throw new InputError(root, `stage ${open} of shard ${shardName(shard)} is not finished`, remedy);
  }
  return { folder: root, manifest, shard, stages, records };
}

/** Settings of a stage as one run has them. */
function whole(manifest: Manifest, stage: string): Record<string, unknown> {
  const { shard: _, ...settings } = manifest.stages[stage]!;
  return settings;
}

function checkAlike(first: OpenShard, other: OpenShard): void {
  const facts = ({ manifest, shard, stages, records }: OpenShard) => ({
    'product.version (major)': Number.parseInt(manifest.product.version, 10),
    'number of shards': shard.count,
    stages: stages.join(', '),
    'model hash': manifest.model?.hash ?? null,
    seed: manifest.seed,
    data: Object.fromEntries(Object.entries(manifest.data).map(([role, { hash }]) => [role, hash])),
    settings: Object.fromEntries(stages.map((name) => [name, whole(manifest, name)])),
    inputs: Object.fromEntries(stages.map((name) => [name, records.get(name)!.inputs])),
    artefacts: Object.fromEntries(stages.map((name) => [name, records.get(name)!.artefacts])),
  });
  const found = firstDifference(facts(first), facts(other), '');
  if (!found) return;
  const [field, a, b] = found;
  throw new InputError(
    other.folder,
    `is of another run than ${first.folder}: ${field} is ${brief(b)}, there ${brief(a)}`,
    'Give the shards of one run.',
  );
}

/** Dotted path of the first field in which two JSON values differ, and both values. */
function firstDifference(a: unknown, b: unknown, field: string): [string, unknown, unknown] | null {
  if (isObject(a) && isObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const found = firstDifference(a[key], b[key], field ? `${field}.${key}` : key);
      if (found) return found;
    }
    return null;
  }
  return JSON.stringify(a) === JSON.stringify(b) ? null : [field, a, b];
}

function checkComplete(shards: readonly OpenShard[]): void {
  const twice = shards.find((one, i) => shards[i + 1]?.shard.index === one.shard.index);
  if (twice) {
    const [a, b] = shards.filter(({ shard }) => shard.index === twice.shard.index);
    const what = `shard ${shardName(twice.shard)} is given twice, also as ${a!.folder}`;
    throw new InputError(b!.folder, what, 'Give every shard once.');
  }
  const { count } = shards[0]!.shard;
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter(
    (index) => !shards.some(({ shard }) => shard.index === index),
  );
  if (missing.length === 0) return;
  const some = missing.slice(0, 10).map((index) => shardName({ index, count }));
  const more = missing.length > 10 ? ` and ${missing.length - 10} more` : '';
  throw new InputError('shards', `missing: ${some.join(', ')}${more}`, 'Give all shards of the run.');
}

function mergeStage(name: string, shards: readonly OpenShard[]): MergedStage {
  const records = shards.map((shard) => shard.records.get(name)!);
  const count = records.reduce((sum, { commits }) => sum + commits.length, 0);
  records.forEach(({ commits }, i) => {
    // Dealt like cards, the first shards may have one unit more.
    const due = Math.ceil((count - i) / shards.length);
    if (commits.length !== due) {
      const what = `has ${commits.length} units of stage ${name} where ${due} were dealt to it`;
      throw new InputError(shards[i]!.folder, what, 'Run the shard again with --fresh.');
    }
  });
  const { artefacts, inputs } = records[0]!;
  const work = createHash('sha256');
  for (const { commits } of records) work.update(JSON.stringify(commits.map(({ extents }) => extents)));
  return {
    name,
    artefacts,
    inputs: { ...inputs, shards: work.digest('hex') },
    seconds: records.reduce((sum, { seconds }) => sum + seconds, 0),
    count,
    *units() {
      const readers = shards.map(({ folder }) => new UnitReader(folder, artefacts));
      try {
        for (let number = 0; number < count; number++) {
          const s = number % shards.length;
          const { key, result, extents } = records[s]!.commits[Math.floor(number / shards.length)]!;
          yield { key, result, records: readers[s]!.next(extents) };
        }
      } finally {
        for (const reader of readers) reader.close();
      }
    },
  };
}

/** Reads the records of a shard's artefacts unit by unit, and checks them against the journal. */
class UnitReader {
  private readonly files: { name: string; path: string; fd: number; bytes: number; crc: number }[] = [];

  constructor(folder: string, artefacts: readonly string[]) {
    for (const name of artefacts) {
      const file = path.join(folder, name);
      this.files.push({
        name,
        path: file,
        fd: withFileErrors(file, () => fs.openSync(file, 'r')),
        bytes: 0,
        crc: 0,
      });
    }
  }

  /** @param extents the artefacts as they stood after the unit */
  next(extents: Readonly<Record<string, Extent>>): Record<string, unknown[]> {
    const records: Record<string, unknown[]> = {};
    for (const file of this.files) {
      const extent = extents[file.name]!;
      const data = Buffer.alloc(extent.bytes - file.bytes);
      const read = withFileErrors(file.path, () => fs.readSync(file.fd, data, 0, data.length, file.bytes));
      const crc = crc32(data, file.crc);
      if (read !== data.length || crc !== extent.crc) {
        throw new InputError(
          file.path,
          'was changed since the shard wrote it',
          'Restore it, or run the shard again with --fresh.',
        );
      }
      Object.assign(file, { bytes: extent.bytes, crc });
      const lines = data.toString('utf8').split('\n').slice(0, -1);
      records[file.name] = lines.map((line) => JSON.parse(line) as unknown);
    }
    return records;
  }

  close(): void {
    for (const { fd } of this.files) fs.closeSync(fd);
  }
}

function doubtsOf(shards: readonly OpenShard[]): string[] {
  const different = (what: string, of: (manifest: Manifest) => string) => {
    const values = [...new Set(shards.map(({ manifest }) => of(manifest)))];
    return values.length > 1 ? [`${what} differ between the shards: ${values.join('; ')}`] : [];
  };
  return [
    ...different('devices', ({ device }) => device),
    ...different('versions', ({ product, versions }) =>
      [[product.name, product.version], ...Object.entries(versions)].map((pair) => pair.join(' ')).join(', '),
    ),
  ];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
