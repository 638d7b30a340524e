import type { EvaluationReport } from '../../engine/jobs/evaluate.ts';
import type { Handlers } from '../commands/index.ts';
import { withEngine } from './engine.ts';
import { StageListener } from './stage-events.ts';
import { show } from './stages.ts';

export const mergeHandlers: Pick<Handlers, 'merge'> = {
  merge: async ({ shards, out, fresh }, io) => {
    const listener = new StageListener(io, []);
    const params = { shards, out, fresh };
    const { stages, doubts } = await withEngine((engine) =>
      engine.call('merge', params, { signal: io.signal, onEvent: listener.tell }),
    );
    const lines = stages.map(({ name, units, summary }) => {
      const figures =
        name === 'evaluate'
          ? `\n${show(summary as unknown as EvaluationReport)}`
          : `: ${Object.entries(summary)
              .filter(([key]) => key !== 'seconds')
              .map(([key, value]) => `${key} ${value}`)
              .join(', ')}\n`;
      return `${name}, ${units} units of ${shards.length} shards${figures}`;
    });
    return { data: { out, stages, doubts }, text: `${lines.join('')}run: ${out}\n` };
  },
};
