import type { JobEvent, JobResult } from '../../engine/client.ts';
import { defaultSettings } from '../../pipeline/settings.ts';
import type { Handlers } from '../commands/index.ts';
import { harmless, percent, percentInterval, table } from '../render.ts';
import { meter, modelOf, withEngine } from './engine.ts';
import { patchOf } from './patch.ts';
import { promptsOf } from './stages.ts';

type Difference = JobEvent<'diff'>;

export const diffHandlers: Pick<Handlers, 'diff'> = {
  diff: async (values, io) => {
    const { maxTokens, batch, stop } = defaultSettings.generate;
    const model = modelOf(values);
    const params = {
      base: { model, patch: patchOf({ patch: values.basePatch, scale: values.baseScale }) },
      changed: { model: { ...model, folder: values.changedModel ?? model.folder }, patch: patchOf(values) },
      problems: { file: values.problems, split: values.split ?? null, limit: values.limit ?? null },
      prompts: promptsOf(values),
      maxTokens: values.maxTokens ?? maxTokens,
      batch: values.batch ?? batch,
      stop: [...stop.strings, ...values.stop],
    };
    const progress = meter(io, 'diff', 'problems');
    const shown: string[] = [];
    const result = await withEngine((engine) =>
      engine.call('diff', params, {
        signal: io.signal,
        onEvent: (event) => {
          const { event: _, done, total, ...difference } = event;
          io.emit({ event: 'partial', kind: 'diff', ...difference });
          const wanted = event.flip !== 'same' || (values.all && event.firstDivergence !== null);
          if (wanted && shown.length < values.show) shown.push(show(event));
          progress(done, total);
        },
      }),
    );
    return { data: { ...result }, text: [...shown, summary(result)].join('\n') };
  },
};

const FLIPS = {
  'wrong-to-right': 'wrong to right',
  'right-to-wrong': 'right to wrong',
  same: 'same outcome',
};

function show({ problem, base, changed, flip, firstDivergence, runs }: Difference): string {
  const where = firstDivergence === null ? '' : `, first difference at token ${firstDivergence}`;
  const answers = `answer ${base.answer ?? 'none'}, then ${changed.answer ?? 'none'}, target ${problem.target}`;
  const body = runs
    ? runs
        .map(({ kind, text }) => ({ same: text, removed: `[-${text}-]`, added: `{+${text}+}` })[kind])
        .join('')
    : `[-${base.text}-]\n{+${changed.text}+}`;
  return `${problem.id}: ${FLIPS[flip]} (${answers}${where})\n${harmless(body).replace(/^/gm, '  ')}\n`;
}

function summary({ n, base, changed, wrongToRight, rightToWrong, differing, p }: JobResult<'diff'>): string {
  const rows = [
    ['base', base],
    ['changed', changed],
  ] as const;
  const head = ['side', 'accuracy', '95 %', 'right', 'of'];
  const lines = rows.map(([name, { accuracy, interval, correct }]) => [
    name,
    percent(accuracy),
    percentInterval(interval.low, interval.high),
    String(correct),
    String(n),
  ]);
  const flips = `${wrongToRight} wrong to right, ${rightToWrong} right to wrong (p = ${p.toPrecision(2)})`;
  return `${table(head, lines)}${flips}; ${differing} completions differ\n`;
}
