import type { CircuitView, ComponentShape, Purpose, Selection } from './circuit.ts';
import type { JobSpec, JobState, StepPoint } from './jobs.ts';
import type { FromPanel, GuardLimits, ShownPivot, ToPanel, TrainingChoices } from './panel.ts';
import type { RunReport, SuiteFigures } from './runs.ts';

/**
 * What a message between host and webview must look like. Neither side trusts the other's values: each checks what it
 * receives, and what does not fit is dropped with a notice. The tables are typed by the unions, so a member or field
 * without a check is a type error.
 */

type Check<T> = (value: unknown) => value is T;
type Fields<T> = { readonly [K in keyof T]-?: Check<T[K]> };

const number = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const count = (value: unknown): value is number => number(value) && Number.isInteger(value) && value >= 0;
const string: Check<string> = (value) => typeof value === 'string';
const boolean: Check<boolean> = (value) => typeof value === 'boolean';

const oneOf =
  <const T extends string>(...values: readonly T[]): Check<T> =>
  (value): value is T =>
    (values as readonly unknown[]).includes(value);

const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value): value is T | null =>
    value === null || check(value);

const list =
  <T>(check: Check<T>): Check<T[]> =>
  (value): value is T[] =>
    Array.isArray(value) && value.every(check);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const record =
  <T>(check: Check<T>): Check<Record<string, T>> =>
  (value): value is Record<string, T> =>
    isRecord(value) && Object.values(value).every(check);

const object =
  <T extends object>(fields: Fields<T>): Check<T> =>
  (value): value is T =>
    isRecord(value) &&
    Object.entries(fields).every(([name, check]) => (check as Check<unknown>)(value[name]));

const interval: Check<[number, number]> = (value): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every(number);

const stage = oneOf('generate', 'localize', 'mask', 'amplify', 'evaluate');

const shape = object<ComponentShape>({
  layers: count,
  heads: count,
  kvHeads: count,
  neurons: count,
  headDim: count,
  hiddenSize: count,
});

const view = object<CircuitView>({
  run: string,
  name: string,
  experiment: nullable(string),
  shape,
  method: nullable(oneOf('dcm', 'fisher', 'random', 'all', 'human')),
  lambda: nullable(number),
  budget: nullable(number),
  pairs: count,
  selected: list(count),
  values: nullable(string),
  attribution: nullable(string),
  change: nullable(string),
});

const selection = object<Selection>({ name: string, file: string, selected: list(count) });

const choices = object<TrainingChoices>({
  steps: count,
  learningRate: number,
  klControl: number,
  neurons: oneOf('up', 'up+gate+down'),
  validateEvery: count,
  variants: list(string),
});

const limits = object<GuardLimits>({ maxKl: nullable(number), maxDrop: nullable(number) });

const spec = object<JobSpec>({
  experiment: string,
  out: nullable(string),
  until: nullable(stage),
  redo: nullable(stage),
  from: nullable(string),
  pairs: nullable(string),
  circuit: nullable(string),
  seed: nullable(number),
  variants: nullable(list(string)),
  set: record(
    (value): value is number | string | boolean => number(value) || string(value) || boolean(value),
  ),
});

const job = object<JobState>({
  id: string,
  title: string,
  spec,
  run: string,
  state: oneOf('running', 'cancelling', 'finished', 'failed', 'cancelled'),
  error: nullable(string),
  stage: nullable(string),
  stages: list(object({ name: string, status: oneOf('waiting', 'running', 'finished', 'kept') })),
  done: number,
  total: number,
  unit: string,
  share: number,
  stageRemaining: nullable(number),
  remaining: nullable(number),
  atMost: boolean,
  figures: record(number),
  tokensPerSecond: nullable(number),
  memory: nullable(number),
  started: number,
  ended: nullable(number),
  endingTraining: boolean,
  restarts: count,
  device: nullable(string),
});

const step = object<StepPoint>({
  step: count,
  loss: number,
  margin: nullable(number),
  klControl: nullable(number),
  klTraces: nullable(number),
  validation: nullable(number),
  guard: nullable(record(number)),
  best: count,
  breach: nullable(string),
});

const side = object<SuiteFigures['base']>({ accuracy: number, n: count, interval });

const suite = object<SuiteFigures>({
  name: string,
  kind: oneOf('target', 'set', 'control'),
  base: side,
  amplified: side,
  gain: number,
  gainInterval: interval,
  p: number,
});

const report = object<RunReport>({
  folder: string,
  suites: list(suite),
  circuit: object<RunReport['circuit']>({
    components: count,
    total: count,
    weights: count,
    byKind: record(number),
  }),
  variants: list(
    object<RunReport['variants'][number]>({ name: string, gain: number, worstControl: nullable(number) }),
  ),
  pivots: nullable(
    object<NonNullable<RunReport['pivots']>>({
      source: string,
      pairs: count,
      accepted: count,
      edited: count,
      marked: count,
    }),
  ),
});

const purpose = object<Purpose>({
  component: count,
  label: string,
  mask: nullable(number),
  gradient: nullable(number),
  served: nullable(
    list(
      object<NonNullable<Purpose['served']>[number]>({
        pair: string,
        problem: string,
        gradient: number,
        desired: string,
        undesired: string,
        trace: nullable(string),
        token: count,
      }),
    ),
  ),
  rows: list(
    object<Purpose['rows'][number]>({
      tensor: string,
      first: count,
      last: count,
      norm: number,
      change: nullable(number),
    }),
  ),
});

const level: Check<number> = (value): value is number =>
  number(value) && Number.isInteger(value) && Math.abs(value) <= 4;

const pivot = object<ShownPivot>({
  problem: string,
  desired: string,
  undesired: string,
  margin: number,
  tokens: list(object<ShownPivot['tokens'][number]>({ text: string, attribution: number, level })),
  components: list(object<ShownPivot['components'][number]>({ component: count, gradient: number })),
});

/** Checks of a union's members by their `type`, each without the tag itself. */
type Members<U extends { type: string }> = {
  readonly [K in U['type']]: Fields<Omit<Extract<U, { type: K }>, 'type'>>;
};

const toPanel: Members<ToPanel> = {
  circuit: { view, selections: list(selection), choices, limits, trusted: boolean },
  attribution: { attribution: string, pairs: count },
  attributing: { done: count, total: count },
  attributionStopped: {},
  mask: { lambda: number, epoch: number, selected: count, margin: number, loss: number, values: string },
  job: { job: nullable(job) },
  steps: { from: count, steps: list(step) },
  report: { report: nullable(report) },
  purpose: { purpose },
  selections: { selections: list(selection) },
  pivot: { pivot: nullable(pivot) },
  focus: { component: count },
  notice: { level: oneOf('info', 'error'), text: string },
  trusted: { trusted: boolean },
};

const fromPanel: Members<FromPanel> = {
  ready: {},
  attribute: {},
  stopAttribute: {},
  purpose: { component: count },
  openPair: { pair: string, trace: nullable(string), token: count },
  train: { selected: list(count), choices },
  endTraining: { job: string },
  cancel: { job: string },
  saveSelection: { selected: list(count) },
  removeSelection: { name: string },
  openReport: {},
  openFlips: {},
  failed: { message: string },
};

/** The message if it is one of the union's; otherwise what is wrong with it, in words. */
export type Checked<U> = { message: U } | { fault: string };

function checker<U extends { type: string }>(members: Members<U>): (value: unknown) => Checked<U> {
  const table = new Map<string, Record<string, Check<unknown>>>(Object.entries(members));
  return (value) => {
    const type = isRecord(value) && typeof value.type === 'string' ? value.type : null;
    const fields = type === null ? undefined : table.get(type);
    if (!fields) return { fault: `a message of unknown type ${JSON.stringify(type)}` };
    const bad = Object.keys(fields).find((name) => !fields[name]!((value as Record<string, unknown>)[name]));
    return bad === undefined
      ? { message: value as U }
      : { fault: `a message ${type} whose ${bad} is not what it should be` };
  };
}

export const checkToPanel = checker<ToPanel>(toPanel);
export const checkFromPanel = checker<FromPanel>(fromPanel);
