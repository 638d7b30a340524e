import { bySuite } from '../../data/controls.ts';
import type { ControlItem, Problem } from '../../data/records.ts';
import { evaluateControls, evaluateProblems, type ItemHooks, type Outcome } from '../../evaluate/items.ts';
import { Runner } from '../../generate/forward.ts';
import { encodePrompts, sharedPrefix } from '../../generate/traces.ts';
import type { Model } from '../../model/model.ts';
import type { Overlay } from '../../model/overlay.ts';
import { dealt, type Shard } from '../../runs/shard.ts';
import { chunks, makeRunners, type StageContext } from '../context.ts';
import { SuiteWork } from '../expected.ts';
import type { EvaluateSettings } from '../settings.ts';
import { StageWork } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

/** Items per unit of work. */
const CHUNK = 256;

/** What is evaluated on: problem sets by name, and control items, which carry their suite. */
export interface Suites {
  problems: Readonly<Record<string, readonly Problem[]>>;
  controls: readonly ControlItem[];
}

/** Outcomes by suite, in the order of its items. */
export interface Outcomes {
  problems: Record<string, Outcome[]>;
  controls: Record<string, Outcome[]>;
}

/** A suite of one model, in units. */
interface Part {
  model: string;
  kind: 'problems' | 'controls';
  suite: string;
  /** Number of the unit within the suite. */
  k: number;
  items: readonly (Problem | ControlItem)[];
}

/** Key of a unit in the journal. */
const keyOf = ({ model, kind, suite, k }: Part) => `${model} ${kind} ${suite} ${k}`;

/** The unit that a key names: whose outcomes its result holds. */
export function readUnitKey(key: string): Pick<Part, 'model' | 'kind' | 'suite'> | null {
  const [, model, kind, suite] = /^(\S+) (problems|controls) (.*) \d+$/.exec(key) ?? [];
  return model && suite ? { model, kind: kind as Part['kind'], suite } : null;
}

/** Name of the artefact with every item, its outcome and the model. */
export const samplesName = (stage: string): string => `${stage}-samples.jsonl`;

/**
 * Evaluate several models (the base and its changes) on the same items, unit by unit; every unit is kept, and every
 * item is in the samples file as it is scored.
 * @param shard only its units are evaluated: outcomes of the others are missing from the result
 */
export async function evaluateStage(
  context: RunContext,
  {
    models,
    suites,
    settings,
    name = 'evaluate',
    shard = null,
    guess = null,
  }: {
    models: Readonly<Record<string, Overlay>>;
    suites: Suites;
    settings: EvaluateSettings;
    name?: string;
    shard?: Shard | null;
    /** Expected length of a problem's completion, tokens; null where nobody knows. */
    guess?: number | null;
  },
): Promise<{ outcomes: Record<string, Outcomes>; seconds: number; items: number }> {
  const samples = samplesName(name);
  const stage = context.run.stage(name, [samples], { items: contentHash(suites) });
  const end = announce(context, name, stage.finished);
  const own = dealt(partsOf(Object.keys(models), suites), shard);
  const total = own.reduce((sum, { unit }) => sum + unit.items.length, 0);
  const outcomes: Record<string, Outcomes> = {};
  for (const tag of Object.keys(models)) outcomes[tag] = { problems: {}, controls: {} };
  const waiting = own.filter(({ unit }) => !stage.finished && !stage.has(keyOf(unit)));
  const kept = total - waiting.reduce((sum, { unit }) => sum + unit.items.length, 0);
  const expected = suiteWork(context.model, suites, settings, guess);
  const pieces = new Map(
    waiting.map(({ unit }) => [unit, () => expected(unit.kind, unit.suite).of(unit.items.length)]),
  );
  const work = new StageWork(context, { stage: name, unit: 'items', total, kept }, [...pieces.values()]);
  let done = 0;
  let current: { place: string; evaluate: Promise<Evaluate> } | null = null;
  let evaluator: { model: string; of: SuiteEvaluators } | null = null;
  for (const { unit: part } of own) {
    const { model: tag, kind, suite, k, items } = part;
    const results = await stage.unit(keyOf(part), async () => {
      const place = `${tag} ${kind} ${suite}`;
      if (evaluator?.model !== tag) {
        evaluator = { model: tag, of: suiteEvaluators(work.context, models[tag]!, suites, settings) };
      }
      if (current?.place !== place) current = { place, evaluate: evaluator.of(kind, suite) };
      work.begin(pieces.get(part)!);
      const records = new Array<object>(items.length);
      let scored = 0;
      let shown = 0;
      const result = await (await current.evaluate)(items, {
        onCompletion: (tokens) => expected(kind, suite).length.add(tokens),
        onOutcome: (i, outcome) => {
          records[i] = { model: tag, suite, doc_id: k * CHUNK + i, doc: items[i], ...outcome };
          // In the file as soon as it and those before it are scored.
          for (; records[shown]; shown++) stage.show(samples, [records[shown]]);
          work.advance(done + ++scored, { note: tag });
        },
      });
      return { result, records: { [samples]: records } };
    });
    outcomes[tag]![kind][suite] = [...(outcomes[tag]![kind][suite] ?? []), ...results];
    done += items.length;
    work.advance(done, { note: tag });
  }
  if (!stage.finished) {
    work.end();
    stage.finish({ seconds: stage.seconds });
  }
  end();
  return { outcomes, seconds: stage.seconds, items: total };
}

/** The units of an evaluation in their order: model by model, suite by suite. */
function partsOf(models: readonly string[], suites: Suites): Part[] {
  return models.flatMap((model) =>
    suitesOf(suites).flatMap(({ kind, suite, items }) =>
      chunks(items, CHUNK).map((part, k) => ({ model, kind, suite, k, items: part })),
    ),
  );
}

function suitesOf({ problems, controls }: Suites): Pick<Part, 'kind' | 'suite' | 'items'>[] {
  const sets = Object.entries(problems).map(([suite, items]) => ({
    kind: 'problems' as const,
    suite,
    items,
  }));
  const others = [...bySuite(controls)].map(([suite, items]) => ({
    kind: 'controls' as const,
    suite,
    items,
  }));
  return [...sets, ...others];
}

/** Evaluate one model on everything, as the last part of a stage's work. */
export async function evaluateModel(
  work: StageWork,
  overlay: Overlay,
  suites: Suites,
  settings: EvaluateSettings,
  expected: EvaluationWork,
): Promise<Outcomes> {
  const outcomes: Outcomes = { problems: {}, controls: {} };
  const evaluators = suiteEvaluators(work.context, overlay, suites, settings);
  for (const { kind, suite, items, piece } of expected.parts) {
    work.begin(piece);
    const hooks = { onCompletion: (tokens: number) => expected.of(kind, suite).length.add(tokens) };
    outcomes[kind][suite] = await (await evaluators(kind, suite))(items, hooks);
  }
  return outcomes;
}

/** Expected work of one model's evaluation, suite by suite. */
export function evaluationWork(
  model: Model,
  suites: Suites,
  settings: EvaluateSettings,
  guess: number | null,
) {
  const of = suiteWork(model, suites, settings, guess);
  const parts = suitesOf(suites).map((one) => ({
    ...one,
    piece: () => of(one.kind, one.suite).of(one.items.length),
  }));
  return { of, parts };
}
export type EvaluationWork = ReturnType<typeof evaluationWork>;

/** What the items of every suite are expected to take, of all models alike. */
function suiteWork(
  model: Model,
  { problems, controls }: Suites,
  { batch }: EvaluateSettings,
  guess: number | null,
) {
  const suites = bySuite(controls);
  const known = { problems: new Map<string, SuiteWork>(), controls: new Map<string, SuiteWork>() };
  const make = (kind: Part['kind'], suite: string): SuiteWork => {
    if (kind === 'controls') return SuiteWork.ofControls(model, suites.get(suite)!);
    const prompts = encodePrompts(model, problems[suite]!);
    return SuiteWork.ofProblems(prompts, sharedPrefix(prompts).length, batch, guess);
  };
  return (kind: Part['kind'], suite: string): SuiteWork => {
    const work = known[kind].get(suite) ?? make(kind, suite);
    known[kind].set(suite, work);
    return work;
  };
}

/** Evaluates items of one suite. */
type Evaluate = (items: Part['items'], hooks: Omit<ItemHooks, 'signal'>) => Promise<Outcome[]>;
type SuiteEvaluators = (kind: Part['kind'], suite: string) => Promise<Evaluate>;

/**
 * The evaluators of a model's suites. What the prompts of a problem set share is computed once, from all of them: it
 * does not depend on how the set is cut.
 */
function suiteEvaluators(
  { model, signal }: StageContext,
  overlay: Overlay,
  suites: Suites,
  settings: EvaluateSettings,
): SuiteEvaluators {
  const recallOptions = { batch: settings.batch, maxTokens: settings.maxAnswerTokens };
  let plain: Promise<Runner> | null = null;
  return async (kind, suite) => {
    if (kind === 'problems') {
      const { shared } = await makeRunners(model, encodePrompts(model, suites.problems[suite]!), overlay);
      return (items, hooks) =>
        evaluateProblems(shared, items as readonly Problem[], settings, { signal, ...hooks });
    }
    if (!plain) await model.makeRoom();
    plain ??= Runner.create(model, overlay);
    const runner = await plain;
    return (items, hooks) =>
      evaluateControls(runner, items as readonly ControlItem[], recallOptions, { signal, ...hooks });
  };
}
