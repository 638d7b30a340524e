import type { Amplifier, StepReport } from '../amplify/amplifier.ts';
import type { ControlItem, Pair, Problem, Trace } from '../data/records.ts';
import { evaluateControls, evaluateProblems, type Outcome } from '../evaluate/items.ts';
import { encodePrompts, greedyTraces, sampledTraces } from '../generate/traces.ts';
import { type BranchingReport, branchingPairs, contrasts, prefixPairs } from '../localize/localize.ts';
import type { Overlay } from '../model/overlay.ts';
import { makeRunners, type Runners, type StageContext } from './context.ts';
import type { EvaluateSettings, GenerateSettings, LocalizeSettings } from './settings.ts';
import { bySuite } from './train.ts';

/** Greedy and sampled traces of problems, greedy ones first. */
export async function collectTraces(
  context: StageContext,
  runners: Runners,
  problems: readonly Problem[],
  settings: GenerateSettings,
  seed: number,
): Promise<Trace[]> {
  const { signal, emit } = context;
  const hooks = { signal, onTrace: (trace: Trace) => emit({ event: 'trace', trace }) };
  const greedy = await greedyTraces(runners.shared, problems, settings, hooks);
  return [
    ...greedy,
    ...(await sampledTraces(runners.shared, problems, greedy, { ...settings, seed }, hooks)),
  ];
}

/** Pairs of traces, by the method that the settings name. */
export async function locatePairs(
  context: StageContext,
  runners: Runners,
  traces: readonly Trace[],
  localize: LocalizeSettings,
  generate: GenerateSettings,
): Promise<{ pairs: Pair[]; report: BranchingReport | null }> {
  const all = contrasts(traces, localize.counterparts);
  if (localize.method === 'prefix') return { pairs: prefixPairs(all), report: null };
  return branchingPairs(runners.shared, all, generate, {
    signal: context.signal,
    onProgress: (done, total) =>
      context.emit({ event: 'progress', stage: 'localize', done, total, unit: 'traces' }),
  });
}

/** Step an amplifier to its end and put the best step into its overlay. */
export async function trainToEnd(context: StageContext, amplifier: Amplifier): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  amplifier.setBase(await amplifier.observeBase());
  while (!amplifier.done) {
    const report = await amplifier.advance(context.signal);
    reports.push(report);
    context.emit({ event: 'step', report });
  }
  amplifier.rollBack();
  return reports;
}

/** Outcomes by suite: problem sets by their name, control suites by theirs. */
export type SuiteOutcomes = Record<string, Outcome[]>;

/** Evaluate a model with an overlay on problem sets and control items. */
export async function evaluateAll(
  context: StageContext,
  overlay: Overlay,
  problemSets: Record<string, readonly Problem[]>,
  controls: readonly ControlItem[],
  settings: EvaluateSettings,
  tag: string,
): Promise<{ problems: SuiteOutcomes; controls: SuiteOutcomes }> {
  const { model, signal, emit } = context;
  const suites = bySuite(controls);
  const total = Object.values(problemSets).reduce((n, p) => n + p.length, 0) + controls.length;
  let done = 0;
  const onItem = () =>
    emit({ event: 'progress', stage: 'evaluate', done: ++done, total, unit: 'items', note: tag });
  const out = { problems: {} as SuiteOutcomes, controls: {} as SuiteOutcomes };
  const options = {
    maxTokens: settings.maxTokens,
    batch: settings.batch,
    stop: { answer: true, strings: [] },
  };
  for (const [name, problems] of Object.entries(problemSets)) {
    const { shared } = await makeRunners(model, encodePrompts(model, problems), overlay);
    out.problems[name] = await evaluateProblems(shared, problems, options, { signal, onItem });
  }
  const { plain } = await makeRunners(model, [], overlay);
  for (const [name, items] of suites) {
    out.controls[name] = await evaluateControls(
      plain,
      items,
      { batch: settings.batch, maxTokens: settings.maxAnswerTokens },
      { signal, onItem },
    );
  }
  return out;
}
