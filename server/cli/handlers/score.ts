import { readText } from '../../data/files.ts';
import type { JobResult } from '../../engine/client.ts';
import type { Handlers } from '../commands/index.ts';
import { figure, percent, table } from '../render.ts';
import { meter, modelOf, withEngine } from './engine.ts';
import { patchOf } from './patch.ts';

export const scoreHandlers: Pick<Handlers, 'score'> = {
  score: async (values, io) => {
    const text = values.text ?? (await readText(values.file!));
    const params = { model: modelOf(values), patch: patchOf(values), text, topK: values.topK };
    const progress = meter(io, 'score', 'tokens');
    const result = await withEngine((engine) =>
      engine.call('score', params, {
        signal: io.signal,
        onEvent: ({ from, tokens, done, total }) => {
          io.emit({ event: 'partial', kind: 'tokens', from, tokens });
          progress(done, total);
        },
      }),
    );
    const mean = result.scored > 0 ? result.logprob / result.scored : 0;
    const summary = { scored: result.scored, logprob: result.logprob, perplexity: Math.exp(-mean) };
    return { data: { ...summary, tokens: result.tokens }, text: show(result, summary) };
  },
};

function show(
  { tokens }: JobResult<'score'>,
  summary: { scored: number; logprob: number; perplexity: number },
) {
  const rows = tokens.map(({ text, id, logprob, rank, entropy, top }) => [
    JSON.stringify(text),
    String(id),
    logprob === null ? '-' : logprob.toFixed(3),
    rank === null ? '-' : String(rank),
    entropy === null ? '-' : entropy.toFixed(3),
    top.map((one) => `${JSON.stringify(one.text)} ${percent(Math.exp(one.logprob))}`).join(', '),
  ]);
  const head = ['token', 'id', 'logprob', 'rank', 'entropy', 'most probable'];
  const total = `${summary.scored} tokens scored, log-probability ${figure(summary.logprob)} nats`;
  return `${table(head, rows)}${total}, perplexity ${figure(summary.perplexity)}\n`;
}
