/** The table of an engine's jobs: plain values in and out. */
import type { Models } from '../models.ts';
import { amplify } from './amplify.ts';
import { attribute } from './attribute.ts';
import { attributePivot } from './attribute-pivot.ts';
import { attributeRun } from './attribute-run.ts';
import { benchmark } from './benchmark.ts';
import { complete } from './complete.ts';
import { componentChange, componentRows } from './component-change.ts';
import { devices } from './devices.ts';
import { diff } from './diff.ts';
import { evaluate } from './evaluate.ts';
import { exportPairs } from './export-pairs.ts';
import { forecast } from './forecast.ts';
import { generate } from './generate.ts';
import { load } from './load.ts';
import { localize } from './localize.ts';
import { mask } from './mask.ts';
import { merge } from './merge.ts';
import { apply, exportAdapter, exportPatch, revert } from './patches.ts';
import { run } from './run.ts';
import { score } from './score.ts';

export const makeJobs = (models: Models) => ({
  generate: generate(models),
  localize: localize(models),
  mask: mask(models),
  amplify: amplify(models),
  evaluate: evaluate(models),
  benchmark: benchmark(models),
  merge,
  run: run(models),
  forecast: forecast(models),
  score: score(models),
  attribute: attribute(models),
  diff: diff(models),
  apply,
  revert,
  exportAdapter,
  exportPatch,
  load: load(models),
  attributePivot: attributePivot(models),
  attributeRun: attributeRun(models),
  complete: complete(models),
  componentChange,
  componentRows,
  exportPairs: exportPairs(models),
  devices,
});

export type Jobs = ReturnType<typeof makeJobs>;
