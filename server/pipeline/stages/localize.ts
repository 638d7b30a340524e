import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import type { Pair, Trace } from '../../data/records.ts';
import type { TraceOptions } from '../../generate/traces.ts';
import { type BranchingReport, branchingPairs, contrasts, prefixPairs } from '../../localize/localize.ts';
import { chunks, makeRunners } from '../context.ts';
import type { LocalizeSettings } from '../settings.ts';
import { announce, contentHash, type RunContext } from './common.ts';

const CHUNK = 256;
const PAIRS = 'pairs.jsonl';

export type LocalizeSummary = BranchingReport & { seconds: number };

/** Stage 1, pivots: pairs of a prefix and the tokens that lead right and wrong after it. */
export async function localizeStage(
  context: RunContext,
  {
    traces,
    settings,
    generation,
  }: { traces: readonly Trace[]; settings: LocalizeSettings; generation: TraceOptions },
): Promise<{ pairs: Pair[]; summary: LocalizeSummary }> {
  const { model, run, signal, emit } = context;
  const stage = run.stage('localize', [PAIRS], { traces: contentHash(traces) });
  const end = announce(context, 'localize', stage.finished);
  if (!stage.finished) {
    const all = contrasts(traces, settings.counterparts);
    const { shared } = await makeRunners(
      model,
      traces.map((t) => t.prompt_ids),
    );
    const sum: BranchingReport = {
      contrasts: 0,
      pairs: 0,
      completions: 0,
      naiveCompletions: 0,
      unresolved: 0,
    };
    let before = 0;
    for (const [k, part] of chunks(all, CHUNK).entries()) {
      const report = await stage.unit(`contrasts ${k}`, async () => {
        if (settings.method === 'prefix') {
          const pairs = prefixPairs(part);
          const none = { completions: 0, naiveCompletions: 0, unresolved: part.length - pairs.length };
          return {
            result: { contrasts: part.length, pairs: pairs.length, ...none },
            records: { [PAIRS]: pairs },
          };
        }
        const { pairs, report } = await branchingPairs(shared, part, generation, {
          signal,
          onProgress: (done) =>
            emit({
              event: 'progress',
              stage: 'localize',
              done: before + done,
              total: all.length,
              unit: 'traces',
            }),
        });
        for (const pair of pairs) emit({ event: 'pair', pair });
        return { result: report, records: { [PAIRS]: pairs } };
      });
      for (const key of Object.keys(sum) as (keyof BranchingReport)[]) sum[key] += report[key];
      before += part.length;
      emit({ event: 'progress', stage: 'localize', done: before, total: all.length, unit: 'traces' });
    }
    stage.finish({ ...sum, seconds: stage.seconds });
  }
  end();
  const pairs = await collect(
    readPairs(join(run.folder, PAIRS), { vocab: model.config.vocabSize, allowEmpty: true }),
  );
  return { pairs, summary: stage.summary as LocalizeSummary };
}
