import {
  type Disposable,
  EventEmitter,
  InlayHint,
  type InlayHintsProvider,
  languages,
  MarkdownString,
  Position,
  type Range,
  type TextDocument,
} from 'vscode';
import { languageId } from '../contributions.ts';
import { layoutDiff } from './diff-layout.ts';
import type { TraceEditors } from './trace-editors.ts';

/** Additions of a diff to lines that have to be wrapped: the editor wraps hints, and reads them out, unlike decorations. */
export class AddedHints implements InlayHintsProvider, Disposable {
  readonly #editors: TraceEditors;
  readonly #changed = new EventEmitter<void>();
  readonly #disposables: Disposable[];
  readonly onDidChangeInlayHints = this.#changed.event;
  /** Diffs as they were when hints were last asked for, by document. */
  readonly #shown = new WeakMap<object, unknown>();

  constructor(editors: TraceEditors) {
    this.#editors = editors;
    this.#disposables = [
      languages.registerInlayHintsProvider({ language: languageId }, this),
      editors.onDidChange((trace) => {
        if ((this.#shown.get(trace) ?? null) !== trace.diff) this.#changed.fire();
      }),
    ];
  }

  provideInlayHints(document: TextDocument, range: Range): InlayHint[] {
    const trace = this.#editors.get(document);
    if (!trace) return [];
    this.#shown.set(trace, trace.diff);
    if (!trace.diff) return [];
    const length = (line: number) => (line < document.lineCount ? document.lineAt(line).text.length : 0);
    const { hints } = layoutDiff(trace.diff.diff.stretches, length, true);
    return hints.flatMap(({ at, text, whole }) => {
      const position = new Position(at.line, at.character);
      if (!range.contains(position)) return [];
      const hint = new InlayHint(position, `+${text}`);
      hint.tooltip = new MarkdownString().appendCodeblock(whole, 'plaintext');
      return [hint];
    });
  }

  dispose(): void {
    this.#changed.dispose();
    for (const disposable of this.#disposables) disposable.dispose();
  }
}
