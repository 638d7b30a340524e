import type { Pair } from './records.ts';
import type { DocumentPivotLine, TraceDocument } from './trace-document.ts';

/**
 * The pairs that a document holds to train on, with where they come from: trace, method, status and document. An
 * excluded trace has none, and rejected pivots are none.
 * @param file the document's path, for the record
 */
export function documentPairs(
  document: TraceDocument & { id: string; problem: string },
  file?: string,
): Pair[] {
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
