import {
  type Disposable,
  EventEmitter,
  TabInputText,
  type TextDocument,
  type TextEditor,
  Uri,
  type ViewColumn,
  window,
  workspace,
} from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import { onConfig } from '../config.ts';
import { languageId } from '../contributions.ts';
import type { Server } from '../server/server.ts';
import { Painter, wanted } from './painter.ts';
import { isHighContrast, Styles } from './styles.ts';
import { TraceDocument } from './trace-document.ts';

const isTrace = (document: TextDocument): boolean =>
  document.languageId === languageId &&
  (document.uri.scheme === 'file' || document.uri.scheme === 'untitled');

/** All open trace documents and the editors that show them. Makes nothing before the first is seen. */
export class TraceEditors implements Disposable {
  readonly #server: Server;
  readonly #patches: () => readonly PatchRef[];
  readonly #documents = new Map<string, TraceDocument>();
  readonly #painters = new Map<TextEditor, Painter>();
  readonly #disposables: Disposable[] = [];
  readonly #changed = new EventEmitter<TraceDocument>();
  #styles: Styles | null = null;
  #strong = false;
  #longest = 0;
  /** The trace editor that was last active; it may be hidden by now. */
  #last: TextEditor | null = null;
  /** Something is known anew of a document. */
  readonly onDidChange = this.#changed.event;

  constructor(server: Server, patches: () => readonly PatchRef[]) {
    this.#server = server;
    this.#patches = patches;
    this.#disposables.push(
      window.onDidChangeVisibleTextEditors(() => this.#sync()),
      window.onDidChangeActiveTextEditor((editor) => {
        if (editor && isTrace(editor.document)) this.#last = editor;
      }),
      window.onDidChangeTextEditorVisibleRanges(({ textEditor }) => {
        this.#painters.get(textEditor)?.soon();
        this.get(textEditor.document)?.scrolled();
      }),
      window.onDidChangeActiveColorTheme(() => this.#restyle()),
      workspace.onDidOpenTextDocument(() => this.#sync()),
      workspace.onDidCloseTextDocument((document) => this.#close(document)),
      workspace.onDidGrantWorkspaceTrust(() => this.refresh()),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length === 0) return;
        for (const painter of this.#painters.values()) {
          if (painter.editor.document === document) painter.forget();
        }
        this.get(document)?.edited(contentChanges);
      }),
      onConfig(['overlay.kind', 'overlay.deviations'], () => {
        for (const trace of this.#documents.values()) {
          if (trace.scores.total === 0) trace.rescore();
        }
      }),
      onConfig(
        [
          'overlay.kind',
          'overlay.prompt',
          'overlay.deviations',
          'overlay.pivots',
          'overlay.attribution',
          'overlay.legend',
        ],
        () => this.repaint(),
      ),
      onConfig(['model'], () => this.refresh()),
      server.onRestart(() => this.refresh()),
    );
    this.#sync();
    this.#last = this.active?.editor ?? null;
  }

  get(document: TextDocument): TraceDocument | null {
    return this.#documents.get(document.uri.toString()) ?? null;
  }

  /** The trace of the active editor. */
  get active(): { editor: TextEditor; trace: TraceDocument } | null {
    const editor = window.activeTextEditor;
    const trace = editor && this.get(editor.document);
    return editor && trace ? { editor, trace } : null;
  }

  /**
   * The trace whose cursor counts: of the active editor, or else, while a panel or another file has the focus, of the
   * one that was last active and is still open, hidden or not; after a reload of one that is in view.
   */
  get current(): { editor: TextEditor; trace: TraceDocument } | null {
    if (this.active) return this.active;
    const document = this.#lastOpen?.document;
    const seen = window.visibleTextEditors.find((editor) =>
      document ? editor.document === document : isTrace(editor.document),
    );
    const editor = seen ?? this.#lastOpen;
    const trace = editor && this.get(editor.document);
    return editor && trace ? { editor, trace } : null;
  }

  /** The trace of the active editor; or else the one that was last active and is still open, shown again. */
  async recent(): Promise<{ editor: TextEditor; trace: TraceDocument } | null> {
    if (this.active) return this.active;
    const last = this.#lastOpen;
    return last && this.show(last.document.uri);
  }

  get #lastOpen(): TextEditor | null {
    const uri = this.#last?.document.uri.toString();
    const open = window.tabGroups.all
      .flatMap(({ tabs }) => tabs)
      .some(({ input }) => input instanceof TabInputText && input.uri.toString() === uri);
    return open ? this.#last : null;
  }

  /** An open document's trace, opened and shown where it is not. */
  async show(
    uri: Uri | string,
    column?: ViewColumn,
  ): Promise<{ editor: TextEditor; trace: TraceDocument } | null> {
    const document = await workspace.openTextDocument(typeof uri === 'string' ? Uri.parse(uri) : uri);
    const editor = await window.showTextDocument(document, {
      preview: true,
      ...(column !== undefined && { viewColumn: column }),
    });
    this.#sync();
    const trace = this.get(document);
    return trace && { editor, trace };
  }

  /** Ask the engine again for all that is shown. */
  refresh(): void {
    for (const trace of this.#documents.values()) trace.refresh();
  }

  repaint(): void {
    for (const painter of this.#painters.values()) painter.soon();
  }

  /** Longest paint so far, milliseconds. */
  get longestPaint(): number {
    return Math.max(this.#longest, ...[...this.#painters.values()].map((painter) => painter.longest));
  }

  /** What an editor shows; null where it shows no trace. */
  painted(editor: TextEditor): Painter['painted'] | null {
    return this.#painters.get(editor)?.painted ?? null;
  }

  #sync(): void {
    const seen = new Set(window.visibleTextEditors.filter(({ document }) => isTrace(document)));
    for (const [editor, painter] of this.#painters) {
      if (seen.has(editor)) continue;
      this.#longest = Math.max(this.#longest, painter.longest);
      painter.dispose();
      this.#painters.delete(editor);
    }
    for (const editor of seen) {
      if (this.#painters.has(editor)) continue;
      const trace = this.get(editor.document) ?? this.#open(editor.document);
      this.#strong = isHighContrast();
      this.#styles ??= new Styles();
      this.#painters.set(editor, new Painter(editor, trace, this.#styles));
    }
  }

  #open(document: TextDocument): TraceDocument {
    const trace = new TraceDocument(document, this.#server, () => {
      const { overlay, deviations } = wanted();
      const editor = window.visibleTextEditors.find((one) => one.document === document);
      const ranges = editor?.visibleRanges ?? [];
      const visible = ranges.length > 0 ? { start: ranges[0]!.start, end: ranges.at(-1)!.end } : null;
      return {
        scores: workspace.isTrusted && (overlay !== 'off' || deviations),
        patches: this.#patches(),
        visible: visible && plain(visible),
      };
    });
    this.#documents.set(document.uri.toString(), trace);
    trace.onDidChange(() => this.#changed.fire(trace));
    return trace;
  }

  #close(document: TextDocument): void {
    this.get(document)?.dispose();
    this.#documents.delete(document.uri.toString());
  }

  #restyle(): void {
    if (!this.#styles || this.#strong === isHighContrast()) return;
    this.#strong = isHighContrast();
    this.#styles.dispose();
    this.#styles = new Styles();
    for (const painter of this.#painters.values()) painter.restyle(this.#styles);
  }

  dispose(): void {
    for (const disposable of this.#disposables) disposable.dispose();
    for (const painter of this.#painters.values()) painter.dispose();
    for (const trace of this.#documents.values()) trace.dispose();
    this.#styles?.dispose();
    this.#changed.dispose();
  }
}

const plain = ({
  start,
  end,
}: {
  start: { line: number; character: number };
  end: { line: number; character: number };
}) => ({
  start: { line: start.line, character: start.character },
  end: { line: end.line, character: end.character },
});
