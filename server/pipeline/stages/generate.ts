import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import type { Problem, Trace } from '../../data/records.ts';
import { readTraces } from '../../data/traces.ts';
import { encodePrompts, greedyTraces, sampledTraces } from '../../generate/traces.ts';
import { chunks, makeRunners } from '../context.ts';
import type { GenerateSettings } from '../settings.ts';
import { announce, contentHash, type RunContext } from './common.ts';

/** Problems per unit of work: what a kill loses at most, and the scope in which batches are composed. */
const CHUNK = 128;
const TRACES = 'traces.jsonl';

export interface GenerateSummary {
  problems: number;
  traces: number;
  tokens: number;
  greedyCorrect: number;
  /** Problems with at least one sample of the other correctness. */
  contrasted: number;
  seconds: number;
}

/** Stage 1, traces: a greedy one per problem and sampled ones that look for the other correctness. */
export async function generateStage(
  context: RunContext,
  { problems, settings, seed }: { problems: readonly Problem[]; settings: GenerateSettings; seed: number },
): Promise<{ traces: Trace[]; summary: GenerateSummary }> {
  const { model, run, signal, emit } = context;
  const stage = run.stage('generate', [TRACES], { problems: contentHash(problems) });
  const end = announce(context, 'generate', stage.finished);
  if (!stage.finished) {
    const { shared } = await makeRunners(model, encodePrompts(model, problems));
    const summary: Omit<GenerateSummary, 'seconds'> = {
      problems: problems.length,
      traces: 0,
      tokens: 0,
      greedyCorrect: 0,
      contrasted: 0,
    };
    const hooks = { signal, onTrace: (trace: Trace) => emit({ event: 'trace', trace }) };
    let done = 0;
    for (const [k, part] of chunks(problems, CHUNK).entries()) {
      const result = await stage.unit(`problems ${k}`, async () => {
        const greedy = await greedyTraces(shared, part, settings, hooks);
        const sampled = await sampledTraces(shared, part, greedy, { ...settings, seed }, hooks);
        const traces = [...greedy, ...sampled];
        const contrasted = greedy.filter((own) =>
          sampled.some((s) => s.problem_id === own.problem_id && s.correct !== own.correct),
        );
        return {
          result: {
            traces: traces.length,
            tokens: traces.reduce((n, t) => n + t.completion_ids.length, 0),
            greedyCorrect: greedy.filter((t) => t.correct).length,
            contrasted: contrasted.length,
          },
          records: { [TRACES]: traces },
        };
      });
      summary.traces += result.traces;
      summary.tokens += result.tokens;
      summary.greedyCorrect += result.greedyCorrect;
      summary.contrasted += result.contrasted;
      done += part.length;
      emit({ event: 'progress', stage: 'generate', done, total: problems.length, unit: 'problems' });
    }
    stage.finish({ ...summary, seconds: stage.seconds });
  }
  end();
  const traces = await collect(readTraces(join(run.folder, TRACES), { vocab: model.config.vocabSize }));
  return { traces, summary: stage.summary as GenerateSummary };
}
