import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { readExperiment } from '../engine/experiment/experiment.ts';
import type { Services } from './services.ts';

/** Folders below one of the workspace in which experiment files are looked for. */
const DEPTH = 2;
const SKIPPED = /^(?:\.|node_modules$|runs$)/;

/** `experiment.json` or `NAME.experiment.json`, as a name, a path or a uri: other programs have experiments too. */
export const isExperimentName = (name: string): boolean => /(?:^|[\\/.])experiment\.json$/.test(name);

/** The experiment file that a run comes from: that of its job, or one of the workspace that names its folder. Null where none is known. */
export async function experimentOf(services: Services, run: string): Promise<string | null> {
  if (services.options.storage !== '') {
    const job = (await services.jobs().list()).find((one) => path.resolve(one.run) === run);
    if (job) return job.spec.experiment;
  }
  for (const folder of services.folders) {
    for (const file of await experimentsIn(folder, DEPTH)) {
      const out = await readExperiment(file, (target) => services.mayRead(target)).then(
        (experiment) => experiment.out,
        () => undefined,
      );
      if (out !== undefined && path.resolve(out) === run) return file;
    }
  }
  return null;
}

async function experimentsIn(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const here = entries
    .filter((entry) => entry.isFile() && isExperimentName(entry.name))
    .map((entry) => path.join(folder, entry.name));
  if (depth === 0) return here;
  const below = entries.filter((entry) => entry.isDirectory() && !SKIPPED.test(entry.name));
  const found = await Promise.all(
    below.map((entry) => experimentsIn(path.join(folder, entry.name), depth - 1)),
  );
  return [...here, ...found.flat()];
}
