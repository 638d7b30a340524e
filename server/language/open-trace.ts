import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DocumentPivotLine, TraceDocument } from '../data/trace-document.ts';
import { parseTraceDocument } from '../data/trace-document.ts';
import {
  markPivot,
  movePivot,
  removePivots,
  setDesired,
  setExcluded,
  setStatus,
  swapPivot,
  type TextEdit,
} from '../data/trace-edits.ts';
import { InputError } from '../errors.ts';
import type { Position, Range } from '../protocol/message.ts';
import type { AnnotationEdit, DocumentPivot, DocumentView, TokenRange } from '../protocol/traces.ts';
import { type Stretch, TokenMap, type TokenReader } from './token-map.ts';

/** The part used of an open text document (vscode-languageserver-textdocument). */
export interface SourceDocument {
  readonly uri: string;
  readonly version: number;
  getText(): string;
  positionAt(offset: number): Position;
  offsetAt(position: Position): number;
}

/**
 * One version of a trace document with its tokens mapped to places. Everything that the editor shows of a document is a
 * function of this. Make a new one for every version: the source may change under the old one.
 */
export class OpenTrace {
  readonly uri: string;
  readonly version: number;
  readonly text: string;
  readonly document: TraceDocument;
  /** Where the document lies; null where it is no file. */
  readonly file: string | null;
  /** null without a tokenizer. */
  readonly reader: TokenReader | null;
  /** All tokens and their places; null without a tokenizer, and where the text was changed and is no longer theirs. */
  readonly tokens: TokenMap | null;
  /** The same for a changed text: only what comes before `mismatch` can be relied on. */
  readonly aligned: TokenMap | null;
  private readonly source: SourceDocument;

  constructor(source: SourceDocument, reader: TokenReader | null) {
    this.source = source;
    this.uri = source.uri;
    this.version = source.version;
    this.text = source.getText();
    this.file = source.uri.startsWith('file:') ? fileURLToPath(source.uri) : null;
    this.document = parseTraceDocument(this.text);
    this.reader = reader;
    const { promptIds, completionIds, bodyStart } = this.document;
    const known = reader !== null && promptIds.length > 0;
    this.aligned = known ? new TokenMap(this.text, bodyStart, promptIds, completionIds, reader) : null;
    this.tokens = this.aligned?.mismatch ? null : this.aligned;
  }

  /** Model and run folder that the header names, absolute; null where it names none, or is no file and cannot be resolved. */
  get model(): string | null {
    return this.resolve(this.document.model);
  }

  get run(): string | null {
    return this.resolve(this.document.run);
  }

  private resolve(named: string | null): string | null {
    if (named === null) return null;
    if (path.isAbsolute(named)) return path.normalize(named);
    return this.file === null ? null : path.resolve(path.dirname(this.file), named);
  }

  range({ start, end }: Stretch): Range {
    return { start: this.source.positionAt(start), end: this.source.positionAt(end) };
  }

  offsetAt(position: Position): number {
    return this.source.offsetAt(position);
  }

  /** Where a token is to be seen, with its text. Index of prompt and completion ids. */
  tokenRange(token: number): TokenRange {
    const tokens = this.known();
    const id = tokens.ids[token];
    if (id === undefined)
      throw new InputError(`token ${token}`, 'is past the end', 'Choose a token of the trace.');
    return { index: token, id, text: tokens.tokenText(token), range: this.range(tokens.range(token)) };
  }

  /** Every token in order. */
  tokenRanges(): TokenRange[] {
    return this.known().ids.map((_, token) => this.tokenRange(token));
  }

  /** The token at a position; of those that share a character a pivot, or else the one that completes it. */
  tokenAt(position: Position): number | null {
    const here = this.tokens?.at(this.offsetAt(position)) ?? [];
    return here.find((token) => this.pivotAt(token) !== null) ?? here.at(-1) ?? null;
  }

  pivotAt(token: number): DocumentPivotLine | null {
    return this.document.pivots.find((pivot) => pivot.token === token) ?? null;
  }

  /** Pivots whose token is one of the completion. */
  get placedPivots(): DocumentPivotLine[] {
    const { pivots, promptIds, completionIds } = this.document;
    const total = promptIds.length + completionIds.length;
    return pivots.filter(({ token }) => token >= promptIds.length && token < total);
  }

  /** Where a pivot is shown: its token, or its line of the header where tokens have no places. */
  pivotRange(pivot: DocumentPivotLine): Range {
    const placed = this.tokens !== null && pivot.token < this.tokens.length;
    return this.range(placed ? this.tokens!.range(pivot.token) : pivot.at);
  }

  /** For display; '' without a tokenizer, and for an id that it does not have. */
  tokenText(id: number): string {
    return this.reader?.tokenText(id) ?? '';
  }

  /** Where prompt and completion stand. Without tokens all text counts as the completion. */
  get parts(): { prompt: Stretch; completion: Stretch } {
    const { bodyStart } = this.document;
    const { aligned, text } = this;
    let cut = bodyStart;
    if (
      aligned &&
      aligned.promptLength > 0 &&
      (aligned.mismatch?.token ?? Number.POSITIVE_INFINITY) >= aligned.promptLength
    ) {
      cut = aligned.own(aligned.promptLength - 1).end;
    }
    return { prompt: { start: bodyStart, end: cut }, completion: { start: cut, end: text.length } };
  }

  view(): DocumentView {
    const { document } = this;
    const { prompt, completion } = this.parts;
    const token = (id: number) => ({ id, text: this.tokenText(id) });
    return {
      problem: document.problem ?? '',
      template: document.template,
      target: document.target,
      answer: document.answer ?? null,
      correct: document.correct,
      excluded: document.excluded,
      model: this.model,
      run: this.run,
      prompt: this.range(prompt),
      completion: this.range(completion),
      pivots: this.placedPivots.map(
        (pivot): DocumentPivot => ({
          token: pivot.token,
          range: this.pivotRange(pivot),
          undesired: token(pivot.undesired),
          desired: token(pivot.desired),
          method: pivot.method,
          status: pivot.status,
        }),
      ),
      tokens: this.tokens?.length ?? null,
    };
  }

  /**
   * The text edits of the header that make an edit of the annotations.
   * @throws InputError for an edit that cannot be: no pivot there, not a token of the completion, no desired token given
   */
  annotate(edit: AnnotationEdit): { range: Range; newText: string }[] {
    return this.edits(edit).map(({ start, end, newText }) => ({
      range: this.range({ start, end }),
      newText,
    }));
  }

  private edits(edit: AnnotationEdit): TextEdit[] {
    const { document, reader } = this;
    switch (edit.edit) {
      case 'mark':
        if (edit.desired !== null) return markPivot(document, edit.token, edit.desired, reader);
        throw new InputError(`token ${edit.token}`, 'has no desired token yet', 'Choose the desired token.');
      case 'desired':
        return setDesired(document, edit.token, edit.desired, reader);
      case 'accept':
        return setStatus(document, edit.token, 'accepted', reader);
      case 'reject':
        return setStatus(document, edit.token, 'rejected', reader);
      case 'remove':
        return removePivots(document, edit.token);
      case 'swap':
        return swapPivot(document, edit.token, reader);
      case 'move':
        return movePivot(document, edit.token, edit.to, reader);
      case 'exclude':
        return setExcluded(document, edit.excluded);
    }
  }

  private known(): TokenMap {
    if (this.tokens) return this.tokens;
    const where = this.file ?? this.uri;
    if (!this.reader)
      throw new InputError(
        where,
        'has no tokenizer to read its tokens with',
        "Name the model's folder in its header.",
      );
    throw new InputError(
      where,
      'has a text that is not that of its tokens',
      'Undo the changes below its header.',
    );
  }
}
