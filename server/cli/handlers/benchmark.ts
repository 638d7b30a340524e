import type { JobResult } from '../../engine/client.ts';
import { chatOf } from '../commands/common.ts';
import type { Handlers } from '../commands/index.ts';
import { table } from '../render.ts';
import { modelOf, withEngine } from './engine.ts';
import { patchOf } from './patch.ts';
import { StageListener } from './stage-events.ts';

export const benchmarkHandlers: Pick<Handlers, 'benchmark'> = {
  benchmark: async (values, io) => {
    const { task, data, fewShot, shots, shotSeed, limit, out, seed, fresh } = values;
    const chat = chatOf(values);
    const params = {
      model: modelOf(values),
      out,
      seed,
      fresh,
      task,
      data,
      fewShot: fewShot ?? null,
      shots: shots ?? null,
      shotSeed,
      limit: limit ?? null,
      patch: patchOf(values),
      chat: chat && { ...chat, multiturn: !values.singleTurn },
      settings: { batch: values.batch, maxTokens: values.maxTokens, maxLength: values.maxLength ?? null },
    };
    const listener = new StageListener(io, [{ name: 'benchmark', cost: 1 }]);
    const report = await withEngine((engine) =>
      engine.call('benchmark', params, { signal: io.signal, onEvent: listener.tell }),
    );
    const files = `samples and results: ${out}\n`;
    return { data: { ...report, out }, text: `${show(report)}(${report.definition})\n${files}` };
  },
};

/** The table that lm-evaluation-harness prints, with the number of documents. */
function show({ tasks }: JobResult<'benchmark'>): string {
  const rows = Object.entries(tasks).flatMap(([name, { version, shots, n, metrics }]) =>
    Object.entries(metrics).map(([key, { value, stderr }]) => {
      const [metric, filter] = key.split(',') as [string, string];
      const error = stderr === null ? '' : `± ${stderr.toFixed(4)}`;
      return [name, String(version), filter, String(shots), metric, value.toFixed(4), error, String(n)];
    }),
  );
  return table(['task', 'version', 'filter', 'n-shot', 'metric', 'value', 'stderr', 'n'], rows);
}
