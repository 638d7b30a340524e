/** From an experiment and what was given beside it to the parameters of the run job. */
import path from 'node:path';
import { endpointDefaults } from '../../endpoint/settings.ts';
import type { ControlsRef } from '../inputs/controls.ts';
import type { ProblemsRef } from '../inputs/problems.ts';
import type { RunAllParams } from '../jobs/run.ts';
import type { Experiment } from './experiment.ts';
import { resolveSettings, type SettingsOverrides } from './settings.ts';

/** A run, but for its folder and seed, which differ between the seeds of a study. */
export type RunPlan = Omit<RunAllParams, 'out' | 'seed' | 'fresh' | 'until' | 'redo'>;

/** @param given settings in place of the experiment's own */
export function planRun(experiment: Experiment, given: SettingsOverrides = {}): RunPlan {
  const { model, device, threads, lean, template, fewShot, preset, variants, controlLimit, limit } =
    experiment;
  const { guard, test } = suitesOf(experiment.controls);
  return {
    model: { folder: model, device: device ?? 'auto', threads: threads ?? null, lean: lean ?? false },
    problems: problemsOf(experiment.problems, limit ?? null),
    prompts: { template: template ?? null, fewShot: fewShot ?? null, chat: chatOf(experiment.chat) },
    controls: test,
    watch: guard,
    text: experiment.text ?? null,
    controlLimit: controlLimit ?? null,
    settings: resolveSettings(preset ?? 'default', merge(experiment.settings ?? {}, given)),
    variants: variants ?? [],
    from: experiment.from ?? null,
    pairs: experiment.pairs ?? null,
    circuit: experiment.circuit ?? null,
    endpoint: experiment.endpoint ? { ...endpointDefaults, ...experiment.endpoint } : null,
  };
}

function problemsOf(problems: Experiment['problems'], limit: number | null): RunPlan['problems'] {
  const part = (file: string, split: ProblemsRef['split']): ProblemsRef => ({ file, split, limit });
  if (typeof problems === 'string' || 'templates' in problems) {
    const set = (split: ProblemsRef['split']): ProblemsRef =>
      typeof problems === 'string'
        ? part(problems, split)
        : { ...part(problems.templates, split), instances: problems.count };
    return { train: set('train'), validation: set('val'), test: set('test'), further: {} };
  }
  const { train, val, test, unseen } = problems;
  return {
    train: part(train, null),
    validation: part(val, null),
    test: part(test, null),
    further: unseen === undefined ? {} : { unseen: part(unseen, null) },
  };
}

function chatOf(chat: Experiment['chat']): RunPlan['prompts']['chat'] {
  if (chat === undefined || chat === false) return null;
  const { system, date } = chat === true ? {} : chat;
  return { system: system ?? null, date: date ?? null };
}

function suitesOf(controls: Experiment['controls']): { test: ControlsRef[]; guard: ControlsRef[] | null } {
  if (controls === undefined) return { test: [], guard: null };
  if (Array.isArray(controls)) return { test: controls.map(named), guard: null };
  return { test: controls.test.map(named), guard: controls.guard?.map(named) ?? null };
}

function named(suite: string | ControlsRef): ControlsRef {
  return typeof suite === 'string' ? { path: suite, name: path.parse(suite).name } : suite;
}

/** Settings of a first source with those of a second in their place, field by field. */
function merge(own: SettingsOverrides, given: SettingsOverrides): SettingsOverrides {
  const mask = { ...own.mask, ...given.mask };
  // A size that is given takes the place of one of the other kind.
  if (given.mask?.lambda !== undefined && given.mask.budget === undefined) delete mask.budget;
  if (given.mask?.budget !== undefined && given.mask.lambda === undefined) delete mask.lambda;
  return {
    generate: { ...own.generate, ...given.generate },
    localize: { ...own.localize, ...given.localize },
    mask,
    amplify: {
      ...own.amplify,
      ...given.amplify,
      guard: { ...own.amplify?.guard, ...given.amplify?.guard },
    },
    evaluate: { ...own.evaluate, ...given.evaluate },
    // Only an experiment has these; the command line has no options for them.
    ...(own.variants && { variants: own.variants }),
  };
}
