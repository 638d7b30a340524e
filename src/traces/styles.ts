import {
  ColorThemeKind,
  DecorationRangeBehavior,
  type DecorationRenderOptions,
  type Disposable,
  OverviewRulerLane,
  type TextEditorDecorationType,
  ThemeColor,
  Uri,
  window,
} from 'vscode';
import type { DocumentPivot } from '../../server/protocol/traces.ts';
import { colors } from '../contributions.ts';
import { attributionLimits, heatLevels, pushMarks, type Side } from './heat.ts';

const color = (id: string) => new ThemeColor(id);

export const isHighContrast = (): boolean =>
  window.activeColorTheme.kind === ColorThemeKind.HighContrast ||
  window.activeColorTheme.kind === ColorThemeKind.HighContrastLight;

/** Lines under the text, weakest first: in high contrast buckets differ in more than colour. */
const lines = ['dotted', 'dashed', 'solid', 'double', 'double'] as const;
const widths = ['1px', '1px', '1px', '3px', '3px'] as const;

const arrow = (stroke: string) =>
  Uri.parse(
    `data:image/svg+xml;utf8,${encodeURIComponent(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="${stroke}" stroke-width="1.5"><path d="M2 8h4l6-4.5M6 8l6 4.5M9.5 3h3v3M9.5 13h3v-3"/></svg>`,
    )}`,
  );

/** Name, buckets and note of a heat; name and buckets of either side of an attribution, and their unit. */
const LEGEND_PARTS = heatLevels + 2 + 2 * (attributionLimits.length + 1) + 1;

/** Every decoration type of trace editors; made when the first one is opened, made again when contrast changes. */
export class Styles implements Disposable {
  readonly heat: readonly TextEditorDecorationType[];
  readonly toward: readonly TextEditorDecorationType[];
  readonly away: readonly TextEditorDecorationType[];
  readonly pivots: Readonly<Record<DocumentPivot['status'], TextEditorDecorationType>>;
  readonly pivotAtCursor: TextEditorDecorationType;
  readonly deviation: TextEditorDecorationType;
  /** Signs in place of line breaks. */
  readonly signs: TextEditorDecorationType;
  /** One for each part of the legend: the editor puts those at one place into the order of their keys. */
  readonly legend: readonly TextEditorDecorationType[];
  readonly removed: TextEditorDecorationType;
  readonly added: TextEditorDecorationType;
  /** Where the editor shows an addition as an inlay hint. */
  readonly addedHere: TextEditorDecorationType;
  readonly divergence: TextEditorDecorationType;
  readonly verdict: TextEditorDecorationType;
  readonly #all: TextEditorDecorationType[] = [];

  constructor() {
    const strong = isHighContrast();
    // In high contrast the weaker buckets have no background, which would take contrast from the text.
    const background = (id: string, level: number): DecorationRenderOptions =>
      strong && level <= 2 ? {} : { backgroundColor: color(id), ...(strong ? {} : { borderRadius: '2px' }) };
    this.heat = colors.surprisal.map((id, i) =>
      this.#type({
        ...background(id, i),
        ...(strong && {
          borderStyle: lines[i]!,
          borderWidth: `0 0 ${widths[i]} 0`,
          borderColor: color('editorWarning.foreground'),
        }),
      }),
    );
    // Decorations of the text leave the borders to deviations and pivots, which the same tokens may have.
    const push = (side: Side) =>
      colors[side].map((id, i) => this.#type({ ...background(id, i), textDecoration: pushMarks[side][i]! }));
    this.toward = push('toward');
    this.away = push('away');
    const pivot = (borderStyle: string, over: DecorationRenderOptions = {}) =>
      this.#type({
        borderStyle,
        borderWidth: strong ? '2px' : '1px',
        borderColor: color(colors.pivotBorder),
        borderRadius: '3px',
        overviewRulerColor: color(colors.pivotBorder),
        overviewRulerLane: OverviewRulerLane.Center,
        ...over,
      });
    this.pivots = {
      auto: pivot('dashed', { backgroundColor: color(colors.pivotBackground) }),
      accepted: pivot('solid', { backgroundColor: color(colors.pivotBackground) }),
      edited: pivot('solid', { backgroundColor: color(colors.pivotBackground), fontWeight: 'bold' }),
      rejected: pivot('dotted', { opacity: '0.7', overviewRulerColor: color('disabledForeground') }),
    };
    this.pivotAtCursor = this.#type({
      outlineStyle: 'solid',
      outlineWidth: '1px',
      outlineColor: color(colors.pivotBorder),
    });
    this.deviation = this.#type({
      borderStyle: 'dotted',
      borderWidth: strong ? '0 0 3px 0' : '0 0 2px 0',
      borderColor: color(colors.deviation),
    });
    this.signs = this.#type({});
    this.legend = Array.from({ length: LEGEND_PARTS }, () => this.#type({})).sort((a, b) =>
      a.key < b.key ? -1 : 1,
    );
    this.removed = this.#type({
      backgroundColor: color(colors.removedBackground),
      textDecoration: 'line-through',
      ...(strong ? { borderStyle: 'dashed', borderWidth: '1px', borderColor: color('contrastBorder') } : {}),
    });
    this.added = this.#type({});
    this.addedHere = this.#type({
      borderStyle: 'solid',
      borderWidth: '0 0 0 2px',
      borderColor: color('diffEditorOverview.insertedForeground'),
    });
    this.divergence = this.#type({
      borderStyle: 'solid',
      borderWidth: '0 0 0 2px',
      borderColor: color(colors.divergence),
      overviewRulerColor: color(colors.divergence),
      overviewRulerLane: OverviewRulerLane.Left,
      gutterIconSize: 'contain',
      light: { gutterIconPath: arrow('#895503') },
      dark: { gutterIconPath: arrow('#e2c08d') },
    });
    this.verdict = this.#type({});
  }

  #type(options: DecorationRenderOptions): TextEditorDecorationType {
    const type = window.createTextEditorDecorationType({
      rangeBehavior: DecorationRangeBehavior.ClosedClosed,
      ...options,
    });
    this.#all.push(type);
    return type;
  }

  /** Takes all of them off every editor. */
  dispose(): void {
    for (const type of this.#all) type.dispose();
  }
}
