import {
  commands,
  type Disposable,
  EventEmitter,
  type TextDocumentContentProvider,
  Uri,
  workspace,
} from 'vscode';

const scheme = 'cca-output';

/** Outputs as read-only documents, for the diff editor and the peek view. They live as long as their tabs. */
export class OutputDocuments implements TextDocumentContentProvider, Disposable {
  readonly #texts = new Map<string, string>();
  readonly #changed = new EventEmitter<Uri>();
  readonly #disposables: Disposable[];
  readonly onDidChange = this.#changed.event;

  constructor() {
    this.#disposables = [
      workspace.registerTextDocumentContentProvider(scheme, this),
      workspace.onDidCloseTextDocument(({ uri }) => {
        if (uri.scheme === scheme) this.#texts.delete(uri.toString());
      }),
    ];
  }

  provideTextDocumentContent(uri: Uri): string {
    return (
      this.#texts.get(uri.toString()) ??
      'This output is no longer kept: open the trace and show its diff or its branches again.\n'
    );
  }

  /**
   * @param of the trace's uri, so that outputs of two traces are two documents
   * @param name for the tab
   */
  put(of: string, name: string, text: string): Uri {
    const uri = Uri.from({ scheme, path: `/${name.replaceAll(/[\\/?#]/g, '-')}`, query: of });
    if (this.#texts.get(uri.toString()) !== text) {
      this.#texts.set(uri.toString(), text);
      this.#changed.fire(uri);
    }
    return uri;
  }

  async diff(left: Uri, right: Uri, title: string): Promise<void> {
    await commands.executeCommand('vscode.diff', left, right, title);
  }

  dispose(): void {
    this.#changed.dispose();
    for (const disposable of this.#disposables) disposable.dispose();
  }
}
