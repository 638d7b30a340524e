import { commands, type Disposable, ViewColumn, type WebviewPanel, window } from 'vscode';
import type { ShownPivot } from '../../server/protocol/panel.ts';
import type { RunRow } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { folderOf, pickRun } from '../commands/pick.ts';
import { type PanelCommand, views } from '../contributions.ts';
import { failed } from '../notify.ts';
import { CircuitPanel, type PanelTraces, same } from './circuit-panel.ts';
import { meantRun } from './meant-run.ts';

/** The circuit panels, one for a run. */
export interface Panels extends Disposable {
  /** Some panel is in view. */
  readonly visible: boolean;
  /** Opens a run's panel, or brings it to the front, and a component into view. */
  reveal(run: string, component: number | null): void;
  /** Shows the pivot under the cursor in the panel of its run, or in all where it is of none; the others show none. */
  showPivot(of: { run: string | null; pivot: ShownPivot | null }): void;
}

/** Circuit panels: the command that opens one, and those of before a reload of the window. */
export function registerPanel(app: App, traces: PanelTraces): Panels {
  const open = new Map<string, CircuitPanel>();

  const show = (panel: WebviewPanel, run: string): CircuitPanel => {
    const made = new CircuitPanel(app, traces, panel, run, () => open.delete(run));
    open.set(run, made);
    return made;
  };
  const reveal = (run: string, component: number | null) => {
    const column = window.activeTextEditor ? ViewColumn.Beside : ViewColumn.Active;
    const panel = open.get(run) ?? show(window.createWebviewPanel(views.circuit, 'Circuit', column), run);
    panel.reveal(component);
  };

  const handlers: Record<PanelCommand, (given: unknown) => Promise<void>> = {
    'circuitAmplifier.openCircuit': async (given) => {
      const component = (given as { component?: unknown } | null | undefined)?.component;
      const { runs } = await app.catalogue.list();
      const meant = meantRun(runs, folderOf(given), traces.run());
      const suits = ({ files }: RunRow) => files.pairs !== null;
      const { folder } = meant ?? (await pickRun(app, given, 'Circuit of which run?', suits));
      reveal(folder, typeof component === 'number' ? component : null);
    },
  };
  const subscriptions: Disposable[] = [
    ...Object.entries(handlers).map(([id, handler]) =>
      commands.registerCommand(id, (given: unknown) =>
        handler(given).catch(failed('The circuit could not be opened')),
      ),
    ),
    window.registerWebviewPanelSerializer(views.circuit, {
      // The page keeps the run beside what it shows; without one there is nothing to show again.
      deserializeWebviewPanel: async (panel, state: unknown) => {
        const run = (state as { run?: unknown } | null | undefined)?.run;
        if (typeof run === 'string' && !open.has(run)) show(panel, run);
        else panel.dispose();
      },
    }),
  ];

  return {
    get visible() {
      return [...open.values()].some((panel) => panel.visible);
    },
    reveal,
    showPivot({ run, pivot }) {
      for (const panel of open.values()) {
        panel.showPivot(run === null || same(panel.run, run) ? pivot : null);
      }
    },
    dispose() {
      for (const subscription of subscriptions) subscription.dispose();
    },
  };
}
