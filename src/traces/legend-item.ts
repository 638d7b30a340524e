import { type Disposable, MarkdownString, StatusBarAlignment, window } from 'vscode';
import { onConfig } from '../config.ts';
import { legendMarkdown } from './legend.ts';
import { problemOf, wanted } from './painter.ts';
import type { TraceEditors } from './trace-editors.ts';

/** The legend in the status bar while a trace is in front: its overlay, and what the colours mean. */
export class LegendItem implements Disposable {
  readonly #editors: TraceEditors;
  readonly #item = window.createStatusBarItem('circuitAmplifier.legend', StatusBarAlignment.Right, 98);
  readonly #disposables: Disposable[];

  constructor(editors: TraceEditors) {
    this.#editors = editors;
    this.#item.name = 'Trace Overlay';
    this.#item.command = 'circuitAmplifier.chooseOverlay';
    this.#disposables = [
      window.onDidChangeActiveTextEditor(() => this.#tell()),
      editors.onDidChange((trace) => {
        if (trace === editors.active?.trace) this.#tell();
      }),
      onConfig(['overlay.kind', 'overlay.deviations'], () => this.#tell()),
    ];
    this.#tell();
  }

  #tell(): void {
    const trace = this.#editors.active?.trace;
    if (!trace) {
      this.#item.hide();
      return;
    }
    const { overlay, deviations } = wanted();
    const { done, total } = trace.scores;
    const reason = problemOf(trace);
    const progress = done < total ? ` ${Math.floor((100 * done) / total)} %` : '';
    const problem = reason === null ? '' : ' $(warning)';
    const name = overlay === 'off' ? 'no overlay' : overlay;
    this.#item.text = `$(symbol-color) ${name}${progress}${problem}`;
    const tooltip = new MarkdownString(
      legendMarkdown({ overlay, deviations, done, total, patches: trace.scored, problem: reason }),
      true,
    );
    tooltip.supportHtml = true;
    this.#item.tooltip = tooltip;
    const failure = reason === null ? '' : ` ${reason}`;
    this.#item.accessibilityInformation = {
      label: `Trace overlay: ${name}.${failure} Choose another.`,
      role: 'button',
    };
    this.#item.show();
  }

  dispose(): void {
    this.#item.dispose();
    for (const disposable of this.#disposables) disposable.dispose();
  }
}
