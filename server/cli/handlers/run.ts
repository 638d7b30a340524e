import path from 'node:path';
import type { Engine } from '../../engine/client.ts';
import { endpointOf } from '../../engine/experiment/endpoint.ts';
import {
  type Experiment,
  readExperiment,
  readSettings,
  VARIANTS,
} from '../../engine/experiment/experiment.ts';
import { planRun, type RunPlan } from '../../engine/experiment/params.ts';
import type { RunAllParams } from '../../engine/jobs/run.ts';
import { InputError } from '../../errors.ts';
import type { Report } from '../../pipeline/report.ts';
import { studyReport } from '../../pipeline/seeds.ts';
import { writeFileAtomic } from '../../runs/atomic.ts';
import type { Io } from '../command.ts';
import { withoutServer } from '../commands/common.ts';
import type { Handlers } from '../commands/index.ts';
import { overridesOf } from '../commands/settings.ts';
import { withEngine } from './engine.ts';
import { showReport, showStudy } from './report.ts';
import { StageListener } from './stage-events.ts';

type RunValues = Parameters<NonNullable<Handlers['run']>>[0];

export const runHandlers: Pick<Handlers, 'run'> = {
  run: async (values, io) => {
    const experiment = withOptions(
      values.experiment ? await readExperiment(values.experiment) : {},
      values,
      io,
    );
    const { out, seed = 0, seeds = 1 } = experiment;
    if (out === undefined) {
      throw new InputError('cca run', 'needs --out', 'Give it, or "out" in the experiment file.');
    }
    const plan = planRun(experiment, overridesOf(values));
    return withEngine(async (engine) => {
      const { fresh, until = null, redo = null } = values;
      if (seeds === 1) {
        const report = await once(engine, io, plan, { out, seed, fresh, until, redo });
        if (!report) {
          const text = `${until} is done; without --until the run goes on from there\nfiles: ${out}\n`;
          return { data: { until, out }, text };
        }
        return { data: { ...report, out }, text: showReport(report, out) };
      }
      const reports: Report[] = [];
      for (let k = 0; k < seeds; k++) {
        const next = seed + k;
        io.emit({ event: 'message', level: 'info', text: `seed ${next} (${k + 1} of ${seeds})` });
        const folder = path.join(out, `seed-${next}`);
        // Baselines cost more than the run itself: one seed has them all, the others a random circuit each.
        const variants = k === 0 ? plan.variants : plan.variants.filter((name) => name === 'random');
        const where = { out: folder, seed: next, fresh, until: null, redo: null };
        const report = await once(engine, io, { ...plan, variants }, where);
        if (report) reports.push(report);
      }
      const study = studyReport(reports);
      writeFileAtomic(path.join(out, 'report.json'), `${JSON.stringify(study, null, 2)}\n`);
      return { data: { ...study, out }, text: showStudy(study, out) };
    });
  },
};

/** Pair-set seeds of `--full`. */
const FULL_SEEDS = 5;

/** One whole amplification, or the part of it up to `until` (then there is no report). */
async function once(
  engine: Engine,
  io: Io,
  plan: RunPlan,
  where: Pick<RunAllParams, 'out' | 'seed' | 'fresh' | 'until' | 'redo'>,
): Promise<Report | null> {
  const listener = new StageListener(io, []);
  return engine.call(
    'run',
    { ...plan, ...where },
    {
      signal: io.signal,
      onEvent: (event) => {
        if (event.event === 'plan') listener.setPlan(event.stages);
        else listener.tell(event);
      },
    },
  );
}

/** The experiment with the options that were given in place of its fields. */
function withOptions(own: Partial<Experiment>, values: RunValues, { given }: Io): Experiment {
  const { model, problems, out, device, threads, fewShot, preset, limit, controlLimit, full } = values;
  const { from, pairs, circuit, variant } = values;
  const controls = values.controls.length > 0 ? values.controls : undefined;
  const watch = values.watch.length > 0 ? values.watch : undefined;
  const asked: { [K in keyof Experiment]?: Experiment[K] | undefined } = {
    model,
    problems,
    out,
    fewShot,
    preset,
    limit,
    controlLimit,
    threads,
    lean: given.has('lean') ? values.lean : undefined,
    device: given.has('device') ? device : undefined,
    seed: given.has('seed') ? values.seed : undefined,
    seeds: given.has('seeds') ? values.seeds : full ? FULL_SEEDS : undefined,
    text: values.text.length > 0 ? values.text : undefined,
    variants: full
      ? [...VARIANTS]
      : variant.length > 0
        ? variant.filter((name) => name !== 'none')
        : undefined,
    from,
    pairs,
    circuit,
    chat: givenChat(values, own.chat),
    endpoint: givenEndpoint(values, own.endpoint),
    settings:
      values.set.length > 0
        ? merged(own.settings ?? {}, readSettings(Object.fromEntries(values.set), '--set'))
        : undefined,
    controls: controls && watch ? { test: controls, guard: watch } : controls,
  };
  const together = {
    ...own,
    ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
  };
  if (watch && !controls) together.controls = withGuard(own.controls, watch);
  return together as Experiment;
}

/** The chat of the experiment with what is given in place of its parts. */
function givenChat({ chat, system, chatDate }: RunValues, own: Experiment['chat']): Experiment['chat'] {
  const given = {
    ...(system !== undefined && { system }),
    ...(chatDate !== undefined && { date: chatDate }),
  };
  if (!chat && Object.keys(given).length === 0) return undefined;
  if (!chat && !own) {
    const flag = system === undefined ? '--chat-date' : '--system';
    throw new InputError(flag, 'has no meaning in plain prompts', 'Add --chat.');
  }
  return { ...(typeof own === 'object' && own), ...given };
}

/** As an experiment has it: without the fields that are not set. A key alone is for the experiment's own server. */
function givenEndpoint(values: RunValues, own: Experiment['endpoint']): Experiment['endpoint'] {
  const endpoint = endpointOf(values);
  const key = values.endpointKeyEnv;
  if (!endpoint && key !== undefined) {
    if (!own) throw withoutServer('endpointKeyEnv');
    return { ...own, apiKeyEnv: key };
  }
  if (!endpoint) return undefined;
  const { apiKeyEnv, ...rest } = endpoint;
  return { ...rest, ...(apiKeyEnv !== null && { apiKeyEnv }) };
}

function withGuard(
  controls: Experiment['controls'],
  guard: { path: string; name: string }[],
): NonNullable<Experiment['controls']> {
  const test = Array.isArray(controls) ? controls : controls?.test;
  if (test) return { test, guard };
  throw new InputError('--watch', 'there are no control suites to score the result', 'Add --controls FILE.');
}

/** Nested settings, those of `given` in place of `own`. */
function merged<T extends object>(own: T, given: T): T {
  const nested = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = Object.entries(given).map(([key, value]) => {
    const before = (own as Record<string, unknown>)[key];
    return [key, nested(value) && nested(before) ? merged(before, value) : value];
  });
  return { ...own, ...Object.fromEntries(entries) };
}
