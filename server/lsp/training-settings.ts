import path from 'node:path';
import { resolveSettings } from '../engine/experiment/settings.ts';
import type { GuardLimits, TrainingChoices } from '../protocol/panel.ts';
import { readManifest } from '../runs/manifest.ts';

/** A guard that is switched off has limits that nothing reaches. */
const NO_LIMIT = 1e6;

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/**
 * What a training of the run's pairs begins with: as its manifest has recorded it, the product's defaults where the run has
 * not come to training.
 * @throws InputError for a folder with another program's manifest
 */
export function trainingSettings(run: string): { choices: TrainingChoices; limits: GuardLimits } {
  const { amplify: defaults } = resolveSettings('default', {});
  const amplify = fields(readManifest(path.resolve(run))?.stages.amplify);
  const guard = fields(amplify.guard);
  const number = (value: unknown, otherwise: number) =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : otherwise;
  const limit = (value: unknown, otherwise: number) => {
    const set = number(value, otherwise);
    return set < NO_LIMIT ? set : null;
  };
  return {
    choices: {
      steps: number(amplify.steps, defaults.steps),
      learningRate: number(amplify.learningRate, defaults.learningRate),
      klControl: number(amplify.klControl, defaults.klControl),
      neurons: amplify.neurons === 'up+gate+down' ? 'up+gate+down' : 'up',
      validateEvery: number(amplify.validateEvery, defaults.validateEvery),
      variants: [],
    },
    limits: {
      maxKl: limit(guard.maxKl, defaults.guard.maxKl),
      maxDrop: limit(guard.maxDrop, defaults.guard.maxDrop),
    },
  };
}
