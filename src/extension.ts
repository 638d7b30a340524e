import type { ExtensionContext } from 'vscode';
import type { App } from './app.ts';
import { began } from './began.ts';
import { greetDemo } from './commands/demo.ts';
import { registerCommands } from './commands/index.ts';
import { tellEnd } from './jobs/ended.ts';
import { Jobs } from './jobs/jobs.ts';
import { showProgress } from './jobs/progress.ts';
import { showStatus } from './jobs/status.ts';
import { disposeLog, failed, shown } from './notify.ts';
import { type Panels, registerPanel } from './panel/index.ts';
import { ActivePatches } from './patches/active.ts';
import type { EngineClient } from './server/client.ts';
import { createEngine } from './server/engine.ts';
import { registerTraces, type Traces } from './traces/index.ts';
import { Catalogue } from './views/catalogue.ts';
import { PatchesView } from './views/patches.ts';
import { RunsView } from './views/runs.ts';
import { TracesView } from './views/traces.ts';

/** What other extensions, and tests in the extension host, see. */
export interface Api extends Omit<App, 'context'> {
  traces: Traces;
  panels: Panels;
  /** Messages that were shown last, oldest first. */
  messages: readonly string[];
  /** Milliseconds from the first statement of the extension's code to the end of its activation. */
  activation: number;
}

let running: EngineClient | undefined;

/** Wires the parts. The engine starts with the first thing that needs it. */
export function activate(context: ExtensionContext): Api {
  const engine = createEngine(context);
  running = engine;
  const jobs = new Jobs(engine, context.workspaceState);
  const catalogue = new Catalogue(engine);
  const patches = new ActivePatches(context.workspaceState);
  const runsView = new RunsView(catalogue, jobs);
  const tracesView = new TracesView(engine, catalogue, context.workspaceState);
  const patchesView = new PatchesView(engine, patches);
  const app: App = { context, engine, jobs, catalogue, patches, runsView, tracesView, patchesView };
  context.subscriptions.push(
    { dispose: disposeLog },
    jobs,
    catalogue,
    patches,
    runsView,
    tracesView,
    patchesView,
    showStatus(engine, jobs),
    showProgress(engine, jobs, (job) => tellEnd(engine, job)),
    ...registerCommands(app),
  );
  const panels = registerPanel(app, {
    run: () => traces.state()?.run ?? null,
    showPivot: () => traces.showPivot(),
    openAt: (file, token, column) => traces.openAt(file, token, column),
  });
  const panelOpen = () => panels.visible;
  const traces: Traces = registerTraces({ context, server: engine, activePatches: patches, panelOpen });
  context.subscriptions.push(
    panels,
    traces.onPivotAttribution((pivot) => panels.showPivot(pivot)),
    traces.onRevealComponent(({ run, component }) => panels.reveal(run, component)),
  );
  jobs.reattach().catch(failed('The jobs could not be listed'));
  greetDemo(context).catch(failed('The demo could not be opened'));
  return {
    engine,
    jobs,
    catalogue,
    patches,
    runsView,
    tracesView,
    patchesView,
    traces,
    panels,
    messages: shown,
    activation: performance.now() - began,
  };
}

/** The engine's process ends with the window; jobs are processes of their own and go on. */
export const deactivate = (): Promise<void> | undefined => running?.dispose();
