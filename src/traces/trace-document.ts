import {
  CancellationError,
  CancellationTokenSource,
  type Disposable,
  EventEmitter,
  type TextDocument,
  type TextDocumentContentChangeEvent,
} from 'vscode';
import { errorCodes, type PatchRef, type Range } from '../../server/protocol/message.ts';
import {
  type Attribution,
  type DocumentView,
  type OutputDiff,
  scores,
  view,
} from '../../server/protocol/traces.ts';
import { messageOf } from '../notify.ts';
import { type Server, ServerError } from '../server/server.ts';
import { Coalesced } from './coalesced.ts';
import { linesMoved, movedRange } from './ranges.ts';
import { ScoredTokens } from './scored-tokens.ts';

/** A diff that is shown in a document, and what it compares. */
export interface ShownDiff {
  from: PatchRef[] | null;
  to: PatchRef[];
  diff: OutputDiff;
}

/** Milliseconds without typing before a changed text is scored again. */
const PAUSE = 400;
/** Milliseconds from a scroll to the request that makes the scores follow it. */
const SCROLL_PAUSE = 250;
/** Times that a request about an outdated version is made again. */
const TRIES = 5;

const isCancellation = (error: unknown): boolean => error instanceof CancellationError;
const isStale = (error: unknown): boolean => error instanceof ServerError && error.code === errorCodes.stale;

/** What is known of an open trace document, and the requests that find it out. Knows nothing of editors. */
export class TraceDocument implements Disposable {
  readonly document: TextDocument;
  readonly #server: Server;
  readonly #wanted: () => { scores: boolean; patches: readonly PatchRef[]; visible: Range | null };
  readonly #changed = new EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  readonly #viewSoon: Coalesced;
  readonly #scoresSoon: Coalesced;
  readonly #scrollSoon: Coalesced;
  #scoring: CancellationTokenSource | null = null;
  #viewsAsked = 0;
  #viewsHad = 0;
  #waiting: (() => void)[] = [];

  view: DocumentView | null = null;
  scores = new ScoredTokens();
  /** Patches that the scores are of. */
  scored: readonly PatchRef[] = [];
  /** Why there are no scores; one line. */
  problem: string | null = null;
  /** Of the pivot at the cursor. */
  attribution: (Attribution & { token: number }) | null = null;
  diff: ShownDiff | null = null;
  /** Milliseconds from the request for scores to their first and last part; null while there are none. */
  timing: { first: number | null; complete: number | null } = { first: null, complete: null };

  constructor(
    document: TextDocument,
    server: Server,
    wanted: () => { scores: boolean; patches: readonly PatchRef[]; visible: Range | null },
  ) {
    this.document = document;
    this.#server = server;
    this.#wanted = wanted;
    // Behind the event that opened the document, so that the engine's process has heard of it.
    this.#viewSoon = new Coalesced(() => void this.#loadView(), 0);
    this.#scoresSoon = new Coalesced(() => void this.#loadScores(), PAUSE, true);
    this.#scrollSoon = new Coalesced(() => this.#follow(), SCROLL_PAUSE);
    this.refresh();
  }

  get of() {
    return { uri: this.document.uri.toString(), version: this.document.version };
  }

  /** Ask for everything again: the engine was started again, or other patches are on. */
  refresh(): void {
    this.#scoring?.cancel();
    this.problem = null;
    this.#viewSoon.request();
    void this.#loadScores();
  }

  /** Something else is looked at: what is scored first follows, where there is something left to score. */
  scrolled(): void {
    if (this.#scoring) this.#scrollSoon.request();
  }

  #follow(): void {
    const { visible } = this.#wanted();
    if (!this.#scoring || !visible) return;
    const seen = this.scores.at(visible.start) && this.scores.at(visible.end);
    if (!seen) void this.#loadScores();
  }

  /** Scores are wanted now, where they were not before. */
  rescore(): void {
    void this.#loadScores();
  }

  /** The document's view, for its present version. */
  async current(): Promise<DocumentView | null> {
    if (!this.#viewSoon.pending && this.#viewsAsked === this.#viewsHad) return this.view;
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.view)));
  }

  edited(changes: readonly TextDocumentContentChangeEvent[]): void {
    const moved = this.view ? linesMoved(changes, this.view.prompt.start.line) : null;
    if (moved === null) {
      this.view = null;
      this.scores = new ScoredTokens();
      this.attribution = null;
      this.diff = null;
      this.#scoring?.cancel();
      this.#scoresSoon.request();
    } else {
      this.#move(moved);
      // Parts under way count lines of the text before.
      if (this.#scoring) void this.#loadScores();
    }
    this.#viewSoon.request();
    this.#changed.fire();
  }

  #move(lines: number): void {
    if (lines === 0) return;
    this.scores.move(lines);
    const moved = (range: Range) => movedRange(range, lines);
    if (this.view) {
      this.view = {
        ...this.view,
        prompt: moved(this.view.prompt),
        completion: moved(this.view.completion),
        pivots: this.view.pivots.map((pivot) => ({ ...pivot, range: moved(pivot.range) })),
      };
    }
    if (this.attribution) {
      const tokens = this.attribution.tokens.map((token) => ({ ...token, range: moved(token.range) }));
      this.attribution = { ...this.attribution, tokens };
    }
    if (this.diff) {
      const { diff } = this.diff;
      const at = diff.firstDivergenceAt;
      this.diff = {
        ...this.diff,
        diff: {
          ...diff,
          firstDivergenceAt: at && { line: at.line + lines, character: at.character },
          stretches: diff.stretches.map((stretch) => ({ ...stretch, range: moved(stretch.range) })),
        },
      };
    }
  }

  /** Something that is painted was set from outside. */
  touched(): void {
    this.#changed.fire();
  }

  async #loadView(): Promise<void> {
    const mine = ++this.#viewsAsked;
    let next: DocumentView | null = null;
    try {
      next = await this.#again(() => this.#server.request(view, this.of));
    } catch (error) {
      if (mine === this.#viewsAsked && !isCancellation(error) && !isStale(error))
        this.problem = messageOf(error);
    }
    if (mine !== this.#viewsAsked) return;
    this.#viewsHad = mine;
    this.view = next;
    for (const done of this.#waiting.splice(0)) done();
    this.#changed.fire();
  }

  async #loadScores(): Promise<void> {
    this.#scoring?.cancel();
    this.#scoring = null;
    const wanted = this.#wanted();
    if (!wanted.scores) return;
    const source = new CancellationTokenSource();
    this.#scoring = source;
    const began = Date.now();
    let fresh: ScoredTokens | null = null;
    try {
      await this.#again(async () => {
        // After the tick in which the document was opened or changed: the engine's process is told of that first.
        await new Promise((resolve) => setTimeout(resolve));
        if (source.token.isCancellationRequested) throw new CancellationError();
        const patches = [...wanted.patches];
        await this.#server.request(
          scores,
          { ...this.of, patches, visible: this.#wanted().visible },
          {
            token: source.token,
            onPart: (part) => {
              if (source.token.isCancellationRequested) return;
              if (!fresh) {
                fresh = this.scores = new ScoredTokens();
                this.scored = patches;
                this.timing = { first: Date.now() - began, complete: null };
              }
              fresh.add(part);
              this.problem = null;
              if (part.done === part.total) this.timing = { ...this.timing, complete: Date.now() - began };
              this.#changed.fire();
            },
          },
        );
      }, source);
    } catch (error) {
      if (this.#scoring === source && !isCancellation(error) && !isStale(error)) {
        this.problem = messageOf(error);
        this.scores = new ScoredTokens();
      }
    } finally {
      if (this.#scoring === source) this.#scoring = null;
      source.dispose();
      this.#changed.fire();
    }
  }

  /** Makes a request again where the text changed on the way. */
  async #again<R>(ask: () => Promise<R>, source?: CancellationTokenSource): Promise<R> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        const over = tries === TRIES || source?.token.isCancellationRequested;
        if (!isStale(error) || over) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20 * tries));
      }
    }
  }

  dispose(): void {
    this.#scoring?.cancel();
    this.#viewSoon.dispose();
    this.#scoresSoon.dispose();
    this.#scrollSoon.dispose();
    for (const done of this.#waiting.splice(0)) done();
    this.#changed.dispose();
  }
}
