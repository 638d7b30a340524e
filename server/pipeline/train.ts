import { Amplifier } from '../amplify/amplifier.ts';
import type { Observation } from '../amplify/guard.ts';
import { AmplifyObjective } from '../amplify/objective.ts';
import { type FloatDtype, toFloat32 } from '../checkpoint/dtype.ts';
import { bySuite } from '../data/controls.ts';
import type { ControlItem, Pair, Problem, Trace } from '../data/records.ts';
import { accuracyOf, evaluateControls, evaluateProblems } from '../evaluate/items.ts';
import { encodePrompts } from '../generate/traces.ts';
import { type Circuit, circuitDeltas } from '../model/components.ts';
import type { Model } from '../model/model.ts';
import { type Delta, noOverlay, type Overlay } from '../model/overlay.ts';
import { readLines } from '../patch/patch.ts';
import type { Rng } from '../random.ts';
import { makeRunners, type Runners, type StageContext } from './context.ts';
import type { AmplifySettings, EvaluateSettings } from './settings.ts';

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
export function observer(
  context: StageContext,
  data: Pick<TrainingData, 'validation' | 'guard'>,
  settings: Pick<AmplifySettings, 'guardItems' | 'validationItems'>,
  evaluate: EvaluateSettings,
): (overlay: Overlay) => Promise<Observation> {
  const limit = <T>(items: readonly T[], n: number) => (n > 0 ? items.slice(0, n) : items);
  const validation = limit(data.validation, settings.validationItems);
  const suites = [...bySuite(data.guard)].map(
    ([name, items]) => [name, limit(items, settings.guardItems)] as const,
  );
  const { model, signal } = context;
  const prompts = encodePrompts(model, validation);
  return async (overlay) => {
    const { plain, shared } = await makeRunners(model, prompts, overlay);
    const outcomes = await evaluateProblems(shared, validation, evaluate, { signal });
    const observed: Observation = { accuracy: accuracyOf(outcomes), n: validation.length, suites: {} };
    await model.makeRoom();
    for (const [name, items] of suites) {
      const results = await evaluateControls(
        plain,
        items,
        { batch: evaluate.batch, maxTokens: evaluate.maxAnswerTokens },
        { signal },
      );
      observed.suites[name] = { accuracy: accuracyOf(results), n: items.length };
    }
    await model.makeRoom();
    return observed;
  };
}

/** An amplifier for a circuit's rows, ready for its first step or for `restore`. */
export async function circuitAmplifier(
  context: StageContext,
  runners: Runners,
  circuit: Circuit,
  data: TrainingData,
  settings: AmplifySettings,
  evaluate: EvaluateSettings,
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
  return new Amplifier(overlay, objective, observer(context, data, settings, evaluate), settings, rng, base);
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
