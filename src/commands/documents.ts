import {
  commands,
  type Disposable,
  EventEmitter,
  type Memento,
  TabInputWebview,
  Uri,
  window,
  workspace,
} from 'vscode';
import type { App } from '../app.ts';
import { failed } from '../notify.ts';
import { type Page, pageAddress, pageOf, pageText } from './pages.ts';

const SCHEME = 'circuit-amplifier';
/** Addresses of pages that were shown last. */
const KEY = 'pages';
const KEPT = 20;
const changed = new EventEmitter<Uri>();

/**
 * Reports and comparisons are read-only documents. The editor forgets a document while its preview stays, and asks for its
 * text again when the preview is drawn anew: it is made from the run folders each time.
 */
export function registerDocuments({ engine, context }: App): Disposable[] {
  reopen(context.workspaceState).catch(failed('A page could not be shown again'));
  return [
    workspace.registerTextDocumentContentProvider(SCHEME, {
      onDidChange: changed.event,
      provideTextDocumentContent: ({ query }) => pageText(engine, pageOf(query)),
    }),
  ];
}

/** Shows a page. @param title the tab's name */
export async function showPage({ context }: App, title: string, page: Page): Promise<void> {
  const uri = Uri.from({ scheme: SCHEME, ...pageAddress(title, page) });
  const others = context.workspaceState.get<string[]>(KEY, []).filter((other) => other !== uri.toString());
  await context.workspaceState.update(KEY, [uri.toString(), ...others].slice(0, KEPT));
  changed.fire(uri);
  await commands.executeCommand('markdown.showPreview', uri);
}

/** Previews that a window brings back look for their text before the extension is there; they look again when it is opened. */
async function reopen(memento: Memento): Promise<void> {
  const previews = window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(({ input }) => input instanceof TabInputWebview && input.viewType.includes('markdown.preview'));
  for (const address of memento.get<string[]>(KEY, [])) {
    const uri = Uri.parse(address);
    const name = uri.path.slice(1);
    if (previews.some(({ label }) => label.includes(name))) await workspace.openTextDocument(uri);
  }
}
