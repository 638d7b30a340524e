/** What a job's process is called with, and what its stages are. */
import path from 'node:path';
import { type Experiment, readExperiment } from '../engine/experiment/experiment.ts';
import type { RunPlan } from '../engine/experiment/params.ts';
import { InputError } from '../errors.ts';
import type { ServerOptions } from '../protocol/engine.ts';
import type { JobSpec, StageName } from '../protocol/jobs.ts';

export const STAGES: readonly StageName[] = ['generate', 'localize', 'mask', 'amplify', 'evaluate'];

const TITLES: Record<StageName, string> = {
  generate: 'Generate traces',
  localize: 'Locate pivots',
  mask: 'Choose the circuit',
  amplify: 'Train the circuit',
  evaluate: 'Evaluate',
};

/** A job as it is to be run. */
export interface PlannedJob {
  title: string;
  /** Run folder, absolute. */
  run: string;
  /** Stages in their order, those of matched controls behind them. */
  stages: string[];
  experiment: Experiment;
}

/** @throws InputError where the experiment file is wrong, or names no run folder and the job names none */
export async function planJob(spec: JobSpec): Promise<PlannedJob> {
  const experiment = await readExperiment(spec.experiment);
  const run = spec.out ?? experiment.out;
  if (run === undefined) {
    const remedy = 'Give "out" in the experiment file, or choose a run folder.';
    throw new InputError(spec.experiment, 'names no run folder', remedy);
  }
  const last = spec.until === null ? STAGES.length : STAGES.indexOf(spec.until) + 1;
  const variants = spec.until === null ? (spec.variants ?? experiment.variants ?? []) : [];
  return {
    title: `${spec.until === null ? 'Amplify' : TITLES[spec.until]}: ${path.basename(run)}`,
    run: path.resolve(run),
    stages: [...STAGES.slice(0, last), ...variants.map((name) => `variant-${name}`)],
    experiment,
  };
}

/** Where the editor puts the API key that the user has stored. */
const KEY_VARIABLE = 'CCA_ENDPOINT_API_KEY';

/** What of the editor's settings a job's process is started with. */
export type JobMachine = Pick<ServerOptions, 'device' | 'threads' | 'lean'>;

/** The experiment's model as a job's process runs it: settings go before the file; `lean` is on where either asks for it. */
export function asStarted(model: RunPlan['model'], { device, threads, lean }: JobMachine): RunPlan['model'] {
  return {
    ...model,
    device: device === 'auto' ? model.device : device,
    threads: threads ?? model.threads,
    lean: lean || (model.lean ?? false),
  };
}

/** The words after the program's name. @param endpoint the experiment's; without a variable of its own it has the user's key */
export function commandLine(
  spec: JobSpec,
  run: string,
  { device, threads, lean }: JobMachine,
  endpoint: Experiment['endpoint'] = undefined,
): string[] {
  const stored = endpoint && endpoint.apiKeyEnv === undefined && process.env[KEY_VARIABLE] !== undefined;
  const option = (name: string, value: string | number | null) =>
    value === null ? [] : [`--${name}`, String(value)];
  return [
    'run',
    ...option('experiment', spec.experiment),
    ...option('out', run),
    '--json',
    // Evaluation is the last stage.
    ...option('until', spec.until === 'evaluate' ? null : spec.until),
    ...option('redo', spec.redo),
    ...option('from', spec.from),
    ...option('pairs', spec.pairs),
    ...option('circuit', spec.circuit),
    ...option('seed', spec.seed),
    ...option('endpoint-key-env', stored ? KEY_VARIABLE : null),
    ...(spec.variants?.length === 0 ? ['none'] : (spec.variants ?? [])).flatMap((name) =>
      option('variant', name),
    ),
    ...Object.entries(spec.set).flatMap(([name, value]) => option('set', `${name}=${value}`)),
    ...option('device', device === 'auto' ? null : device),
    ...option('threads', threads),
    ...(lean ? ['--lean'] : []),
  ];
}

/** The same for a process that goes on where a crashed one was: what `--redo` took away is not taken away again. */
export function resumed(words: readonly string[], redone: boolean): string[] {
  const at = words.indexOf('--redo');
  return at < 0 || !redone ? [...words] : words.toSpliced(at, 2);
}
