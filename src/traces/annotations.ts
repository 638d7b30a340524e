import { Range as EditorRange, Position, WorkspaceEdit, workspace } from 'vscode';
import {
  type Alternative,
  type AnnotationEdit,
  alternatives,
  annotate,
  type DocumentPivot,
  type DocumentView,
  type TokenRange,
  tokenAt,
} from '../../server/protocol/traces.ts';
import type { Server } from '../server/server.ts';
import { pivotAt } from './cursor.ts';
import type { TraceDocument } from './trace-document.ts';
import type { TraceEditors } from './trace-editors.ts';

/** What a command of annotation is given by a CodeLens, a code action, a hover or a test; nothing by a key. */
export interface Target {
  /** The document; the active one where it is not named. */
  uri?: string;
  /** Index of the token among prompt and completion ids; the one at the cursor where it is not named. */
  token?: number;
  /** Id of a desired token. */
  desired?: number;
  /** Index of the token that a pivot is moved to. */
  to?: number;
  excluded?: boolean;
}

/** A line for the user who asked for what cannot be. */
export class NotHere extends Error {}

/** A trace document with the token that a command is about. */
export interface Place {
  trace: TraceDocument;
  view: DocumentView;
  /** The cursor, or where the named token stands. */
  at: Position | null;
  token: number | null;
  pivot: DocumentPivot | null;
}

/** Edits of annotations: found for a cursor or a named token, asked for, applied as one step of undo. */
export class Annotations {
  readonly #server: Server;
  readonly #editors: TraceEditors;

  constructor(server: Server, editors: TraceEditors) {
    this.#server = server;
    this.#editors = editors;
  }

  /** @throws NotHere where there is no trace, or its tokens are not known */
  async place(target: Target = {}): Promise<Place> {
    const named = target.uri === undefined ? null : await this.#named(target.uri);
    const active = this.#editors.active;
    const trace = named ?? active?.trace;
    if (!trace) throw new NotHere('Open a trace document first.');
    const view = await trace.current();
    if (!view) throw new NotHere(trace.problem ?? 'The trace could not be read.');
    const at = active?.trace === trace ? active.editor.selection.active : null;
    const { token } = target;
    if (token !== undefined) {
      return { trace, view, at, token, pivot: view.pivots.find((pivot) => pivot.token === token) ?? null };
    }
    const pivot = at && pivotAt(trace, view, at);
    const under = pivot || !at ? null : await this.#tokenAt(trace, at);
    return { trace, view, at, token: pivot?.token ?? under?.index ?? null, pivot };
  }

  async #named(uri: string): Promise<TraceDocument | null> {
    const open = workspace.textDocuments.find((document) => document.uri.toString() === uri);
    return (open && this.#editors.get(open)) ?? (await this.#editors.show(uri))?.trace ?? null;
  }

  /** @returns whether the document was changed */
  async apply(trace: TraceDocument, annotation: AnnotationEdit): Promise<boolean> {
    const { edits } = await this.#server.request(annotate, { ...trace.of, annotation });
    if (edits.length === 0) return false;
    const change = new WorkspaceEdit();
    for (const { range, newText } of edits) change.replace(trace.document.uri, editorRange(range), newText);
    return workspace.applyEdit(change);
  }

  /** What the model would have put in a token's place, most probable first; empty where it has not been scored. */
  alternatives(trace: TraceDocument, token: number): Promise<Alternative[]> {
    return this.#server.request(alternatives, { ...trace.of, token });
  }

  #tokenAt(trace: TraceDocument, { line, character }: { line: number; character: number }) {
    return this.#server.request(tokenAt, { ...trace.of, position: { line, character } });
  }

  /** Token at the cursor, whatever a command was given; null where there is none. */
  async atCursor({ trace, at }: Place): Promise<TokenRange | null> {
    return at && this.#tokenAt(trace, at);
  }

  /** Tokens on either side of one and itself, in order. */
  async neighbours(place: Place, count: number): Promise<TokenRange[]> {
    const { trace, token } = place;
    if (token === null) return [];
    const known = trace.scores.tokens.filter(({ index }) => Math.abs(index - token) <= count);
    if (known.length > count) return known;
    // Without scores: from one to the next.
    const start = place.pivot?.range.start ?? place.at;
    const own = start && (await this.#tokenAt(trace, start));
    if (!own) return [];
    const all: TokenRange[] = [own];
    for (let i = 0; i < count; i++) {
      const next = await this.#tokenAt(trace, all.at(-1)!.range.end);
      if (!next || next.index <= all.at(-1)!.index) break;
      all.push(next);
    }
    for (let i = 0; i < count; i++) {
      const { start: first } = all[0]!.range;
      const offset = trace.document.offsetAt(trace.document.validatePosition(position(first)));
      if (offset === 0) break;
      const previous = await this.#tokenAt(trace, trace.document.positionAt(offset - 1));
      if (!previous || previous.index >= all[0]!.index) break;
      all.unshift(previous);
    }
    return all;
  }
}

const position = ({ line, character }: { line: number; character: number }) => new Position(line, character);
const editorRange = ({ start, end }: TokenRange['range']) =>
  new EditorRange(start.line, start.character, end.line, end.character);
