import { breathe } from '../../control.ts';
import type { ControlItem, Problem } from '../../data/records.ts';
import { InputError } from '../../errors.ts';
import type { Outcome } from '../../evaluate/items.ts';
import type { BranchingReport } from '../../localize/localize.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import { type Outcomes, readUnitKey, type Suites, samplesName } from '../../pipeline/stages/evaluate.ts';
import { type GenerateCounts, sumGenerated } from '../../pipeline/stages/generate.ts';
import { sumLocalized } from '../../pipeline/stages/localize.ts';
import { type MergedRun, type MergedStage, readShards } from '../../runs/merge.ts';
import { openRun, type Run } from '../../runs/run.ts';
import type { JobContext } from '../rpc.ts';
import { writeEvaluation } from './evaluate.ts';

export interface MergeParams {
  /** Run folders of all shards, in any order. */
  shards: readonly string[];
  /** Run folder of the whole; it may hold other stages of the same run. */
  out: string;
  fresh: boolean;
}

export interface MergeResult {
  /** The stages, with the summary that one run would have told. */
  stages: { name: string; units: number; summary: Record<string, unknown> }[];
  doubts: string[];
}

/** Puts shards together to the run folder that one run would have made. Loads no model. */
export async function merge(
  { shards, out, fresh }: MergeParams,
  { signal, emit }: JobContext<StageEvent>,
): Promise<MergeResult> {
  const merged = readShards(shards);
  for (const text of merged.doubts) emit({ event: 'notice', level: 'warning', text });
  const run = openRun(out, merged.setup, { fresh });
  try {
    const stages: MergeResult['stages'] = [];
    for (const stage of merged.stages) {
      emit({ event: 'stage', stage: stage.name, state: 'started', seconds: 0 });
      const summary = await putTogether(run, merged, stage, { signal, emit });
      stages.push({ name: stage.name, units: stage.count, summary });
      emit({ event: 'stage', stage: stage.name, state: 'finished', seconds: stage.seconds });
    }
    run.close('finished');
    return { stages, doubts: merged.doubts };
  } catch (error) {
    run.close('failed', error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error));
    throw error;
  }
}

async function putTogether(
  run: Run,
  merged: MergedRun,
  stage: MergedStage,
  { signal, emit }: JobContext<StageEvent>,
): Promise<Record<string, unknown>> {
  const target = run.stage(stage.name, stage.artefacts, stage.inputs);
  const results: unknown[] = [];
  const evaluation = stage.name === 'evaluate' ? new Evaluation() : null;
  for (const { key, result, records } of stage.units()) {
    await breathe(signal);
    results.push(await target.unit(key, () => ({ result, records })));
    evaluation?.add(key, result as Outcome[], records[samplesName(stage.name)]!);
    const done = results.length;
    const total = stage.count;
    const share = done / total;
    emit({ event: 'progress', stage: stage.name, done, total, unit: 'units', share, remaining: null });
  }
  const { seconds } = stage;
  const summary = { ...sumOf(stage.name, results), seconds };
  if (!target.finished) target.finish(summary);
  if (!evaluation) return summary;
  const { outcomes, suites } = evaluation;
  const { model, seed, device } = merged.setup;
  return { ...writeEvaluation(run, outcomes, suites, { seed, model: model!, device, seconds }) };
}

function sumOf(stage: string, results: readonly unknown[]): object {
  if (stage === 'generate') return sumGenerated(results as GenerateCounts[]);
  if (stage === 'localize') return sumLocalized(results as BranchingReport[]);
  if (stage === 'evaluate') return {};
  throw new InputError(`stage ${stage}`, 'cannot be put together', 'Run it on the merged run.');
}

/** An evaluation as its units tell it. */
class Evaluation {
  readonly outcomes: Record<string, Outcomes> = {};
  readonly suites: Suites & { problems: Record<string, Problem[]>; controls: ControlItem[] } = {
    problems: {},
    controls: [],
  };

  add(key: string, result: readonly Outcome[], samples: readonly unknown[]): void {
    const unit = readUnitKey(key);
    if (!unit) throw new Error(`no unit of an evaluation: ${key}`);
    const { model, kind, suite } = unit;
    this.outcomes[model] ??= { problems: {}, controls: {} };
    const own = this.outcomes[model][kind];
    own[suite] = [...(own[suite] ?? []), ...result];
    // Every model has the same items.
    if (model !== Object.keys(this.outcomes)[0]) return;
    const docs = samples.map((sample) => (sample as { doc: unknown }).doc);
    if (kind === 'controls') this.suites.controls.push(...(docs as ControlItem[]));
    else this.suites.problems[suite] = [...(this.suites.problems[suite] ?? []), ...(docs as Problem[])];
  }
}
