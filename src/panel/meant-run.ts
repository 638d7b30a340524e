import path from 'node:path';
import type { RunRow } from '../../server/protocol/runs.ts';

const same = (a: string, b: string) => path.normalize(a) === path.normalize(b);

/**
 * The run whose circuit is meant without asking: the one that the command names, else the active trace's, else the only
 * one that has pairs; null where the user must choose.
 */
export function meantRun(
  runs: readonly RunRow[],
  named: string | null,
  ofActiveTrace: string | null,
): RunRow | null {
  const find = (folder: string | null) =>
    folder === null ? undefined : runs.find((row) => same(row.folder, folder));
  const fit = runs.filter(({ files }) => files.pairs !== null);
  return find(named) ?? find(ofActiveTrace) ?? (fit.length === 1 ? fit[0]! : null);
}
