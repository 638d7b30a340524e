/** Run folders as the editor lists them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { breathe, type Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import type { Report } from '../pipeline/report.ts';
import type { StudyReport } from '../pipeline/seeds.ts';
import type { RunReport, RunRow, StudyFigures, SuiteFigures, TakenPivots } from '../protocol/runs.ts';
import { describeRun, type RunDescription } from '../runs/catalogue.ts';
import { lockHolder } from '../runs/lock.ts';

const MANIFEST = 'manifest.json';

/** Run folders among the given ones and their sub-folders, two deep: a study has a run for every seed. */
export function findRuns(folders: readonly string[]): string[] {
  const found = new Set<string>();
  const look = (folder: string, depth: number) => {
    if (isRun(folder)) found.add(folder);
    else if (depth === 0) return;
    for (const name of depth > 0 ? subFolders(folder) : []) look(path.join(folder, name), depth - 1);
  };
  for (const folder of folders) {
    const root = path.resolve(folder);
    if (isRun(root)) found.add(root);
    look(path.join(root, 'runs'), 2);
  }
  return [...found];
}

const isRun = (folder: string) =>
  statSync(path.join(folder, MANIFEST), { throwIfNoEntry: false })?.isFile() ?? false;

function subFolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Descriptions of runs, read again when their files change. */
export class RunRows {
  private readonly known = new Map<string, { stamp: string; row: RunRow }>();

  /** @throws InputError where the folder is no run's, or is damaged */
  row(folder: string, job: string | null): RunRow {
    const stamp = stampOf(folder);
    let known = this.known.get(folder);
    if (known?.stamp !== stamp) {
      known = { stamp, row: rowOf(describeRun(folder)) };
      this.known.set(folder, known);
    }
    const { row } = known;
    // Whether its process lives no file tells.
    const running = row.status === 'running' || row.status === 'interrupted';
    const status = running ? (lockHolder(folder) ? 'running' : 'interrupted') : row.status;
    return { ...row, status, job };
  }

  forget(folder: string): void {
    this.known.delete(folder);
  }
}

function stampOf(folder: string): string {
  return [MANIFEST, 'journal.jsonl', 'report.json']
    .map((name) => {
      const stat = statSync(path.join(folder, name), { throwIfNoEntry: false });
      return stat ? `${stat.size}@${stat.mtimeMs}` : '-';
    })
    .join();
}

function rowOf({ folder, manifest, status, stages, artefacts, report }: RunDescription): RunRow {
  const names = new Set(artefacts.map(({ name }) => name));
  const file = (name: string) => (names.has(name) ? path.join(folder, name) : null);
  const { target, circuit } = (report ?? {}) as Partial<Report>;
  return {
    folder,
    name: path.basename(folder),
    status,
    created: manifest.created,
    model: manifest.model?.path ?? '',
    seed: manifest.seed,
    device: manifest.device,
    stages: stages.map(({ name, status: state, seconds }) => ({ name, status: state, seconds })),
    job: null,
    target: target
      ? {
          base: target.base.accuracy,
          amplified: target.amplified.accuracy,
          gain: target.gain,
          interval: [target.interval.low, target.interval.high],
          n: target.base.n,
        }
      : null,
    components: circuit?.components ?? componentsOf(stages),
    pivots: pivotsOf(manifest, stages),
    files: {
      patch: file('patch.safetensors'),
      mask: file('mask.json'),
      report: file('report.json'),
      traces: file('traces.jsonl'),
      pairs: file('pairs.jsonl'),
    },
    error: manifest.error,
  };
}

function pivotsOf(
  { data }: RunDescription['manifest'],
  stages: RunDescription['stages'],
): TakenPivots | null {
  const source = data['localize.pairs'];
  const summary = stages.find(({ name }) => name === 'localize')?.summary as Partial<TakenPivots> | null;
  if (!source || !summary) return null;
  const { pairs = 0, accepted = 0, edited = 0, marked = 0 } = summary;
  return { source: source.path, pairs, accepted, edited, marked };
}

function componentsOf(stages: RunDescription['stages']): number | null {
  const summary = stages.find(({ name }) => name === 'mask')?.summary as
    | { components?: number }
    | null
    | undefined;
  return summary?.components ?? null;
}

/** The figures of a study over seeds; null for a folder that is none, or has no report yet. */
export function studyOf(folder: string): StudyFigures | null {
  const root = path.resolve(folder);
  let found: Partial<StudyReport>;
  try {
    found = JSON.parse(readFileSync(path.join(root, 'report.json'), 'utf8'));
  } catch {
    return null;
  }
  const { seeds, base, amplified, reports } = found;
  if (!seeds || base === undefined || !amplified || !reports) return null;
  const { mean, standardError } = amplified.target;
  return {
    folder: root,
    seeds: reports.map(({ seed, target }) => ({
      seed,
      folder: path.join(root, `seed-${seed}`),
      gain: target.gain,
    })),
    base,
    gain: { mean, error: standardError },
    worst: amplified.worst,
  };
}

/** The report of a run; null where it has none yet. @throws InputError where it cannot be read */
export function reportOf(folder: string): RunReport | null {
  const { report: raw, folder: root, manifest, stages } = describeRun(folder);
  if (!raw) return null;
  const report = raw as unknown as Report;
  if (!report.target || !report.circuit) {
    const what = 'is not the report of a single run';
    throw new InputError(path.join(root, 'report.json'), what, "Open one of its seeds' runs.");
  }
  const suite = (name: string, kind: SuiteFigures['kind'], of: Report['target']): SuiteFigures => {
    const side = ({ accuracy, n, interval }: Report['target']['base']) => ({
      accuracy,
      n,
      interval: [interval.low, interval.high] as [number, number],
    });
    const { base, amplified, gain, interval, p } = of;
    return {
      name,
      kind,
      base: side(base),
      amplified: side(amplified),
      gain,
      gainInterval: [interval.low, interval.high],
      p,
    };
  };
  const all = <T>(of: Record<string, T>) => Object.entries(of);
  return {
    folder: root,
    suites: [
      suite('target', 'target', report.target),
      ...all(report.sets).map(([name, of]) => suite(name, 'set', of)),
      ...all(report.controls).map(([name, of]) => suite(name, 'control', of)),
    ],
    circuit: {
      components: report.circuit.components,
      total: report.circuit.total,
      weights: report.circuit.weights,
      byKind: { ...report.circuit.byKind },
    },
    variants: all(report.variants).map(([name, { problems, controls }]) => ({
      name,
      gain: problems.test?.gain ?? 0,
      worstControl:
        Object.values(controls).length > 0
          ? Math.min(...Object.values(controls).map(({ gain }) => gain))
          : null,
    })),
    pivots: pivotsOf(manifest, stages),
  };
}

/** Runs that can be described, newest first, and those that cannot. @throws Cancelled when `signal` fires */
export async function listRows(
  folders: readonly string[],
  rows: RunRows,
  jobOf: (folder: string) => string | null,
  signal: Signal,
): Promise<{ runs: RunRow[]; broken: { folder: string; problem: string }[] }> {
  const runs: RunRow[] = [];
  const broken: { folder: string; problem: string }[] = [];
  for (const folder of new Set(folders)) {
    await breathe(signal);
    try {
      runs.push(rows.row(folder, jobOf(folder)));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      broken.push({ folder, problem: error.message });
    }
  }
  runs.sort((a, b) => b.created.localeCompare(a.created));
  return { runs, broken };
}
