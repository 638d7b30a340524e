import path from 'node:path';
import { type Disposable, type QuickPickItem, StatusBarAlignment, window } from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import { patches as listPatches } from '../../server/protocol/runs.ts';
import { outputDiff } from '../../server/protocol/traces.ts';
import { searchFolders } from '../config.ts';
import { setContext } from '../context.ts';
import { brief } from '../notify.ts';
import { parseScale } from '../patches/stack.ts';
import type { Server } from '../server/server.ts';
import { NotHere } from './annotations.ts';
import { spoken, verdict } from './diff-layout.ts';
import { stateName } from './legend.ts';
import type { OutputDocuments } from './output-documents.ts';
import { goTo } from './pivot-steps.ts';
import { withProgress } from './progress.ts';
import type { ShownDiff, TraceDocument } from './trace-document.ts';
import type { TraceEditors } from './trace-editors.ts';

/** The name of a side: `null` is the completion that the document has. */
const sideName = (side: readonly PatchRef[] | null): string => (side === null ? 'document' : stateName(side));

/** Diffs of a trace's output between two states of the model, in its own editor and in the diff editor. */
export class OutputDiffs implements Disposable {
  readonly #server: Server;
  readonly #editors: TraceEditors;
  readonly #outputs: OutputDocuments;
  readonly #patches: () => readonly PatchRef[];
  readonly #status = window.createStatusBarItem('circuitAmplifier.diff', StatusBarAlignment.Right, 99);
  readonly #disposables: Disposable[];

  constructor(
    server: Server,
    editors: TraceEditors,
    outputs: OutputDocuments,
    patches: () => readonly PatchRef[],
  ) {
    this.#server = server;
    this.#editors = editors;
    this.#outputs = outputs;
    this.#patches = patches;
    this.#status.name = 'Output Diff';
    this.#status.command = 'circuitAmplifier.openDiff';
    this.#disposables = [
      window.onDidChangeActiveTextEditor(() => this.#tell()),
      editors.onDidChange(() => this.#tell()),
    ];
  }

  /**
   * A document against the active patches, or those of its run: the active one, or the one that was last active. What is
   * shown already stays, and its first divergence is gone to.
   * @returns null where no trace is open, or the user gave up
   */
  async present(): Promise<ShownDiff | null> {
    const recent = await this.#editors.recent();
    if (!recent) return null;
    const { editor, trace } = recent;
    const to = trace.diff ? null : await this.usual(trace);
    const shown = trace.diff ?? (to ? await this.show(trace, null, to) : await this.choose());
    const at = shown?.diff.firstDivergenceAt;
    if (at) goTo(editor, { range: { start: at, end: at } });
    return shown;
  }

  /** The same, taken off where it is shown already. */
  async toggle(): Promise<ShownDiff | null> {
    if (!this.#here().trace.diff) return this.present();
    this.clear();
    return null;
  }

  /** The patches that a document is usually compared with; null where there are none. */
  async usual(trace: TraceDocument): Promise<PatchRef[] | null> {
    const active = [...this.#patches()];
    if (active.length > 0) return active;
    const run = (await trace.current())?.run;
    if (!run) return null;
    const { patches } = await this.#server.request(listPatches, { folders: [run] });
    return patches[0] ? [{ file: patches[0].file, scale: 1 }] : null;
  }

  async show(trace: TraceDocument, from: PatchRef[] | null, to: PatchRef[]): Promise<ShownDiff> {
    const { version } = trace.document;
    const diff = await withProgress(`${sideName(from)} against ${sideName(to)}`, (token, tell) =>
      this.#server.request(
        outputDiff,
        { ...trace.of, from, to },
        {
          token,
          onPart: ({ side, tokens }) => tell(`${sideName(side === 'from' ? from : to)}: ${tokens} tokens`),
        },
      ),
    );
    if (version !== trace.document.version)
      throw new NotHere('The document changed meanwhile: show the diff again.');
    trace.diff = { from, to, diff };
    trace.touched();
    if (diff.firstDivergence === null) brief(spoken(diff, sideName(from), sideName(to)));
    return trace.diff;
  }

  clear(): void {
    const { trace } = this.#here();
    trace.diff = null;
    trace.touched();
  }

  /** The shown diff, or the usual one, as a diff editor. */
  async open(): Promise<void> {
    const { trace } = this.#here();
    const shown = trace.diff ?? (await this.present());
    if (!shown) return;
    const { from, to, diff } = shown;
    const put = (role: string, side: PatchRef[] | null, text: string) =>
      this.#outputs.put(`${trace.of.uri}#${role}`, `output of ${sideName(side)}`, text);
    await this.#outputs.diff(
      put('from', from, diff.from.text),
      put('to', to, diff.to.text),
      `${path.basename(trace.document.fileName)}: ${sideName(from)} ↔ ${sideName(to)}, ${verdict(diff)}`,
    );
  }

  /** Asks for both sides. */
  async choose(): Promise<ShownDiff | null> {
    const { trace } = this.#here();
    const { patches } = await this.#server.request(listPatches, { folders: searchFolders() });
    const files = patches.map(({ file, name }) => ({ file, name }));
    const from = await chooseSide('Compare', files, this.#patches(), true);
    if (from === undefined) return null;
    const to = await chooseSide(`Compare ${sideName(from)} with`, files, this.#patches(), false);
    return to ? this.show(trace, from, to) : null;
  }

  #here() {
    const active = this.#editors.active;
    if (!active) throw new NotHere('Open a trace document first.');
    return active;
  }

  #tell(): void {
    const shown = this.#editors.active?.trace.diff ?? null;
    setContext('circuitAmplifier.diffShown', shown !== null);
    if (!shown) {
      this.#status.hide();
      return;
    }
    const words = spoken(shown.diff, sideName(shown.from), sideName(shown.to));
    this.#status.text = `$(diff) ${verdict(shown.diff)}`;
    this.#status.tooltip = `${words}\nOpen as diff editor`;
    this.#status.accessibilityInformation = { label: `Output diff. ${words}`, role: 'button' };
    this.#status.show();
  }

  dispose(): void {
    this.#status.dispose();
    for (const disposable of this.#disposables) disposable.dispose();
  }
}

type SideItem = QuickPickItem & { side: PatchRef[] | null | { file: string } };

/** @returns undefined where it was given up */
async function chooseSide(
  title: string,
  files: readonly { file: string; name: string }[],
  active: readonly PatchRef[],
  own: boolean,
): Promise<PatchRef[] | null | undefined> {
  const items: SideItem[] = [];
  if (own) items.push({ label: '$(file) The completion of the document', side: null });
  if (active.length > 0) {
    items.push({ label: '$(layers) Active patches', description: stateName(active), side: [...active] });
  }
  items.push({ label: '$(circle-outline) Base model', description: 'generated anew', side: [] });
  for (const { file, name } of files) {
    items.push({ label: `$(file-binary) ${name}`, description: 'at a scale', detail: file, side: { file } });
  }
  const picked = await window.showQuickPick(items, { title, matchOnDescription: true, ignoreFocusOut: true });
  if (!picked) return undefined;
  const { side } = picked;
  if (side === null || Array.isArray(side)) return side;
  const scale = await window.showInputBox({
    title: `Scale of ${path.basename(side.file)}`,
    prompt: '1: as trained; 0: none; between and beyond as well',
    value: '1',
    validateInput: (text) => (parseScale(text) === null ? 'A number such as 0.5 or 150 %' : null),
    ignoreFocusOut: true,
  });
  return scale === undefined ? undefined : [{ file: side.file, scale: parseScale(scale)! }];
}
