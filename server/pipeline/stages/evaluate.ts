import { bySuite } from '../../data/controls.ts';
import type { ControlItem, Problem } from '../../data/records.ts';
import { evaluateControls, evaluateProblems, type ItemHooks, type Outcome } from '../../evaluate/items.ts';
import { Runner } from '../../generate/forward.ts';
import { encodePrompts } from '../../generate/traces.ts';
import type { Overlay } from '../../model/overlay.ts';
import { dealt, type Shard } from '../../runs/shard.ts';
import { chunks, makeRunners, type StageContext } from '../context.ts';
import type { EvaluateSettings } from '../settings.ts';
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
  }: {
    models: Readonly<Record<string, Overlay>>;
    suites: Suites;
    settings: EvaluateSettings;
    name?: string;
    shard?: Shard | null;
  },
): Promise<{ outcomes: Record<string, Outcomes>; seconds: number; items: number }> {
  const samples = samplesName(name);
  const stage = context.run.stage(name, [samples], { items: contentHash(suites) });
  const end = announce(context, name, stage.finished);
  const own = dealt(partsOf(Object.keys(models), suites), shard);
  const total = own.reduce((sum, { unit }) => sum + unit.items.length, 0);
  const results: Record<string, Outcomes> = {};
  for (const tag of Object.keys(models)) results[tag] = { problems: {}, controls: {} };
  let done = 0;
  let current: { place: string; evaluate: Promise<Evaluate> } | null = null;
  let evaluator: { model: string; of: SuiteEvaluators } | null = null;
  for (const { unit: part } of own) {
    const { model: tag, kind, suite, k, items } = part;
    const tell = (n: number) =>
      context.emit({ event: 'progress', stage: name, done: done + n, total, unit: 'items', note: tag });
    const kept = await stage.unit(keyOf(part), async () => {
      const place = `${tag} ${kind} ${suite}`;
      if (evaluator?.model !== tag) {
        evaluator = { model: tag, of: suiteEvaluators(context, models[tag]!, suites, settings) };
      }
      if (current?.place !== place) current = { place, evaluate: evaluator.of(kind, suite) };
      const records = new Array<object>(items.length);
      let scored = 0;
      let shown = 0;
      const result = await (await current.evaluate)(items, (i, outcome) => {
        records[i] = { model: tag, suite, doc_id: k * CHUNK + i, doc: items[i], ...outcome };
        // In the file as soon as it and those before it are scored.
        for (; records[shown]; shown++) stage.show(samples, [records[shown]]);
        tell(++scored);
      });
      return { result, records: { [samples]: records } };
    });
    results[tag]![kind][suite] = [...(results[tag]![kind][suite] ?? []), ...kept];
    done += items.length;
    tell(0);
  }
  if (!stage.finished) stage.finish({ seconds: stage.seconds });
  end();
  return { outcomes: results, seconds: stage.seconds, items: total };
}

/** The units of an evaluation in their order: model by model, suite by suite. */
function partsOf(models: readonly string[], { problems, controls }: Suites): Part[] {
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
  return models.flatMap((model) =>
    [...sets, ...others].flatMap(({ kind, suite, items }) =>
      chunks<Problem | ControlItem>(items, CHUNK).map((part, k) => ({ model, kind, suite, k, items: part })),
    ),
  );
}

/** Evaluate one model on everything, as part of a unit of work. */
export async function evaluateModels(
  context: StageContext,
  overlay: Overlay,
  suites: Suites,
  settings: EvaluateSettings,
): Promise<Outcomes> {
  const outcomes: Outcomes = { problems: {}, controls: {} };
  const evaluators = suiteEvaluators(context, overlay, suites, settings);
  const evaluate = async (kind: Part['kind'], suite: string, items: Part['items']) => {
    outcomes[kind][suite] = await (await evaluators(kind, suite))(items, () => undefined);
  };
  for (const [suite, items] of Object.entries(suites.problems)) await evaluate('problems', suite, items);
  for (const [suite, items] of bySuite(suites.controls)) await evaluate('controls', suite, items);
  return outcomes;
}

/** Evaluates items of one suite. */
type Evaluate = (items: Part['items'], onOutcome: NonNullable<ItemHooks['onOutcome']>) => Promise<Outcome[]>;
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
      return (items, onOutcome) =>
        evaluateProblems(shared, items as readonly Problem[], settings, { signal, onOutcome });
    }
    if (!plain) await model.makeRoom();
    plain ??= Runner.create(model, overlay);
    const runner = await plain;
    return (items, onOutcome) =>
      evaluateControls(runner, items as readonly ControlItem[], recallOptions, { signal, onOutcome });
  };
}
