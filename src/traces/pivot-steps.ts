import {
  commands,
  Selection,
  type TextEditor,
  TextEditorRevealType,
  type Uri,
  type ViewColumn,
} from 'vscode';
import type { DocumentPivot } from '../../server/protocol/traces.ts';
import { NotHere } from './annotations.ts';
import { comparePositions } from './ranges.ts';
import type { TraceEditors } from './trace-editors.ts';

/** Puts the cursor on a pivot and brings it into view. */
export function goTo(editor: TextEditor, { range }: Pick<DocumentPivot, 'range'>): void {
  const { line, character } = range.start;
  const selection = new Selection(line, character, line, character);
  editor.selection = selection;
  editor.revealRange(selection, TextEditorRevealType.InCenterIfOutsideViewport);
}

/** Shows a trace's document with the cursor on the pivot at a token, or the nearest where an annotation has moved it. */
export async function openAt(
  editors: TraceEditors,
  uri: Uri,
  token: number,
  column?: ViewColumn,
): Promise<void> {
  const shown = await editors.show(uri, column);
  const pivots = (await shown?.trace.current())?.pivots ?? [];
  const [pivot] = pivots.toSorted((a, b) => Math.abs(a.token - token) - Math.abs(b.token - token));
  if (shown && pivot) goTo(shown.editor, pivot);
}

/** @param step 1 for the next pivot, -1 for the one before; around the ends */
export async function stepPivot(editors: TraceEditors, step: 1 | -1): Promise<DocumentPivot> {
  const active = editors.active;
  if (!active) throw new NotHere('Open a trace document first.');
  const pivots = (await active.trace.current())?.pivots.toSorted((a, b) => a.token - b.token) ?? [];
  if (pivots.length === 0) throw new NotHere('This trace has no pivots: mark a token as one.');
  const here = active.editor.selection.active;
  const beyond = ({ range }: DocumentPivot) => step * comparePositions(range.start, here) > 0;
  const next = step > 0 ? (pivots.find(beyond) ?? pivots[0]!) : (pivots.findLast(beyond) ?? pivots.at(-1)!);
  // At once: the key that follows, to accept or reject, is of the pivot that the cursor is on.
  goTo(active.editor, next);
  // From a view's row the keys go on in the text; to show the document would take it out of a diff editor.
  await commands.executeCommand('workbench.action.focusActiveEditorGroup');
  return next;
}
