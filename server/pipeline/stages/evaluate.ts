import type { ControlItem, Problem } from '../../data/records.ts';
import { evaluateControls, evaluateProblems, type Outcome } from '../../evaluate/items.ts';
import { encodePrompts } from '../../generate/traces.ts';
import type { Overlay } from '../../model/overlay.ts';
import type { Stage } from '../../runs/stage.ts';
import { chunks, makeRunners } from '../context.ts';
import type { EvaluateSettings } from '../settings.ts';
import { bySuite } from '../train.ts';
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
): Promise<Record<string, Outcomes>> {
  const samples = `${name}-samples.jsonl`;
  const stage = context.run.stage(name, [samples], { items: contentHash(suites) });
  const end = announce(context, name, stage.finished);
  const items = Object.values(suites.problems).reduce((n, p) => n + p.length, suites.controls.length);
  const total = items * Object.keys(models).length;
  let before = 0;
  const results: Record<string, Outcomes> = {};
  for (const [tag, overlay] of Object.entries(models)) {
    results[tag] = await evaluateModel(context, stage, { tag, overlay, suites, settings, samples }, (done) =>
      context.emit({ event: 'progress', stage: name, done: before + done, total, unit: 'items', note: tag }),
    );
    before += items;
  }
  if (!stage.finished) stage.finish({ seconds: stage.seconds });
  end();
  return results;
}

async function evaluateModel(
  { model, signal }: RunContext,
  stage: Stage,
  {
    tag,
    overlay,
    suites,
    settings,
    samples,
  }: { tag: string; overlay: Overlay; suites: Suites; settings: EvaluateSettings; samples: string },
  onDone: (done: number) => void,
): Promise<Outcomes> {
  const outcomes: Outcomes = { problems: {}, controls: {} };
  const options = {
    maxTokens: settings.maxTokens,
    batch: settings.batch,
    stop: { answer: true, strings: [] },
  };
  const recallOptions = { batch: settings.batch, maxTokens: settings.maxAnswerTokens };
  let done = 0;
  const inChunks = async <T extends object>(
    suite: string,
    items: readonly T[],
    evaluate: (part: readonly T[], onItem: (n: number) => void) => Promise<Outcome[]>,
  ) => {
    const all: Outcome[] = [];
    for (const [k, part] of chunks(items, CHUNK).entries()) {
      const unit = await stage.unit(`${tag} ${suite} ${k}`, async () => {
        const result = await evaluate(part, (n) => onDone(done + n));
        const records = result.map((outcome, i) => ({
          model: tag,
          suite,
          doc_id: k * CHUNK + i,
          doc: part[i],
          ...outcome,
        }));
        return { result, records: { [samples]: records } };
      });
      all.push(...unit);
      done += part.length;
      onDone(done);
    }
    return all;
  };
  for (const [name, problems] of Object.entries(suites.problems)) {
    const { shared } = await makeRunners(model, encodePrompts(model, problems), overlay);
    outcomes.problems[name] = await inChunks(name, problems, (part, onItem) =>
      evaluateProblems(shared, part, options, { signal, onItem }),
    );
  }
  const { plain } = await makeRunners(model, [], overlay);
  for (const [name, items] of bySuite(suites.controls)) {
    outcomes.controls[name] = await inChunks(name, items, (part, onItem) =>
      evaluateControls(plain, part, recallOptions, { signal, onItem }),
    );
  }
  return outcomes;
}
