import {
  CancellationError,
  CancellationTokenSource,
  type Disposable,
  EventEmitter,
  type Position,
  window,
  workspace,
} from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import type { ShownPivot } from '../../server/protocol/panel.ts';
import {
  type Attribution,
  attribution,
  branches,
  type DocumentPivot,
  type DocumentView,
} from '../../server/protocol/traces.ts';
import { config, onConfig } from '../config.ts';
import { setContext } from '../context.ts';
import { log, messageOf } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { Coalesced } from './coalesced.ts';
import { attributionBucket, attributionScale } from './heat.ts';
import { comparePositions } from './ranges.ts';
import type { TraceDocument } from './trace-document.ts';
import type { TraceEditors } from './trace-editors.ts';

/** Milliseconds that the cursor rests on a pivot before its attribution is asked for: a key that is held repeats sooner. */
const REST = 40;

/** What the circuit panel shows of the cursor. */
export interface PivotAttribution {
  /** Run folder that the pivot's trace is from; null. */
  run: string | null;
  /** Null: the cursor is on none. */
  pivot: ShownPivot | null;
}

/** The pivot at a place: on its token, or on its line of the header. */
export function pivotAt(trace: TraceDocument, view: DocumentView, position: Position): DocumentPivot | null {
  const on = view.pivots.find(
    ({ range }) => comparePositions(range.start, position) <= 0 && comparePositions(position, range.end) <= 0,
  );
  if (on || position.line >= view.prompt.start.line) return on ?? null;
  const token = /^pivot:.*?\btoken=(\d+)/.exec(trace.document.lineAt(position.line).text)?.[1];
  return view.pivots.find((pivot) => pivot.token === Number(token)) ?? null;
}

/** Attribution of the pivot at the cursor: asked for when the cursor rests, given up when it moves on. */
export class CursorAttribution implements Disposable {
  readonly #server: Server;
  readonly #editors: TraceEditors;
  readonly #patches: () => readonly PatchRef[];
  readonly #panelOpen: () => boolean;
  readonly #rest = new Coalesced(() => void this.#ask(), REST, true);
  readonly #shown = new EventEmitter<PivotAttribution>();
  readonly #disposables: Disposable[];
  #asking: CancellationTokenSource | null = null;
  /** What is asked for or shown: nothing is asked twice. */
  #key = '';
  /** What the panels were told last is a pivot. */
  #told = false;
  /** A pivot came under the cursor while a panel is in view, or is there no more. */
  readonly onDidShow = this.#shown.event;
  /** Milliseconds from the cursor's last move to the attribution; null before one. */
  latency: number | null = null;
  #moved = 0;

  constructor(
    server: Server,
    editors: TraceEditors,
    patches: () => readonly PatchRef[],
    panelOpen: () => boolean,
  ) {
    this.#server = server;
    this.#editors = editors;
    this.#patches = patches;
    this.#panelOpen = panelOpen;
    const moved = () => this.#cursorMoved();
    this.#disposables = [
      window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === editors.current?.editor) moved();
      }),
      window.onDidChangeActiveTextEditor(moved),
      // Whether the last trace is still open.
      window.tabGroups.onDidChangeTabs(moved),
      workspace.onDidGrantWorkspaceTrust(moved),
      onConfig(['overlay.attribution'], moved),
      // A pivot may have been marked, moved or given another desired token under a cursor that rests.
      editors.onDidChange((trace) => {
        const key = this.#here()?.key ?? '';
        if (trace === editors.current?.trace && key !== this.#key) moved();
      }),
    ];
  }

  /** Ask again: the patches are others, or a panel has come into view and knows of no pivot. */
  refresh(): void {
    this.#key = '';
    this.#cursorMoved();
  }

  #here(): { trace: TraceDocument; view: DocumentView; pivot: DocumentPivot; key: string } | null {
    const current = this.#editors.current;
    const view = current?.trace.view;
    if (!current || !view?.tokens) return null;
    const pivot = pivotAt(current.trace, view, current.editor.selection.active);
    if (!pivot) return null;
    const { token, desired, undesired } = pivot;
    const key = JSON.stringify([current.trace.of.uri, token, desired.id, undesired.id, this.#patches()]);
    return { trace: current.trace, view, pivot, key };
  }

  #cursorMoved(): void {
    const here = this.#here();
    setContext('circuitAmplifier.onPivot', here !== null);
    if (here && here.key === this.#key && config.overlayAttribution()) return;
    this.#moved = Date.now();
    this.#asking?.cancel();
    this.#key = '';
    if (!here) {
      this.#rest.cancel();
      this.#clear();
    } else this.#rest.request();
  }

  #clear(): void {
    if (this.#told) this.#shown.fire({ run: null, pivot: null });
    this.#told = false;
    const trace = this.#editors.current?.trace;
    if (!trace?.attribution) return;
    trace.attribution = null;
    trace.touched();
  }

  async #ask(): Promise<void> {
    const here = this.#here();
    if (!here || !config.overlayAttribution() || !workspace.isTrusted) {
      this.#clear();
      return;
    }
    const { trace, view, pivot, key } = here;
    this.#key = key;
    const source = new CancellationTokenSource();
    this.#asking = source;
    const version = trace.document.version;
    const ask = (components: boolean) =>
      this.#server.request(
        attribution,
        { ...trace.of, token: pivot.token, patches: [...this.#patches()], components },
        { token: source.token },
      );
    try {
      const tokens = await ask(false);
      if (source.token.isCancellationRequested) return;
      if (version !== trace.document.version) {
        this.#key = '';
        this.#rest.request();
        return;
      }
      trace.attribution = { ...tokens, token: pivot.token };
      this.latency = Date.now() - this.#moved;
      trace.touched();
      if (this.#panelOpen()) {
        const { components } = await ask(true);
        if (source.token.isCancellationRequested) return;
        const shown = forPanel(view, pivot, tokens, components ?? []);
        this.#shown.fire({ run: view.run, pivot: shown });
        this.#told = true;
      }
      // Whoever rests on a pivot wants to know what follows from it: the lens above tells the answers.
      await this.#server.request(
        branches,
        { ...trace.of, token: pivot.token, patches: [...this.#patches()] },
        { token: source.token },
      );
    } catch (error) {
      if (this.#asking === source) this.#key = '';
      if (error instanceof CancellationError) return;
      log().warn(`Attribution: ${messageOf(error)}`);
      this.#clear();
    } finally {
      if (this.#asking === source) this.#asking = null;
      source.dispose();
    }
  }

  dispose(): void {
    this.#asking?.cancel();
    this.#rest.dispose();
    this.#shown.dispose();
    for (const disposable of this.#disposables) disposable.dispose();
  }
}

function forPanel(
  { problem }: DocumentView,
  { desired, undesired }: DocumentPivot,
  { margin, tokens }: Attribution,
  components: NonNullable<Attribution['components']>,
): ShownPivot {
  const scale = attributionScale(tokens.map(({ attribution }) => attribution));
  return {
    problem,
    desired: desired.text,
    undesired: undesired.text,
    margin,
    tokens: tokens.map(({ text, attribution }) => ({
      text,
      attribution,
      level: attributionBucket(attribution, scale),
    })),
    components: components.map(({ component, gradient }) => ({ component, gradient })),
  };
}
