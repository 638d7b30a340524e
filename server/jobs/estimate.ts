import path from 'node:path';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { planRun } from '../engine/experiment/params.ts';
import { InputError } from '../errors.ts';
import type { JobSpec } from '../protocol/jobs.ts';
import { describeRun, listRuns, type RunDescription } from '../runs/catalogue.ts';
import { type PlannedJob, planJob, STAGES } from './command-line.ts';

/** What the runtime and the product take beside a model, bytes. */
const RESIDENT = 200 * 2 ** 20;
/** Peak of a run over its float32 weights: repacked copies, caches, activations (the benchmark prints 1.85). */
const OVER_WEIGHTS = 2;

export interface Estimate {
  seconds: number | null;
  memory: number;
  stages: { name: string; seconds: number | null; kept: boolean }[];
}

/**
 * What a job would cost: time from earlier runs of the same model in the same folders, memory from the checkpoint's sizes.
 * @throws InputError where the experiment or the checkpoint is wrong
 */
export async function estimate(spec: JobSpec, runFolders: readonly string[]): Promise<Estimate> {
  const { run, stages: names, experiment } = await planJob(spec);
  const { tensors, folder } = openCheckpoint(experiment.model);
  const parameters = [...tensors.values()].reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0);
  const steps = Number(spec.set['amplify.steps'] ?? planRun(experiment).settings.amplify.steps);
  const earlier = runsNear(run, runFolders).filter(
    (one) => one.manifest.model?.path === path.resolve(folder),
  );
  const finished = finishedStages(run, spec);
  const taken = takenOver(spec, experiment);
  const stages = names.map((name) => {
    const kept = finished.has(name) || taken.has(name);
    return { name, seconds: kept ? 0 : secondsOf(name, earlier, steps), kept };
  });
  const known = stages.every(({ seconds }) => seconds !== null);
  return {
    seconds: known ? stages.reduce((sum, { seconds }) => sum + seconds!, 0) : null,
    memory: OVER_WEIGHTS * 4 * parameters + RESIDENT,
    stages,
  };
}

/** Stages whose results come from elsewhere: copying them costs nothing to speak of. */
function takenOver(spec: JobSpec, experiment: PlannedJob['experiment']): Set<string> {
  const from = spec.from ?? experiment.from;
  const pairs = spec.pairs ?? experiment.pairs ?? from;
  const circuit = spec.circuit ?? experiment.circuit;
  const given = { generate: from, localize: pairs, mask: circuit };
  return new Set(Object.entries(given).flatMap(([name, source]) => (source == null ? [] : [name])));
}

/** Runs beside this one and in the given folders, newest first. */
function runsNear(run: string, folders: readonly string[]): RunDescription[] {
  const found = new Map<string, RunDescription>();
  for (const root of new Set([path.dirname(run), ...folders])) {
    try {
      for (const one of listRuns(root).runs) found.set(one.folder, one);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  return [...found.values()].sort((a, b) => b.manifest.created.localeCompare(a.manifest.created));
}

/** Stages that the run folder has and the job keeps. */
function finishedStages(run: string, { redo }: JobSpec): Set<string> {
  let stages: RunDescription['stages'] = [];
  try {
    stages = describeRun(run).stages;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  const redone = redo === null ? [] : STAGES.slice(STAGES.indexOf(redo));
  const again = (name: string) =>
    redone.some((stage) => stage === name) || (redo !== null && name.startsWith('variant-'));
  return new Set(
    stages.filter(({ name, status }) => status === 'finished' && !again(name)).map((s) => s.name),
  );
}

/** Seconds of the newest run that finished the stage; training in proportion to its steps. */
function secondsOf(name: string, runs: readonly RunDescription[], steps: number): number | null {
  for (const { stages, manifest } of runs) {
    const stage = stages.find((one) => one.name === name && one.status === 'finished');
    if (!stage) continue;
    const then = Number(manifest.stages.amplify?.steps);
    return name === 'amplify' && then > 0 ? (stage.seconds * steps) / then : stage.seconds;
  }
  return null;
}
