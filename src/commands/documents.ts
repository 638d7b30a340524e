import { commands, type Disposable, EventEmitter, Uri, workspace } from 'vscode';

const SCHEME = 'circuit-amplifier';
const texts = new Map<string, string>();
const changed = new EventEmitter<Uri>();

/** Reports and comparisons are read-only documents of the window; their text goes when they are closed. */
export const registerDocuments = (): Disposable[] => [
  changed,
  workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
  }),
  workspace.onDidCloseTextDocument(({ uri }) => texts.delete(uri.toString())),
];

/** Shows Markdown as a page. @param title the tab's name */
export async function showMarkdown(title: string, text: string): Promise<void> {
  const uri = Uri.from({ scheme: SCHEME, path: `/${title}.md` });
  texts.set(uri.toString(), text);
  changed.fire(uri);
  await commands.executeCommand('markdown.showPreview', uri);
}
