import type { InlayHint } from 'vscode-languageserver-types';
import type { Range } from '../protocol/message.ts';
import { tokenLabel } from './lenses.ts';
import { tokenCode } from './markdown.ts';
import type { OpenTrace } from './open-trace.ts';

/** Beside every pivot's token the other one: the desired token, or what the trace rightly avoided. */
export function inlayHints(trace: OpenTrace, within: Range | null = null): InlayHint[] {
  const { tokens } = trace;
  if (!tokens) return [];
  const visible = within
    ? { start: trace.offsetAt(within.start), end: trace.offsetAt(within.end) }
    : { start: 0, end: trace.text.length };
  return trace.placedPivots.flatMap((pivot) => {
    const { end } = tokens.range(pivot.token);
    if (pivot.status === 'rejected' || end < visible.start || end > visible.end) return [];
    const right = tokens.ids[pivot.token] === pivot.desired;
    const label = right ? `✗ ${tokenLabel(trace, pivot.undesired)}` : `→ ${tokenLabel(trace, pivot.desired)}`;
    const desired = tokenCode(trace.tokenText(pivot.desired));
    const undesired = tokenCode(trace.tokenText(pivot.undesired));
    return [
      {
        position: trace.range({ start: end, end }).start,
        label,
        paddingLeft: true,
        tooltip: {
          kind: 'markdown' as const,
          value: `Pivot: ${desired} desired over ${undesired}`,
        },
      },
    ];
  });
}
