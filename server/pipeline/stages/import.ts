/** Stages whose results come from elsewhere: their records are copied into the run, which is then whole in itself. */
import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import type { Pair, Trace } from '../../data/records.ts';
import { readTraces } from '../../data/traces.ts';
import type { MaskFile } from '../../mask/mask-file.ts';
import { readMaskFile } from '../../mask/mask-file.ts';
import { type Circuit, ComponentSpace, countByKind } from '../../model/components.ts';
import { chunks } from '../context.ts';
import { announce, contentHash, type RunContext } from './common.ts';
import type { GenerateSummary } from './generate.ts';
import type { LocalizeSummary } from './localize.ts';
import type { MaskSummary } from './mask.ts';

/** Records of one commit. */
const CHUNK = 1000;

/** Traces of another run in place of generated ones. */
export async function importTraces(
  context: RunContext,
  traces: readonly Trace[],
): Promise<{ traces: Trace[]; summary: GenerateSummary }> {
  const greedy = traces.filter((t) => t.decoding.strategy === 'greedy');
  const outcome = new Map(greedy.map((t) => [t.problem_id, t.correct]));
  const contrasted = new Set(
    traces
      .filter((t) => outcome.has(t.problem_id) && outcome.get(t.problem_id) !== t.correct)
      .map((t) => t.problem_id),
  );
  const { file, summary } = await copyRecords(context, 'generate', 'traces.jsonl', traces, {
    problems: new Set(traces.map((t) => t.problem_id)).size,
    traces: traces.length,
    tokens: traces.reduce((n, t) => n + t.completion_ids.length, 0),
    greedyCorrect: greedy.filter((t) => t.correct).length,
    contrasted: contrasted.size,
  });
  const vocab = context.model.config.vocabSize;
  return { traces: await collect(readTraces(file, { vocab })), summary };
}

/** Pairs that were located before, imported, or edited by hand, in place of located ones. */
export async function importPairs(
  context: RunContext,
  pairs: readonly Pair[],
): Promise<{ pairs: Pair[]; summary: LocalizeSummary }> {
  const { file, summary } = await copyRecords(context, 'localize', 'pairs.jsonl', pairs, {
    contrasts: pairs.length,
    pairs: pairs.length,
    completions: 0,
    naiveCompletions: 0,
    unresolved: 0,
    ...byHand(pairs),
  });
  const vocab = context.model.config.vocabSize;
  return { pairs: await collect(readPairs(file, { vocab, allowEmpty: true })), summary };
}

/** How many pairs a person accepted, changed or marked. */
function byHand(pairs: readonly Pair[]) {
  const count = (suits: (pair: Pair) => boolean) => pairs.filter(suits).length;
  return {
    accepted: count(({ status, method }) => status === 'accepted' && method !== 'human'),
    edited: count(({ status, method }) => status === 'edited' && method !== 'human'),
    marked: count(({ method }) => method === 'human'),
  };
}

async function copyRecords<S extends object>(
  context: RunContext,
  name: string,
  artefact: string,
  records: readonly unknown[],
  figures: S,
): Promise<{ file: string; summary: S & { seconds: number } }> {
  const { run } = context;
  const stage = run.stage(name, [artefact], { imported: contentHash(records) });
  const end = announce(context, name, stage.finished);
  if (!stage.finished) {
    for (const [k, part] of chunks(records, CHUNK).entries()) {
      await stage.unit(`records ${k}`, () => ({ result: null, records: { [artefact]: part } }));
    }
    stage.finish({ ...figures, seconds: stage.seconds });
  }
  end();
  return { file: join(run.folder, artefact), summary: stage.summary as S & { seconds: number } };
}

/** A circuit that somebody chose, in place of a selected one. */
export async function importCircuit(
  context: RunContext,
  { file: given, circuit: chosen }: { file: MaskFile; circuit: Circuit },
): Promise<{ circuit: Circuit; file: MaskFile; summary: MaskSummary }> {
  const { model, run } = context;
  const stage = run.stage('mask', [], { imported: contentHash(given) });
  const end = announce(context, 'mask', stage.finished);
  if (!stage.finished) {
    run.writeArtefact('mask.json', `${JSON.stringify(given)}\n`);
    const byKind = countByKind(chosen);
    stage.finish({
      components: Object.values(byKind).reduce((a, b) => a + b, 0),
      total: new ComponentSpace(model.config).size,
      byKind,
      lambda: given.lambda,
      seconds: stage.seconds,
    });
  }
  end();
  const written = join(run.folder, 'mask.json');
  return {
    ...readMaskFile(written, model.config, await model.checkpoint.hash()),
    summary: stage.summary as MaskSummary,
  };
}
