import { readFileSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { neverAborted, type Signal } from '../control.ts';
import { readSettings, VARIANTS } from '../engine/experiment/experiment.ts';
import { planRun, type RunPlan } from '../engine/experiment/params.ts';
import { bytesNeeded, footprint, memoryLimit, type RunExtents, runPhases } from '../engine/memory.ts';
import { Cancelled, InputError } from '../errors.ts';
import type { JobCost, JobSpec, Span } from '../protocol/jobs.ts';
import { describeRun, listRuns, type RunDescription } from '../runs/catalogue.ts';
import { asStarted, type JobMachine, type PlannedJob, planJob, STAGES } from './command-line.ts';

/** What a run is to be forecast from, as it would read it. */
export type Planned = RunPlan & { seed: number };

/** Seconds by stage, bytes on disk, and where that was measured. */
export interface Forecast {
  stages: readonly { name: string; low: number; high: number }[];
  disk: number;
  device: string;
  threads: number;
}

/**
 * What a job would cost: time from earlier runs of the same model in the same folders, else as forecast; memory from the
 * checkpoint's sizes, the settings and how long the problems are.
 * @param forecast measures on the loaded model; null where nothing may be measured
 * @throws InputError where the experiment or the checkpoint is wrong; Cancelled when `signal` fires
 */
export async function estimate(
  spec: JobSpec,
  machine: JobMachine,
  runFolders: readonly string[],
  forecast: ((planned: Planned) => Promise<Forecast>) | null,
  signal: Signal = neverAborted,
): Promise<JobCost> {
  const { run, stages: names, experiment } = await planJob(spec);
  const checkpoint = openCheckpoint(experiment.model);
  const asWritten = planRun(experiment, readSettings(spec.set, spec.experiment));
  const plan = { ...asWritten, model: asStarted(asWritten.model, machine) };
  const { steps } = plan.settings.amplify;
  const earlier = (await runsNear(run, runFolders, signal)).filter(
    (one) => one.manifest.model?.path === path.resolve(checkpoint.folder),
  );
  const finished = finishedStages(run, spec);
  const taken = takenOver(spec, experiment);
  const known = names.map((name) => {
    const kept = finished.has(name) || taken.has(name);
    const seconds = kept ? 0 : secondsOf(name, earlier, steps);
    return { name, kept, seconds: seconds === null ? null : { low: seconds, high: seconds } };
  });
  const variants = VARIANTS.filter((variant) => names.includes(`variant-${variant}`));
  const memory = bytesNeeded(
    footprint(checkpoint, plan.model.lean ?? false),
    runPhases(checkpoint.config, extentsOf(plan, taken), plan.settings, {
      variants,
      remote: plan.endpoint !== null,
      until: spec.until,
    }),
  );
  const isKnown = known.every(({ seconds }) => seconds !== null);
  const measured =
    isKnown || forecast === null || plan.endpoint !== null || memory > memoryLimit()
      ? null
      : await forecast({ ...plan, variants, seed: spec.seed ?? experiment.seed ?? 0 }).catch(unforeseen);
  const stages = known.map((stage) => ({
    ...stage,
    seconds: stage.seconds ?? spanOf(measured?.stages.find(({ name }) => name === stage.name)),
  }));
  const whole = isKnown ? earlier.find(({ status }) => status === 'finished') : undefined;
  const sum = (end: keyof Span) => stages.reduce((total, { seconds }) => total + seconds![end], 0);
  return {
    seconds: stages.every(({ seconds }) => seconds) ? { low: sum('low'), high: sum('high') } : null,
    memory,
    disk: measured?.disk ?? (whole ? bytesOf(whole) : null),
    free: freeBytes(run),
    device: measured?.device ?? whole?.manifest.device ?? null,
    threads: measured?.device === 'cpu' ? measured.threads : null,
    from: measured ? 'measurement' : isKnown ? 'runs' : null,
    stages,
  };
}

const spanOf = (stage: Span | undefined): Span | null =>
  stage ? { low: stage.low, high: stage.high } : null;

/** What a forecast stumbles over stops the job as well, and is told there; a job can be started without one. */
function unforeseen(error: unknown): null {
  if (error instanceof Cancelled) throw error;
  return null;
}

const bytesOf = ({ artefacts }: RunDescription) =>
  artefacts.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);

/** Free bytes where a folder is, or will be. */
function freeBytes(folder: string): number | null {
  for (let at = folder; ; at = path.dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch {
      if (at === path.dirname(at)) return null;
    }
  }
}

/** Stages whose results come from elsewhere: copying them costs nothing to speak of. */
function takenOver(spec: JobSpec, experiment: PlannedJob['experiment']): Set<string> {
  const from = spec.from ?? experiment.from;
  const pairs = spec.pairs ?? experiment.pairs ?? from;
  const circuit = spec.circuit ?? experiment.circuit;
  const given = { generate: from, localize: pairs, mask: circuit };
  return new Set(Object.entries(given).flatMap(([name, source]) => (source == null ? [] : [name])));
}

/** A line of a problem file is taken to be one problem, and a token to be three of its characters. */
function extentsOf(
  { problems, text, controls, controlLimit }: RunPlan,
  taken: ReadonlySet<string>,
): RunExtents {
  const measure = (file: string, limit: number | null) => {
    // A folder of templates, whose instances are not drawn yet.
    if (statSync(file).isDirectory()) return { count: limit ?? 1000, tokens: 256 };
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .slice(0, limit ?? undefined);
    const longest = lines.reduce((most, line) => Math.max(most, line.length), 0);
    return { count: lines.length, tokens: Math.ceil(longest / 3) };
  };
  const train = measure(problems.train.file, problems.train.limit);
  const suites = (text ?? controls.map(({ path: file }) => file)).map((file) => measure(file, controlLimit));
  return {
    problems: train.count,
    prompt: train.tokens,
    texts: suites.reduce((sum, { count }) => sum + count, 0),
    text: Math.max(0, ...suites.map(({ tokens }) => tokens)),
    scored: measure(problems.test.file, null).tokens,
    pairs: null,
    given: {
      generate: taken.has('generate'),
      localize: taken.has('localize'),
      mask: taken.has('mask'),
    },
  };
}

/** Runs beside this one and in the given folders, newest first. */
async function runsNear(run: string, folders: readonly string[], signal: Signal): Promise<RunDescription[]> {
  const found = new Map<string, RunDescription>();
  for (const root of new Set([path.dirname(run), ...folders])) {
    try {
      for (const one of (await listRuns(root, signal)).runs) found.set(one.folder, one);
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
