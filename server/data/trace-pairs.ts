import type { Pair } from './records.ts';
import type { DocumentPivotLine, WholeTraceDocument } from './trace-document.ts';
import { liesOn } from './trace-print.ts';

/**
 * The pairs that a document holds to train on, with where they come from: trace, method, status and document. An
 * excluded trace has none, and rejected pivots are none.
 * @param file the document's path, for the record
 */
export function documentPairs(document: WholeTraceDocument, file?: string): Pair[] {
  if (document.excluded) return [];
  const ids = [...document.promptIds, ...document.completionIds];
  const kept = document.pivots.filter((pivot) => pivot.status !== 'rejected');
  return kept.map((pivot) => ({
    id: pairId(document.id, pivot, kept),
    prefix: ids.slice(0, pivot.token),
    desired: pivot.desired,
    undesired: pivot.undesired,
    problem_id: document.problem,
    ...(document.template !== null && { template_id: document.template }),
    ...(document.instance !== null && { instance_id: document.instance }),
    ...(document.split !== null && { split: document.split }),
    method: pivot.method,
    trace: document.id,
    status: pivot.status,
    ...(file !== undefined && { document: file }),
  }));
}

/** As the localisation names its pairs, one a trace and method; with the token where there are several. */
function pairId(trace: string, pivot: DocumentPivotLine, all: readonly DocumentPivotLine[]): string {
  const alike = all.filter((other) => other.method === pivot.method);
  if (alike.length === 1) return `${trace}/${pivot.method}`;
  const here = alike.filter((other) => other.token === pivot.token);
  const tokens = here.length > 1 ? `-${pivot.desired}-${pivot.undesired}` : '';
  return `${trace}/${pivot.method}-${pivot.token}${tokens}`;
}

/** A document's word on a run's pairs. */
export interface Annotated {
  file: string;
  document: WholeTraceDocument;
}

/**
 * A run's pairs with the annotations of its documents: those of an annotated trace are as its document has them, in
 * their place; those of documents without a pair in the run follow. A pair that a document cannot hold, since its prefix is
 * not of the trace's own tokens, stays, unless the trace is excluded. Fields of a pair that its document repeats are kept.
 */
export async function overlayPairs(
  pairs: readonly Pair[],
  annotated: AsyncIterable<Annotated>,
): Promise<Pair[]> {
  const located = new Map<string, Pair[]>();
  for (const pair of pairs) {
    if (pair.trace === undefined) continue;
    const own = located.get(pair.trace);
    if (own) own.push(pair);
    else located.set(pair.trace, [pair]);
  }
  // Only pairs are kept of a document: a folder may hold very many.
  const byTrace = new Map<string, Pair[]>();
  for await (const one of annotated) {
    byTrace.set(one.document.id, fromDocument(one, located.get(one.document.id) ?? []));
  }
  const out: Pair[] = [];
  const placed = new Set<string>();
  for (const pair of pairs) {
    const own = pair.trace === undefined ? undefined : byTrace.get(pair.trace);
    if (pair.trace === undefined || !own) out.push(pair);
    else if (!placed.has(pair.trace)) {
      placed.add(pair.trace);
      out.push(...own);
    }
  }
  for (const [trace, own] of byTrace) if (!placed.has(trace)) out.push(...own);
  return out;
}

function fromDocument({ file, document }: Annotated, own: readonly Pair[]): Pair[] {
  const ids = [...document.promptIds, ...document.completionIds];
  const isHeld = (pair: Pair) => liesOn(pair, ids, document.promptIds.length);
  const unheld = own.filter((pair) => !isHeld(pair));
  const held = documentPairs(document, file).map((pair): Pair => {
    const located = own.find(
      (one) =>
        one.prefix.length === pair.prefix.length &&
        one.desired === pair.desired &&
        one.undesired === pair.undesired &&
        isHeld(one),
    );
    const { status, method } = pair;
    if (located) return { ...located, status, method, document: file };
    const taken = unheld.some(({ id }) => id === pair.id);
    return taken ? { ...pair, id: `${pair.id}-${pair.prefix.length}` } : pair;
  });
  return document.excluded ? [] : [...held, ...unheld];
}
