import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { collect, writeJsonl } from '../../data/jsonl.ts';
import { makePivot, type Pivot, writeDpo } from '../../data/pts.ts';
import type { Pair } from '../../data/records.ts';
import { readTraces } from '../../data/traces.ts';
import { Runner } from '../../generate/forward.ts';
import { eachAttribution } from '../../inspect/attribute.ts';
import type { Model } from '../../model/model.ts';
import { readAnyPairs } from '../inputs/pairs.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

export interface ExportPairsParams {
  model: ModelRef;
  format: 'dpo' | 'pts';
  /** Pairs: a file, a run folder, or a folder of trace documents. */
  pairs: string;
  /** Traces that the pairs come from; null takes traces.jsonl beside the pairs, if there is one. */
  traces: string | null;
  /** File to write. */
  out: string;
}

export interface ExportPairsResult {
  out: string;
  /** Records written; rejected pairs are left out. */
  records: number;
}

export interface ExportPairsEvent {
  event: 'pairs';
  done: number;
  total: number;
}

/** Writes pairs as DPO preferences or as PTS pivots. */
export const exportPairs =
  (models: Models) =>
  (params: ExportPairsParams, { signal, emit }: JobContext<ExportPairsEvent>): Promise<ExportPairsResult> =>
    models.use(params.model, signal, async ({ model }) => {
      const pairs = (await readAnyPairs(model, params.pairs)).filter((pair) => pair.status !== 'rejected');
      if (params.format === 'dpo') {
        const decode = (ids: number[]) => model.tokenizer.decode(ids);
        const base = { model: model.checkpoint.folder, model_hash: await model.checkpoint.hash() };
        return { out: params.out, records: writeDpo(params.out, pairs, decode, base) };
      }
      const prompts = await promptsOf(model, params);
      const pivots: Pivot[] = [];
      const runner = await Runner.create(model);
      const options = { inputs: false, components: false, signal };
      for await (const { pair, margin } of eachAttribution(runner, pairs, options)) {
        pivots.push(pivotOf(model, pair, margin, prompts));
        emit({ event: 'pairs', done: pivots.length, total: pairs.length });
      }
      writeJsonl(params.out, pivots);
      return { out: params.out, records: pivots.length };
    });

/**
 * A pair as a pivot. After desired the answer comes out right and after undesired wrong, so success is 1 after the
 * desired token, and before it the probability of that token against the other: sigmoid(logit difference).
 */
function pivotOf(model: Model, pair: Pair, margin: number, prompts: ReadonlyMap<string, string>): Pivot {
  const { tokenizer, checkpoint } = model;
  const context = tokenizer.decode(pair.prefix);
  const after = (id: number) => {
    const whole = tokenizer.decode([...pair.prefix, id]);
    return whole.startsWith(context) ? whole.slice(context.length) : tokenizer.tokenText(id);
  };
  return makePivot({
    model_id: checkpoint.folder,
    query: prompts.get(pair.trace ?? '') ?? prompts.get(pair.problem_id ?? '') ?? context,
    pivot_context: context,
    pivot_token: after(pair.desired),
    pivot_token_id: pair.desired,
    prob_before: 1 / (1 + Math.exp(-margin)),
    prob_after: 1,
    task_type: 'generic',
    dataset_id: null,
    dataset_item_id: pair.problem_id ?? null,
    rejected_token: after(pair.undesired),
    rejected_token_id: pair.undesired,
  });
}

/** Prompt texts by trace id and by problem id. */
async function promptsOf(model: Model, { pairs, traces }: ExportPairsParams): Promise<Map<string, string>> {
  const folder = statSync(pairs).isDirectory() ? pairs : path.dirname(pairs);
  const beside = path.join(folder, 'traces.jsonl');
  const file = traces ?? (existsSync(beside) ? beside : null);
  const prompts = new Map<string, string>();
  if (file === null) return prompts;
  for (const trace of await collect(readTraces(file, { vocab: model.config.vocabSize }))) {
    const text = model.tokenizer.decode(trace.prompt_ids, { skipSpecialTokens: true });
    prompts.set(trace.problem_id, text).set(trace.id, text);
  }
  return prompts;
}
