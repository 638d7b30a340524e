import { Amplifier, isValidated } from '../amplify/amplifier.ts';
import type { Observation } from '../amplify/guard.ts';
import { AmplifyObjective, objectiveTokens } from '../amplify/objective.ts';
import { type FloatDtype, toFloat32 } from '../checkpoint/dtype.ts';
import { bySuite } from '../data/controls.ts';
import type { ControlItem, Pair, Problem, Trace } from '../data/records.ts';
import { accuracyOf, evaluateControls, evaluateProblems } from '../evaluate/items.ts';
import { encodePrompts, sharedPrefix } from '../generate/traces.ts';
import { type Circuit, circuitDeltas } from '../model/components.ts';
import type { Model } from '../model/model.ts';
import { type Delta, noOverlay, type Overlay } from '../model/overlay.ts';
import { readLines } from '../patch/patch.ts';
import type { Rng } from '../random.ts';
import { makeRunners, type Runners, type StageContext } from './context.ts';
import { meanOf, SuiteWork } from './expected.ts';
import type { AmplifySettings, EvaluateSettings } from './settings.ts';
import { type Piece, sumOf, times, type Work } from './work.ts';

/** What stage 3 trains on and watches. */
export interface TrainingData {
  pairs: readonly Pair[];
  /** Token ids of plain control texts. */
  controlText: readonly (readonly number[])[];
  /** The model's own correct traces. */
  traces: readonly Trace[];
  validation: readonly Problem[];
  guard: readonly ControlItem[];
}

/** Validation problems and guard suites under an overlay. */
export interface Observer {
  observe(overlay: Overlay): Promise<Observation>;
  /** Expected work of one observation. */
  expected: Piece;
}

/** @param guess length of a completion; null for none */
export function observer(
  { model, signal }: StageContext,
  data: Pick<TrainingData, 'validation' | 'guard'>,
  settings: Pick<AmplifySettings, 'guardItems' | 'validationItems'>,
  evaluate: EvaluateSettings,
  guess: number | null,
): Observer {
  const limit = <T>(items: readonly T[], n: number) => (n > 0 ? items.slice(0, n) : items);
  const validation = limit(data.validation, settings.validationItems);
  const suites = [...bySuite(data.guard)].map(
    ([name, items]) => [name, limit(items, settings.guardItems)] as const,
  );
  const prompts = encodePrompts(model, validation);
  const shared = sharedPrefix(prompts).length;
  const problemWork = SuiteWork.ofProblems(prompts, shared, evaluate.batch, guess);
  const suiteWork = suites.map(([, items]) => SuiteWork.ofControls(model, items));
  const hooks = (work: SuiteWork) => ({ signal, onCompletion: (tokens: number) => work.length.add(tokens) });
  return {
    async observe(overlay) {
      const { plain, shared } = await makeRunners(model, prompts, overlay);
      const outcomes = await evaluateProblems(shared, validation, evaluate, hooks(problemWork));
      const observed: Observation = { accuracy: accuracyOf(outcomes), n: validation.length, suites: {} };
      await model.makeRoom();
      for (const [i, [name, items]] of suites.entries()) {
        const options = { batch: evaluate.batch, maxTokens: evaluate.maxAnswerTokens };
        const results = await evaluateControls(plain, items, options, hooks(suiteWork[i]!));
        observed.suites[name] = { accuracy: accuracyOf(results), n: items.length };
      }
      await model.makeRoom();
      return observed;
    },
    expected: () =>
      sumOf([
        problemWork.of(validation.length),
        ...suites.map(([, items], i) => suiteWork[i]!.of(items.length)),
      ]),
  };
}

/** Expected work of a training. */
export interface TrainingWork {
  /** Tokens that the objective takes forward to begin with. */
  base: number;
  steps: number;
  /** Tokens of a step. */
  step: number;
  /** Steps that an earlier session took; then the base model has been observed too. */
  taken: number;
  validates(step: number): boolean;
}

/** @param observation expected work of one */
export function trainingWork({ base, steps, step, taken, validates }: TrainingWork, observation: Work): Work {
  const left = Array.from({ length: steps - taken }, (_, i) => taken + i + 1);
  const observations = left.filter((number) => validates(number)).length + (taken > 0 ? 0 : 1);
  return sumOf([{ forward: base, train: left.length * step }, times(observations, observation)]);
}

/** The work of training a circuit, which does not depend on what the circuit is. */
export function circuitWork(
  { shared }: Runners,
  data: TrainingData,
  settings: AmplifySettings,
  taken: number,
): TrainingWork {
  const { pairs, controlText: controls, traces } = data;
  return {
    ...objectiveTokens(shared, { pairs, controls, traces }, settings),
    steps: settings.steps,
    validates: (step) => isValidated(step, settings),
    taken,
  };
}

/** Mean length of the model's own right traces; null where there is none. */
export function typicalLength(traces: readonly Trace[]): number | null {
  return traces.length > 0 ? meanOf(traces.map(({ completion_ids }) => completion_ids.length)) : null;
}

/** An amplifier for a circuit's rows, ready for its first step or for `restore`. */
export async function circuitAmplifier(
  context: StageContext,
  runners: Runners,
  circuit: Circuit,
  data: TrainingData,
  settings: AmplifySettings,
  { observe }: Observer,
  rng: Rng,
): Promise<Amplifier> {
  const { model, signal } = context;
  const overlay: Overlay = { ...noOverlay, deltas: circuitDeltas(model.arch, circuit, settings.neurons) };
  const objective = await AmplifyObjective.create(
    { runner: runners.shared, plain: runners.plain },
    overlay,
    { pairs: data.pairs, controls: data.controlText, traces: data.traces },
    settings,
    signal,
  );
  await model.makeRoom();
  const base = settings.weights === 'float16' ? overlay.deltas.map((delta) => baseLines(model, delta)) : null;
  return new Amplifier(overlay, objective, observe, settings, rng, base);
}

/** The checkpoint's rows (or columns) that a delta changes, [indices.length, width]. */
export function baseLines({ checkpoint }: Model, { tensor, axis, indices }: Delta): Float32Array {
  const info = checkpoint.tensors.get(tensor)!;
  return toFloat32(readLines(info, axis, indices), info.dtype as FloatDtype);
}

/** Weights that a circuit's rows (and columns) hold. */
export function weightCount(model: Model, circuit: Circuit, neurons: AmplifySettings['neurons']): number {
  return circuitDeltas(model.arch, circuit, neurons).reduce((sum, d) => sum + d.delta.length, 0);
}
