import { Amplifier, type TrainingOptions } from '../amplify/amplifier.ts';
import { denseOverlay, fineTuning, loraOverlay } from '../amplify/baselines.ts';
import type { Trace } from '../data/records.ts';
import { type Circuit, ComponentSpace, countByKind } from '../model/components.ts';
import { Rng } from '../random.ts';
import { makeRunners } from './context.ts';
import { randomCircuit, type SelectionWork, selectCircuit, selectionWork, wholeCircuit } from './select.ts';
import { type AmplifySettings, paperSettings, type Settings } from './settings.ts';
import { announce, contentHash, type RunContext } from './stages/common.ts';
import { evaluateModel, evaluationWork, type Outcomes, type Suites } from './stages/evaluate.ts';
import {
  circuitAmplifier,
  circuitWork,
  type Observer,
  observer,
  type TrainingData,
  type TrainingWork,
  trainingWork,
  typicalLength,
} from './train.ts';
import { type Piece, StageWork } from './work.ts';

/**
 * Matched controls and baselines that a report can set beside the run's own result: a random circuit of equal counts per
 * kind and all components, trained alike (all of them at a step size of their own); the same and a random circuit with gate_proj rows and down_proj columns too; the paper's recipe (DCM mask, gradient descent
 * on the logit difference); LoRA and full fine-tuning on the correct traces or the same pairs.
 */
export const variantNames = ['random', 'all', 'neurons', 'random-neurons', 'paper', 'lora', 'full'] as const;
export type VariantName = (typeof variantNames)[number];

export interface VariantInputs {
  circuit: Circuit;
  training: TrainingData;
  traces: readonly Trace[];
  settings: Settings;
  suites: Suites;
  seed: number;
}

export interface VariantSummary {
  components: number | null;
  best: number;
  steps: number;
  breach: string | null;
}

/** A snapshot is read back in one piece, and no file of more bytes can be. */
const SNAPSHOT_BYTES = 2 ** 31 - 1;

/** Train and evaluate one variant, as one unit of work that goes on from the last validation where it was interrupted. */
export async function variantStage(
  context: RunContext,
  name: VariantName,
  inputs: VariantInputs,
): Promise<{ outcomes: Outcomes; summary: VariantSummary; seconds: number }> {
  const stageName = `variant-${name}`;
  const { training, circuit, suites } = inputs;
  const stage = context.run.stage(stageName, [], {
    pairs: contentHash(training.pairs),
    circuit: contentHash(circuit),
    items: contentHash(suites),
  });
  const end = announce(context, stageName, stage.finished);
  const { outcomes, summary } = await stage.unit(name, async () => {
    const variant = await planVariant(context, name, inputs);
    const taken = stage.state?.step ?? 0;
    const guess = typicalLength(training.traces);
    const evaluation = evaluationWork(context.model, suites, inputs.settings.evaluate, guess);
    let known: TrainingWork | null = variant.training(taken);
    const train: Piece = () => (known ? trainingWork(known, watch.expected()) : { train: Number.NaN });
    const work = new StageWork(
      context,
      { stage: stageName, unit: 'steps', total: known?.steps ?? 0, kept: taken },
      [...(variant.selection?.pieces ?? []), train, ...evaluation.parts.map(({ piece }) => piece)],
    );
    const watch = observer(work.context, training, inputs.settings.amplify, inputs.settings.evaluate, guess);
    const { amplifier, components } = await variant.make(work, watch, () => work.begin(train));
    known ??= {
      base: 0,
      steps: amplifier.steps,
      step: amplifier.stepTokens,
      taken,
      validates: (step) => amplifier.validates(step),
    };
    if (stage.state) amplifier.restore(stage.state.bytes);
    else amplifier.setBase(await amplifier.observeBase());
    work.atMost = amplifier.hasPatience;
    let breach: string | null = null;
    while (!amplifier.done) {
      const report = await amplifier.advance(work.signal);
      breach = report.breach;
      context.run.note({ variant: name, ...report });
      if (report.observation && !breach && amplifier.stateBytes <= SNAPSHOT_BYTES)
        stage.saveState(report.step, amplifier.save());
      work.advance(report.step, { total: amplifier.steps });
    }
    work.atMost = false;
    const best = amplifier.rollBack();
    const outcomes = await evaluateModel(
      work,
      amplifier.overlay,
      suites,
      inputs.settings.evaluate,
      evaluation,
    );
    work.end();
    return { result: { outcomes, summary: { components, best, steps: amplifier.taken, breach } } };
  });
  if (!stage.finished) stage.finish(summary);
  end();
  return { outcomes, summary, seconds: stage.seconds };
}

/** A variant before it is made: what its work is expected to be, as far as is known by then. */
interface VariantPlan {
  /** Choosing the circuit, where that is part of it. */
  selection: SelectionWork | null;
  training(taken: number): TrainingWork | null;
  /** @param onSelected called when the circuit, if any is to be chosen, has been */
  make(
    work: StageWork,
    watch: Observer,
    onSelected: () => void,
  ): Promise<{ amplifier: Amplifier; components: number | null }>;
}

async function planVariant(
  context: RunContext,
  name: VariantName,
  { circuit, training, traces, settings, seed }: VariantInputs,
): Promise<VariantPlan> {
  const { model } = context;
  const rng = new Rng(seed).fork(name);
  const runners = await makeRunners(
    model,
    training.pairs.map((p) => p.prefix),
  );
  const space = new ComponentSpace(model.config);
  const count = (chosen: Circuit) => Object.values(countByKind(chosen)).reduce((a, b) => a + b, 0);
  const ofCircuit = (chosen: Circuit, amplify: AmplifySettings): VariantPlan => ({
    selection: null,
    training: (taken) => circuitWork(runners, training, amplify, taken),
    make: async (work, watch, onSelected) => {
      onSelected();
      const { context } = work;
      return {
        amplifier: await circuitAmplifier(context, runners, chosen, training, amplify, watch, rng),
        components: count(chosen),
      };
    },
  });
  const wide: AmplifySettings = { ...settings.amplify, neurons: 'up+gate+down' };
  switch (name) {
    case 'random':
      return ofCircuit(randomCircuit(space, circuit, rng), settings.amplify);
    case 'all':
      return ofCircuit(wholeCircuit(space), { ...settings.amplify, ...settings.variants.all });
    case 'neurons':
      return ofCircuit(circuit, wide);
    case 'random-neurons':
      return ofCircuit(randomCircuit(space, circuit, rng), wide);
    case 'paper': {
      // One pair per problem, as the paper's first counterpart gives.
      const pairs = training.pairs.filter(
        (pair, i) => training.pairs.findIndex((p) => p.problem_id === pair.problem_id) === i,
      );
      const { lambda, learningRate, steps } = settings.variants.paper;
      const mask = { ...paperSettings.mask, lambda } as Settings['mask'];
      const amplify = { ...paperSettings.amplify, learningRate, steps };
      const data = { ...training, pairs };
      const expected = selectionWork(runners, pairs, [], mask);
      return {
        selection: expected,
        training: (taken) => circuitWork(runners, data, amplify, taken),
        make: async (work, watch, onSelected) => {
          const { context } = work;
          const selection = await selectCircuit(context, runners, pairs, [], mask, seed, { work, expected });
          onSelected();
          const chosen = selection.circuit;
          return {
            amplifier: await circuitAmplifier(context, runners, chosen, data, amplify, watch, rng),
            components: count(chosen),
          };
        },
      };
    }
    case 'lora':
    case 'full':
      return {
        selection: null,
        training: () => null,
        make: async (work, { observe }, onSelected) => {
          onSelected();
          const { lora, full } = settings.variants;
          const own = name === 'lora' ? lora : full;
          const overlay = name === 'lora' ? loraOverlay(model, { ...lora, seed }) : denseOverlay(model);
          const data = {
            ...{ traces, pairs: training.pairs },
            ...{ controls: training.controlText, own: training.traces },
          };
          const { objective, steps } = await fineTuning(
            overlay,
            runners,
            data,
            own,
            settings.amplify,
            rng,
            work.signal,
          );
          const validateEvery = own.validateEvery || Math.ceil(steps / 3);
          const { keep, guard } = settings.amplify;
          const schedule: TrainingOptions = {
            ...own,
            ...{ optimizer: 'adam', weights: 'float32', steps, keep, guard },
            ...{ validateEvery, validateEveryEarly: validateEvery },
          };
          return { amplifier: new Amplifier(overlay, objective, observe, schedule, rng), components: null };
        },
      };
  }
}
