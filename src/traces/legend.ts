import type { PatchRef } from '../../server/protocol/message.ts';
import { colors } from '../contributions.ts';
import { attributionLimits, type Heat, type Overlay, pushMarks, type Side, scales } from './heat.ts';

export interface LegendState {
  overlay: Overlay;
  deviations: boolean;
  done: number;
  total: number;
  patches: readonly PatchRef[];
  /** Why there are no scores; null where there are, or will be. */
  problem: string | null;
}

/** How a limit of a scale is written. */
function limitText(heat: Heat, limit: number): string {
  const { unit } = scales[heat];
  return unit === '%' ? `${Math.round(limit * 100)} %` : `${limit}`;
}

/** The swatches of a heat: text and colour, weakest first. */
export const swatches = (heat: Heat): { text: string; color: string }[] =>
  scales[heat].limits.map((limit, i) => ({
    text: `${scales[heat].rising ? '≥' : '≤'} ${limitText(heat, limit)}`,
    color: colors.surprisal[i]!,
  }));

/** The swatches of an attribution's side: percentage of its scale, colour and mark, weakest first. */
export const pushSwatches = (side: Side): { text: string; color: string; mark: string }[] =>
  attributionLimits.map((limit, i) => ({
    text: `${limit * 100}`,
    color: colors[side][i]!,
    mark: pushMarks[side][i]!,
  }));

const fileName = (file: string) => file.split(/[\\/]/).at(-1)!;

/** `base`, or the patches and their scales in order. */
export const stateName = (patches: readonly PatchRef[]): string =>
  patches.length === 0
    ? 'base'
    : patches.map(({ file, scale }) => `${fileName(file)}${scale === 1 ? '' : ` × ${scale}`}`).join(' + ');

/** What follows the swatches in the document: unit, progress, and the state of the model. */
export function legendNote({ overlay, done, total, patches, problem }: LegendState): string {
  if (problem) return problem;
  const unit = overlay === 'off' ? '' : scales[overlay].unit;
  const parts = [
    unit === '%' ? '' : unit,
    total > 0 && done < total ? `${done} of ${total} tokens` : '',
    patches.length > 0 ? stateName(patches) : '',
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

const cssVariable = (color: string) => `var(--vscode-${color.replaceAll('.', '-')})`;
const swatch = (color: string, text: string) =>
  `<span style="background-color:${cssVariable(color)};">&nbsp;${text.replaceAll(' ', '&nbsp;')}&nbsp;</span>`;

/** The legend as Markdown with HTML, for the status bar. */
export function legendMarkdown(state: LegendState): string {
  const { overlay, deviations } = state;
  const lines: string[] = [];
  if (overlay !== 'off') {
    const { title, unit } = scales[overlay];
    lines.push(`**${title}**${unit === 'nats' ? ` (${unit})` : ''} of each token`);
    lines.push(
      swatches(overlay)
        .map(({ color, text }) => swatch(color, text))
        .join(''),
    );
  } else lines.push('**No overlay**');
  if (deviations) lines.push('Dotted underline: greedy decoding would have chosen another token.');
  lines.push('Box: pivot. Dashed: located; solid: accepted or edited; dotted: rejected.');
  const pushes = (side: Side) =>
    pushSwatches(side)
      .map(({ color, text }) => swatch(color, text))
      .join('');
  lines.push(
    `On a pivot, earlier tokens by their push: ${pushes('toward')} %, a line below, toward the desired token; ${pushes('away')} %, a line above, toward the undesired one. Lines from dotted to double: shares of what one token in twenty exceeds.`,
  );
  lines.push(`Model: ${stateName(state.patches)}.`);
  if (state.problem) lines.push(state.problem);
  else if (state.done < state.total) lines.push(`${state.done} of ${state.total} tokens scored.`);
  return lines.join('\n\n');
}
