import type { JobResult } from '../../engine/client.ts';
import type { PatchRef } from '../../engine/inputs/patch.ts';
import type { Handlers } from '../commands/index.ts';
import { meter, modelOf, withEngine } from './engine.ts';

/** What --patch and --scale say. */
export function patchOf({ patch, scale }: { patch: string | undefined; scale: number }): PatchRef | null {
  return patch === undefined ? null : { file: patch, scale };
}

export const patchHandlers: Pick<Handlers, 'apply' | 'revert' | 'export'> = {
  apply: async ({ model, patch, scale, out }, { signal }) =>
    wrote(
      'checkpoint',
      await withEngine((engine) => engine.call('apply', { model, patches: patch, scale, out }, { signal })),
    ),

  revert: async ({ model, patch, scale, out }, { signal }) =>
    wrote(
      'checkpoint',
      await withEngine((engine) => engine.call('revert', { model, patches: patch, scale, out }, { signal })),
    ),

  export: async (values, io) => {
    const { format, model, patch: patches, scale, pairs, traces, out } = values;
    const { signal } = io;
    return withEngine(async (engine) => {
      if (format === 'checkpoint') {
        return wrote('checkpoint', await engine.call('apply', { model, patches, scale, out }, { signal }));
      }
      if (format === 'peft') {
        return wrote(
          'adapter',
          await engine.call('exportAdapter', { model, patches, scale, out }, { signal }),
        );
      }
      const progress = meter(io, 'export', 'pairs');
      const params = { model: modelOf(values), format, pairs: pairs!, traces: traces ?? null, out };
      const result = await engine.call('exportPairs', params, {
        signal,
        onEvent: ({ done, total }) => progress(done, total),
      });
      return { data: { ...result, format }, text: `${result.records} records written to ${result.out}\n` };
    });
  },
};

function wrote(what: string, result: JobResult<'apply'>) {
  const { out, matrices, rows, hash } = result;
  const identity = hash === null ? '' : `, hash ${hash.slice(0, 12)}`;
  const text = `${what} written to ${out} (${rows} rows of ${matrices} matrices changed${identity})\n`;
  return { data: { ...result }, text };
}
