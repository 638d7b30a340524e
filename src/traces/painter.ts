import {
  type DecorationOptions,
  type Disposable,
  Range as EditorRange,
  MarkdownString,
  type TextDocument,
  type TextEditor,
  type TextEditorDecorationType,
  ThemeColor,
  workspace,
} from 'vscode';
import type { Range } from '../../server/protocol/message.ts';
import type { DocumentPivot } from '../../server/protocol/traces.ts';
import { config } from '../config.ts';
import { colors } from '../contributions.ts';
import { Coalesced } from './coalesced.ts';
import { layoutDiff, verdict } from './diff-layout.ts';
import { attributionBucket, attributionScale, type Heat, type Overlay, type Side } from './heat.ts';
import { legendNote, pushSwatches, swatches } from './legend.ts';
import { tightRange } from './ranges.ts';
import { heatPicture } from './scored-tokens.ts';
import type { Styles } from './styles.ts';
import type { TraceDocument } from './trace-document.ts';

/** In place of what was painted, where an edit has moved it: like nothing that could be. */
const MOVED = 'moved';

/** Milliseconds over which changes are painted together. */
const FRAME = 16;

/** What the settings ask to be painted. */
export interface Wanted {
  overlay: Overlay;
  prompt: boolean;
  deviations: boolean;
  pivots: boolean;
  attribution: boolean;
  legend: boolean;
}

export const wanted = (): Wanted => ({
  overlay: config.overlayKind(),
  prompt: config.overlayPrompt(),
  deviations: config.overlayDeviations(),
  pivots: config.overlayPivots(),
  attribution: config.overlayAttribution(),
  legend: config.overlayLegend(),
});

/** Why nothing is scored, in one line; null where something is, or nothing is wanted. */
export const problemOf = ({ problem }: TraceDocument): string | null =>
  problem ?? (workspace.isTrusted ? null : 'not scored: the workspace is not trusted');

/** Whether an editor of a document shows inlay hints. */
function showsHints(document: TextDocument): boolean {
  const enabled = workspace.getConfiguration('editor', document).get('inlayHints.enabled');
  return enabled !== 'off' && enabled !== 'offUnlessPressed';
}

const editorRange = ({ start, end }: Range) =>
  new EditorRange(start.line, start.character, end.line, end.character);

const after = (at: Range['end'], contentText: string, over: object = {}): DecorationOptions => ({
  range: new EditorRange(at.line, at.character, at.line, at.character),
  renderOptions: { after: { contentText, ...over } },
});

/** Paints what is known of a trace document in one editor, near what is seen of it. */
export class Painter implements Disposable {
  readonly editor: TextEditor;
  readonly trace: TraceDocument;
  #styles: Styles;
  readonly #frame = new Coalesced(() => this.paint(), FRAME);
  /** What each type was last set to, so that a scroll within the same tokens sends nothing. */
  readonly #painted = new Map<TextEditorDecorationType, string>();
  readonly #listening: Disposable;
  /** Longest paint, milliseconds. */
  longest = 0;
  /** What the last paint had: tokens with scores, and the pivot whose attribution was known. */
  painted: { scored: number; attribution: number | null } = { scored: 0, attribution: null };

  constructor(editor: TextEditor, trace: TraceDocument, styles: Styles) {
    this.editor = editor;
    this.trace = trace;
    this.#styles = styles;
    this.#listening = trace.onDidChange(() => this.soon());
    this.soon();
  }

  soon(): void {
    this.#frame.request();
  }

  restyle(styles: Styles): void {
    this.#styles = styles;
    this.#painted.clear();
    this.soon();
  }

  /** The editor moved its decorations with an edit: what was set is no longer what is there. */
  forget(): void {
    for (const type of this.#painted.keys()) this.#painted.set(type, MOVED);
  }

  paint(): void {
    const began = performance.now();
    const want = wanted();
    const attributed = want.attribution ? this.#paintAttribution() : this.#clearAttribution();
    this.#paintHeat(want, attributed);
    this.#paintPivots(want);
    this.#paintLegend(want);
    this.#paintDiff();
    const { scores, attribution } = this.trace;
    this.painted = { scored: scores.done, attribution: attribution?.token ?? null };
    this.longest = Math.max(this.longest, performance.now() - began);
  }

  #paintHeat(want: Wanted, attributed: ReadonlySet<number>): void {
    const { heat, signs, deviation } = this.#styles;
    // A diff has colours of its own for the same tokens.
    const diffed = this.trace.diff !== null;
    const kind: Heat | null = diffed || want.overlay === 'off' ? null : want.overlay;
    const near = this.trace.scores.near(this.editor.visibleRanges);
    // A token shows its attribution or its heat: two backgrounds mixed would be neither.
    const shown = attributed.size === 0 ? near : near.filter(({ index }) => !attributed.has(index));
    const picture = heatPicture(shown, kind, { ...want, deviations: want.deviations && !diffed });
    heat.forEach((type, i) => {
      this.#set(type, picture.buckets[i]!.map(editorRange));
    });
    const breaks = picture.breaks.map(({ bucket, range }) =>
      after(range.start, '⏎', {
        backgroundColor: new ThemeColor(colors.surprisal[bucket - 1]!),
        color: new ThemeColor('editorCodeLens.foreground'),
      }),
    );
    this.#set(signs, breaks);
    this.#set(deviation, picture.deviations.map(editorRange));
  }

  /** @returns indices of tokens that are painted by attribution */
  #paintAttribution(): Set<number> {
    const { attribution } = this.trace;
    if (!attribution) return this.#clearAttribution();
    const { toward, away } = this.#styles;
    const scale = attributionScale(attribution.tokens.map((token) => token.attribution));
    const ranges: [DecorationOptions[][], DecorationOptions[][]] = [toward.map(() => []), away.map(() => [])];
    const indices = new Set<number>();
    for (const token of attribution.tokens) {
      const bucket = attributionBucket(token.attribution, scale);
      if (bucket === 0) continue;
      indices.add(token.index);
      const to = bucket > 0 ? attribution.desired : attribution.undesired;
      const text = `${token.attribution.toFixed(3)} (logit difference): toward ${JSON.stringify(to.text)}`;
      ranges[bucket > 0 ? 0 : 1][Math.abs(bucket) - 1]!.push({
        range: editorRange(tightRange(token)),
        hoverMessage: new MarkdownString().appendText(text),
      });
    }
    toward.forEach((type, i) => {
      this.#set(type, ranges[0][i]!);
    });
    away.forEach((type, i) => {
      this.#set(type, ranges[1][i]!);
    });
    return indices;
  }

  #clearAttribution(): Set<number> {
    for (const type of [...this.#styles.toward, ...this.#styles.away]) this.#set(type, []);
    return new Set();
  }

  #paintPivots(want: Wanted): void {
    const { pivots: types, pivotAtCursor } = this.#styles;
    const { view, attribution } = this.trace;
    const shown = want.pivots && view?.tokens ? view.pivots : [];
    // The engine's process shows desired tokens as inlay hints; where those are off they are still to be seen.
    const spelled = !showsHints(this.editor.document);
    const options = (pivot: DocumentPivot): DecorationOptions => ({
      range: this.#boxOf(pivot),
      ...(spelled
        ? {
            renderOptions: {
              after: {
                contentText: this.#otherToken(pivot),
                color: new ThemeColor(colors.desired),
                margin: '0 0.3em',
              },
            },
          }
        : {}),
    });
    for (const status of ['auto', 'accepted', 'edited', 'rejected'] as const) {
      this.#set(types[status], shown.filter((pivot) => pivot.status === status).map(options));
    }
    const current = attribution && shown.find((pivot) => pivot.token === attribution.token);
    this.#set(pivotAtCursor, current ? [this.#boxOf(current)] : []);
  }

  #boxOf({ range }: DocumentPivot): EditorRange {
    return editorRange(tightRange({ text: this.editor.document.getText(editorRange(range)), range }));
  }

  /** The one of a pivot's tokens that the document does not have. */
  #otherToken({ range, desired, undesired }: DocumentPivot): string {
    const right = this.editor.document.getText(editorRange(range)) === desired.text;
    const shown = (text: string) => JSON.stringify(text);
    return right ? `✗ ${shown(undesired.text)}` : `→ ${shown(desired.text)}`;
  }

  #paintLegend(want: Wanted): void {
    const { view, scores, scored, attribution } = this.trace;
    const problem = problemOf(this.trace);
    const { legend } = this.#styles;
    const line = view ? view.prompt.start.line - 1 : -1;
    if (!want.legend || line < 0 || line >= this.editor.document.lineCount) {
      for (const type of legend) this.#set(type, []);
      return;
    }
    const { overlay } = want;
    const { done, total } = scores;
    const at = this.editor.document.lineAt(line).range.end;
    const plain = { color: new ThemeColor('editorCodeLens.foreground') };
    const title = overlay === 'off' ? [] : [after(at, overlay, { ...plain, margin: '0 0.5em 0 2em' })];
    const steps = overlay === 'off' ? [] : swatches(overlay);
    const note = legendNote({ overlay, deviations: want.deviations, done, total, patches: scored, problem });
    const pushes = (side: Side, token: string) => [
      after(at, `toward ${JSON.stringify(token)}`, { ...plain, margin: '0 0.5em 0 1em' }),
      ...pushSwatches(side).map(({ text, color, mark }) =>
        after(at, `\u00a0${text}\u00a0`, { backgroundColor: new ThemeColor(color), textDecoration: mark }),
      ),
    ];
    const parts = [
      ...title,
      ...steps.map(({ text, color }) =>
        after(at, `\u00a0${text}\u00a0`, { backgroundColor: new ThemeColor(color) }),
      ),
      ...(note === '' ? [] : [after(at, note, { ...plain, margin: '0 0 0 0.6em' })]),
      ...(want.attribution && attribution
        ? [
            ...pushes('toward', attribution.desired.text),
            ...pushes('away', attribution.undesired.text),
            // Once for both: the editor does not wrap this line.
            after(at, '%', { ...plain, margin: '0 0 0 0.5em' }),
          ]
        : []),
    ];
    legend.forEach((type, i) => {
      this.#set(type, parts[i] ? [parts[i]] : []);
    });
  }

  #paintDiff(): void {
    const { removed, added, addedHere, divergence, verdict: verdictType } = this.#styles;
    const { diff: shown } = this.trace;
    const { document } = this.editor;
    if (!shown) {
      for (const type of [removed, added, addedHere, divergence, verdictType]) this.#set(type, []);
      return;
    }
    const { diff } = shown;
    const length = (line: number) => (line < document.lineCount ? document.lineAt(line).text.length : 0);
    const layout = layoutDiff(diff.stretches, length, showsHints(document));
    this.#set(removed, layout.removed.map(editorRange));
    const pieces = layout.added.map(({ at, text, whole }) => ({
      ...after(at, text, {
        backgroundColor: new ThemeColor(colors.addedBackground),
        color: new ThemeColor('editor.foreground'),
      }),
      hoverMessage: new MarkdownString().appendCodeblock(whole, 'plaintext'),
    }));
    this.#set(added, pieces);
    this.#set(
      addedHere,
      layout.hints.map(({ at }) => new EditorRange(at.line, at.character, at.line, at.character)),
    );
    const first = diff.firstDivergenceAt;
    this.#set(
      divergence,
      first ? [new EditorRange(first.line, first.character, first.line, first.character)] : [],
    );
    const end = document.lineAt(document.lineCount - 1);
    const line = end.text === '' && end.lineNumber > 0 ? document.lineAt(end.lineNumber - 1) : end;
    const better = diff.to.correct === true && diff.from.correct !== true;
    const worse = diff.to.correct === false && diff.from.correct === true;
    this.#set(verdictType, [
      after(line.range.end, verdict(diff), {
        color: new ThemeColor(
          better ? 'testing.iconPassed' : worse ? 'testing.iconFailed' : 'editorCodeLens.foreground',
        ),
        margin: '0 0 0 1.5em',
        fontWeight: 'bold',
      }),
    ]);
  }

  #set(type: TextEditorDecorationType, options: readonly (EditorRange | DecorationOptions)[]): void {
    const key = fingerprint(options);
    if ((this.#painted.get(type) ?? '') === key) return;
    this.#painted.set(type, key);
    this.editor.setDecorations(type, options as EditorRange[]);
  }

  dispose(): void {
    this.#frame.dispose();
    this.#listening.dispose();
    for (const [type, key] of this.#painted) if (key !== '') this.editor.setDecorations(type, []);
  }
}

/** '' for nothing. */
function fingerprint(options: readonly (EditorRange | DecorationOptions)[]): string {
  return options
    .map((option) => {
      const range = option instanceof EditorRange ? option : option.range;
      const { start, end } = range;
      const place = `${start.line}:${start.character}-${end.line}:${end.character}`;
      return option instanceof EditorRange || !option.renderOptions
        ? place
        : `${place}${JSON.stringify(option.renderOptions)}`;
    })
    .join(' ');
}
