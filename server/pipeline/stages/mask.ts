import { join } from 'node:path';
import type { Pair } from '../../data/records.ts';
import { InputError } from '../../errors.ts';
import { type MaskFile, makeMaskFile, readMaskFile } from '../../mask/mask-file.ts';
import { type Circuit, type ComponentKind, ComponentSpace, countByKind } from '../../model/components.ts';
import { makeRunners } from '../context.ts';
import { selectCircuit, selectionWork } from '../select.ts';
import type { MaskSettings } from '../settings.ts';
import { StageWork } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

export interface MaskSummary {
  components: number;
  total: number;
  byKind: Record<ComponentKind, number>;
  lambda: number | null;
  seconds: number;
}

/** Pairs that training uses: all but the rejected ones. */
export function usablePairs(pairs: readonly Pair[]): Pair[] {
  const usable = pairs.filter((pair) => pair.status !== 'rejected' && pair.desired !== pair.undesired);
  if (usable.length === 0) {
    throw new InputError(
      'pairs',
      'there is none to learn from',
      'Generate more traces, or raise --samples or the temperatures',
    );
  }
  return usable;
}

/** Stage 2: choose the circuit; writes mask.json (or the given name). */
export async function maskStage(
  context: RunContext,
  {
    pairs,
    controlText,
    settings,
    seed,
    name = 'mask',
  }: {
    pairs: readonly Pair[];
    controlText: readonly (readonly number[])[];
    settings: MaskSettings;
    seed: number;
    name?: string;
  },
): Promise<{ circuit: Circuit; file: MaskFile; summary: MaskSummary }> {
  const { model, run } = context;
  const fileName = `${name}.json`;
  const stage = run.stage(name, [], { pairs: contentHash(pairs), text: contentHash(controlText) });
  const end = announce(context, name, stage.finished);
  const modelHash = await model.checkpoint.hash();
  if (!stage.finished) {
    const space = new ComponentSpace(model.config);
    let saves = stage.state?.step ?? 0;
    const state = {
      saved: stage.state?.bytes ?? null,
      save: (bytes: Uint8Array) => stage.saveState(++saves, bytes),
    };
    const runners = await makeRunners(
      model,
      pairs.map((p) => p.prefix),
    );
    const expected = selectionWork(runners, pairs, controlText, settings, state);
    const { unit, total, kept, pieces } = expected;
    const work = new StageWork(context, { stage: name, unit, total, kept }, pieces);
    const selection = await selectCircuit(context, runners, pairs, controlText, settings, seed, {
      work,
      expected,
      state,
      onProgress: (done, total, note) => work.advance(done, { total, ...(note !== undefined && { note }) }),
    });
    work.end();
    const file = makeMaskFile(space, selection.circuit, selection.values, {
      model: modelHash,
      method: selection.method,
      gate_point: model.arch.gatePoint,
      lambda: selection.lambda,
      budget: selection.budget,
      seed,
      trials: selection.trials,
    });
    run.writeArtefact(fileName, `${JSON.stringify(file)}\n`);
    const byKind = countByKind(selection.circuit);
    const components = Object.values(byKind).reduce((a, b) => a + b, 0);
    stage.finish({ components, total: space.size, byKind, lambda: selection.lambda, seconds: stage.seconds });
  }
  end();
  return {
    ...readMaskFile(join(run.folder, fileName), model.config, modelHash),
    summary: stage.summary as MaskSummary,
  };
}
