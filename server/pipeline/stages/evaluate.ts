import { bySuite } from '../../data/controls.ts';
import type { ControlItem, Problem } from '../../data/records.ts';
import { evaluateControls, evaluateProblems, type Outcome } from '../../evaluate/items.ts';
import { encodePrompts } from '../../generate/traces.ts';
import type { Overlay } from '../../model/overlay.ts';
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

/** Evaluate several models (the base and its changes) on the same items, chunk by chunk; every chunk is kept. */
export async function evaluateStage(
  context: RunContext,
  {
    models,
    suites,
    settings,
    name = 'evaluate',
  }: {
    models: Readonly<Record<string, Overlay>>;
    suites: Suites;
    settings: EvaluateSettings;
    name?: string;
  },
): Promise<{ outcomes: Record<string, Outcomes>; seconds: number }> {
  const samples = `${name}-samples.jsonl`;
  const stage = context.run.stage(name, [samples], { items: contentHash(suites) });
  const end = announce(context, name, stage.finished);
  const items = Object.values(suites.problems).reduce((n, p) => n + p.length, suites.controls.length);
  const total = items * Object.keys(models).length;
  let before = 0;
  const results: Record<string, Outcomes> = {};
  for (const [tag, overlay] of Object.entries(models)) {
    let done = 0;
    const tell = (n: number) =>
      context.emit({ event: 'progress', stage: name, done: before + n, total, unit: 'items', note: tag });
    const divide: Divide = async (suite, all, evaluate) => {
      const outcomes: Outcome[] = [];
      for (const [k, part] of chunks(all, CHUNK).entries()) {
        const kept = await stage.unit(`${tag} ${suite} ${k}`, async () => {
          const result = await evaluate(part, (n) => tell(done + n));
          const records = result.map((outcome, i) => ({
            model: tag,
            suite,
            doc_id: k * CHUNK + i,
            doc: part[i],
            ...outcome,
          }));
          return { result, records: { [samples]: records } };
        });
        outcomes.push(...kept);
        done += part.length;
        tell(done);
      }
      return outcomes;
    };
    results[tag] = await evaluateModel(context, overlay, suites, settings, divide);
    before += items;
  }
  if (!stage.finished) stage.finish({ seconds: stage.seconds });
  end();
  return { outcomes: results, seconds: stage.seconds };
}

/** Evaluate one model on everything, as part of a unit of work. */
export async function evaluateModels(
  context: StageContext,
  overlay: Overlay,
  suites: Suites,
  settings: EvaluateSettings,
): Promise<Outcomes> {
  return evaluateModel(context, overlay, suites, settings, (_suite, items, evaluate) =>
    evaluate(items, () => undefined),
  );
}

/** Evaluates a suite's items, whole or in chunks that are kept. */
type Divide = <T extends object>(
  suite: string,
  items: readonly T[],
  evaluate: (part: readonly T[], onItem: (n: number) => void) => Promise<Outcome[]>,
) => Promise<Outcome[]>;

async function evaluateModel(
  { model, signal }: StageContext,
  overlay: Overlay,
  suites: Suites,
  settings: EvaluateSettings,
  divide: Divide,
): Promise<Outcomes> {
  const outcomes: Outcomes = { problems: {}, controls: {} };
  const recallOptions = { batch: settings.batch, maxTokens: settings.maxAnswerTokens };
  for (const [name, problems] of Object.entries(suites.problems)) {
    const { shared } = await makeRunners(model, encodePrompts(model, problems), overlay);
    outcomes.problems[name] = await divide(name, problems, (part, onItem) =>
      evaluateProblems(shared, part, settings, { signal, onItem }),
    );
  }
  const { plain } = await makeRunners(model, [], overlay);
  for (const [name, items] of bySuite(suites.controls)) {
    outcomes.controls[name] = await divide(name, items, (part, onItem) =>
      evaluateControls(plain, part, recallOptions, { signal, onItem }),
    );
  }
  return outcomes;
}
