import { freshInstances, readLists, type SymbolicInstance } from '../../data/instances.ts';
import { writeJsonl } from '../../data/jsonl.ts';
import type { Handlers } from '../commands/index.ts';
import { meter } from './engine.ts';

/** Needs no engine: templates and instances are text. */
export const instanceHandlers: Pick<Handlers, 'instances'> = {
  instances: async ({ templates: source, count, seed, lists, out }, io) => {
    const drawn: SymbolicInstance[] = [];
    const onTemplate = meter(io, 'instances', 'templates');
    const own = lists === undefined ? {} : { lists: await readLists(lists) };
    const options = { ...own, signal: io.signal, onTemplate };
    for await (const { instance } of freshInstances(source, count, seed, options)) drawn.push(instance);
    writeJsonl(out, drawn);
    const templates = drawn.length / count;
    const text = `${drawn.length} instances of ${templates} templates written to ${out}\n`;
    return { data: { out, templates, instances: drawn.length, seed }, text };
  },
};
