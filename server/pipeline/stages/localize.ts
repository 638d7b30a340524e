import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import type { Pair, Trace } from '../../data/records.ts';
import { completerOf, type Remote } from '../../generate/completer.ts';
import type { TraceOptions } from '../../generate/traces.ts';
import { type BranchingReport, branchingPairs, contrasts, prefixPairs } from '../../localize/localize.ts';
import { reencodedPair, reencodedTrace } from '../../localize/reencode.ts';
import { dealt, type Shard } from '../../runs/shard.ts';
import { chunks, makeRunners } from '../context.ts';
import type { LocalizeSettings } from '../settings.ts';
import { sideBySide } from '../window.ts';
import { announce, contentHash, type RunContext } from './common.ts';

const CHUNK = 256;
const PAIRS = 'pairs.jsonl';

export type LocalizeSummary = BranchingReport & { seconds: number };

export interface LocalizeInput {
  /** All traces, also of other shards. */
  traces: readonly Trace[];
  settings: LocalizeSettings;
  generation: TraceOptions;
  shard?: Shard | null;
  /** Completes branches in place of the model here, which still walks the traces. */
  remote?: Remote | null;
}

/** Stage 1, pivots: pairs of a prefix and the tokens that lead right and wrong after it. */
export async function localizeStage(
  context: RunContext,
  { traces, settings, generation, shard = null, remote = null }: LocalizeInput,
): Promise<{ pairs: Pair[]; summary: LocalizeSummary }> {
  const { model, run, signal, emit } = context;
  const stage = run.stage('localize', [PAIRS], { traces: contentHash(traces) });
  const end = announce(context, 'localize', stage.finished);
  if (!stage.finished) {
    const { tokenizer } = model;
    const again = settings.ids === 'reencoded';
    const walked = again ? traces.map((trace) => reencodedTrace(tokenizer, trace)) : traces;
    const found = (pairs: Pair[]) => (again ? pairs.map((pair) => reencodedPair(tokenizer, pair)) : pairs);
    const units = dealt(chunks(contrasts(walked, settings.counterparts), CHUNK), shard);
    const total = units.reduce((sum, { unit }) => sum + unit.length, 0);
    const prompts = walked.map((t) => t.prompt_ids);
    const { shared } = await makeRunners(model, prompts);
    const isLeft = units.some(({ number }) => !stage.has(`contrasts ${number}`));
    const isServed = remote !== null && settings.method === 'branching' && isLeft;
    const completer = isServed ? await remote.connect(prompts[0]!, completerOf(shared)) : completerOf(shared);
    const reports: BranchingReport[] = [];
    let before = 0;
    const work = sideBySide(units, isServed ? 2 : 1, ({ number, unit: part }) =>
      stage.unit(`contrasts ${number}`, async () => {
        if (settings.method === 'prefix') {
          const pairs = found(prefixPairs(part));
          const none = { completions: 0, naiveCompletions: 0, unresolved: part.length - pairs.length };
          return {
            result: { contrasts: part.length, pairs: pairs.length, ...none },
            records: { [PAIRS]: pairs },
          };
        }
        const { pairs: branched, report } = await branchingPairs(shared, part, generation, {
          signal,
          completer,
          onProgress: (done) => {
            // Side by side, units would tell their own counts by turns.
            if (isServed) return;
            emit({ event: 'progress', stage: 'localize', done: before + done, total, unit: 'traces' });
          },
        });
        const pairs = found(branched);
        for (const pair of pairs) emit({ event: 'pair', pair });
        return { result: report, records: { [PAIRS]: pairs } };
      }),
    );
    for await (const { item, result } of work) {
      reports.push(result);
      before += item.unit.length;
      emit({ event: 'progress', stage: 'localize', done: before, total, unit: 'traces' });
    }
    stage.finish({ ...sumLocalized(reports), seconds: stage.seconds });
  }
  end();
  const pairs = await collect(
    readPairs(join(run.folder, PAIRS), { vocab: model.config.vocabSize, allowEmpty: true }),
  );
  return { pairs, summary: stage.summary as LocalizeSummary };
}

/** Counts of a stage from those of its units. */
export function sumLocalized(units: readonly BranchingReport[]): BranchingReport {
  const sum = { contrasts: 0, pairs: 0, completions: 0, naiveCompletions: 0, unresolved: 0 };
  for (const unit of units)
    for (const key of Object.keys(sum) as (keyof BranchingReport)[]) sum[key] += unit[key];
  return sum;
}
