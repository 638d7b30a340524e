import { join } from 'node:path';
import type { StepReport } from '../../amplify/amplifier.ts';
import type { Observation } from '../../amplify/guard.ts';
import type { Circuit } from '../../model/components.ts';
import type { Delta } from '../../model/overlay.ts';
import { readPatch, writePatch } from '../../patch/file.ts';
import { createPatch, type Patch } from '../../patch/patch.ts';
import { Rng } from '../../random.ts';
import { askedToEndTraining, forgetEndOfTraining } from '../../runs/end-request.ts';
import { makeRunners } from '../context.ts';
import type { AmplifySettings, EvaluateSettings } from '../settings.ts';
import {
  baseLines,
  circuitAmplifier,
  circuitWork,
  observer,
  type TrainingData,
  trainingWork,
  typicalLength,
  weightCount,
} from '../train.ts';
import { StageWork } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

export interface AmplifySummary {
  base: Observation;
  /** The step whose weights the patch has; 0: no step was better than the base model within the guard. */
  best: number;
  steps: number;
  /** The limit at which the guard ended it, or null. */
  breach: string | null;
  /** It ended before its last step because the user asked it to. */
  asked: boolean;
  weights: number;
  curve: StepReport[];
  seconds: number;
}

/** Stage 3: train the circuit's rows under guard; writes patch.safetensors (or the given name). */
export async function amplifyStage(
  context: RunContext,
  {
    circuit,
    data,
    settings,
    evaluate,
    seed,
    name = 'amplify',
    file = 'patch.safetensors',
  }: {
    circuit: Circuit;
    data: TrainingData;
    settings: AmplifySettings;
    evaluate: EvaluateSettings;
    seed: number;
    name?: string;
    file?: string;
  },
): Promise<{ patch: Patch; summary: AmplifySummary }> {
  const { model, run, emit } = context;
  const stage = run.stage(name, [], { pairs: contentHash(data.pairs), circuit: contentHash(circuit) });
  const end = announce(context, name, stage.finished);
  if (!stage.finished) {
    const runners = await makeRunners(
      model,
      data.pairs.map((p) => p.prefix),
    );
    const taken = stage.state?.step ?? 0;
    const training = circuitWork(runners, data, settings, taken);
    const piece = () => trainingWork(training, watch.expected());
    const items = { stage: name, unit: 'steps', total: settings.steps, kept: taken };
    const work = new StageWork(context, items, [piece]);
    const watch = observer(work.context, data, settings, evaluate, typicalLength(data.traces));
    work.begin(piece);
    const amplifier = await circuitAmplifier(
      work.context,
      runners,
      circuit,
      data,
      settings,
      watch,
      new Rng(seed).fork(name),
    );
    const base = await stage.unit('base', async () => ({ result: await amplifier.observeBase() }));
    // After a kill the base was observed in an earlier session.
    amplifier.setBase(base);
    if (stage.state) amplifier.restore(stage.state.bytes);
    // Steps are redone from a snapshot: without one, those committed before a kill would count and not train.
    else stage.saveState(0, amplifier.save());
    const curve: StepReport[] = [];
    for (let step = 1; step <= taken; step++) {
      curve.push(await stage.unit(`step ${step}`, () => Promise.reject(new Error(`step ${step} is lost`))));
    }
    while (!amplifier.done) {
      const report = await stage.unit(`step ${curve.length + 1}`, async () => ({
        result: await amplifier.advance(work.signal, () => askedToEndTraining(run.folder)),
      }));
      curve.push(report);
      emit({ event: 'step', report });
      work.advance(report.step);
      const asked = amplifier.endedAsAsked;
      if (asked) run.note({ stage: name, endedAsAsked: report.step });
      // An early end as asked is part of the state: a run that is killed before its patch is written ends there too.
      if (report.observation && (asked || !amplifier.done)) stage.saveState(report.step, amplifier.save());
    }
    work.end();
    const best = amplifier.rollBack();
    const patch = await createPatch(
      model.checkpoint,
      amplifier.overlay.deltas.map((delta) => trainedRows(context, delta)),
      { stage: name, pairs: data.pairs.length, step: best, seed },
    );
    writePatch(run.reserve(file), patch);
    const summary: Omit<AmplifySummary, 'seconds'> = {
      base,
      best,
      steps: curve.length,
      breach: curve.at(-1)?.breach ?? null,
      asked: amplifier.endedAsAsked,
      weights: weightCount(model, circuit, settings.neurons),
      curve,
    };
    stage.finish({ ...summary, seconds: stage.seconds });
    forgetEndOfTraining(run.folder);
  }
  end();
  return { patch: readPatch(join(run.folder, file)), summary: stage.summary as AmplifySummary };
}

/** New values of a delta's rows (or columns): the checkpoint's plus the change. */
function trainedRows({ model }: RunContext, delta: Delta) {
  const { tensor, axis, indices } = delta;
  return { tensor, axis, indices, values: baseLines(model, delta).map((v, i) => v + delta.delta[i]!) };
}
