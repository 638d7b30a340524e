/** What trace documents say about pivots, beside what their run was made from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { breathe, type Signal } from '../control.ts';
import { collect } from '../data/jsonl.ts';
import { readPairs } from '../data/pairs.ts';
import type { Pair } from '../data/records.ts';
import { DOCUMENTS, readTraceDocuments, traceFiles } from '../data/trace-files.ts';
import { type Annotated, overlayPairs } from '../data/trace-pairs.ts';
import { readTraces } from '../data/traces.ts';
import type { Annotations } from '../protocol/runs.ts';
import { readManifest } from '../runs/manifest.ts';

/**
 * @param folder a run folder, or any folder with trace documents; one that is not there has none
 * @throws InputError for a broken document or record
 */
export async function annotationsOf(folder: string, signal: Signal): Promise<Annotations> {
  const root = path.resolve(folder);
  const isRun = readManifest(root) !== null;
  const file = path.join(root, 'pairs.jsonl');
  const documents = await traceFiles(isRun ? path.join(root, DOCUMENTS) : root);
  const located = isRun && existsSync(file) ? await collect(readPairs(file, { allowEmpty: true })) : [];
  const excluded = new Map<string, boolean>();
  let rejected = 0;
  async function* counted(): AsyncGenerator<Annotated> {
    for await (const one of readTraceDocuments(documents)) {
      await breathe(signal);
      const { id, excluded: out, pivots } = one.document;
      excluded.set(id, out);
      if (!out) rejected += pivots.filter(({ status }) => status === 'rejected').length;
      yield one;
    }
  }
  const pairs = await overlayPairs(located, counted());
  const count = (suits: (pair: Pair) => boolean) => pairs.filter(suits).length;
  return {
    run: isRun ? root : null,
    documents: documents.length,
    pairs: count(({ status }) => status !== 'rejected'),
    accepted: count(({ status, method }) => status === 'accepted' && method !== 'human'),
    edited: count(({ status, method }) => status === 'edited' && method !== 'human'),
    marked: count(({ method }) => method === 'human'),
    rejected,
    excluded: [...excluded.values()].filter(Boolean).length,
    changed: isRun ? await changedTraces(root, located, pairs, excluded, signal) : documents.length,
  };
}

/** Traces of a run about which its documents say something else than it was made from. */
async function changedTraces(
  run: string,
  located: readonly Pair[],
  pairs: readonly Pair[],
  excluded: ReadonlyMap<string, boolean>,
  signal: Signal,
): Promise<number> {
  const before = byTrace(located);
  const after = byTrace(pairs);
  const changed = new Set([...excluded.keys()].filter((id) => before.get(id) !== after.get(id)));
  const traces = path.join(run, 'traces.jsonl');
  if (excluded.size > 0 && existsSync(traces)) {
    for await (const trace of readTraces(traces, { allowEmpty: true, onTorn: () => undefined })) {
      await breathe(signal);
      const now = excluded.get(trace.id);
      if (now !== undefined && now !== (trace.excluded === true)) changed.add(trace.id);
    }
  }
  return changed.size;
}

/** What a training takes from every trace, as one text each. */
function byTrace(pairs: readonly Pair[]): Map<string, string> {
  const found = new Map<string, string[]>();
  for (const { trace, prefix, desired, undesired, method, status } of pairs) {
    if (trace === undefined || status === 'rejected') continue;
    const one = JSON.stringify([prefix, desired, undesired, method, status]);
    found.set(trace, [...(found.get(trace) ?? []), one]);
  }
  return new Map([...found].map(([trace, all]) => [trace, all.sort().join('\n')]));
}
