import { randomBytes } from 'node:crypto';
import path from 'node:path';
import {
  CancellationError,
  CancellationTokenSource,
  commands,
  type Disposable,
  Uri,
  ViewColumn,
  type WebviewPanel,
  window,
  workspace,
} from 'vscode';
import * as circuit from '../../server/protocol/circuit.ts';
import * as jobs from '../../server/protocol/jobs.ts';
import {
  type FromPanel,
  type ShownPivot,
  type ToPanel,
  trainingSettings,
} from '../../server/protocol/panel.ts';
import { checkFromPanel } from '../../server/protocol/panel-schema.ts';
import * as runs from '../../server/protocol/runs.ts';
import * as traces from '../../server/protocol/traces.ts';
import type { App } from '../app.ts';
import { isRunning } from '../jobs/describe.ts';
import { brief, log, messageOf } from '../notify.ts';
import { Batched } from '../views/batched.ts';
import { onlyGrew } from '../views/changes.ts';
import { panelHtml } from './html.ts';
import { train } from './training.ts';

/** A burst of files that a stage writes is one reading of the run. */
const SETTLE_MS = 300;

export const same = (a: string, b: string): boolean => path.normalize(a) === path.normalize(b);

/** What a panel needs of the traces in the editor. */
export interface PanelTraces {
  /** Run folder that the trace in front is from; null. */
  run(): string | null;
  /** Has the pivot under the cursor shown anew: a panel has come into view. */
  showPivot(): void;
  /** Shows a trace's document with the cursor on the pivot at a token, or nearest to it. */
  openAt(file: string, token: number, column: ViewColumn): Promise<void>;
}

/** The circuit of one run in a webview: what the page asks for goes to the engine's process, what happens there to the page. */
export class CircuitPanel {
  readonly run: string;
  readonly #app: App;
  readonly #traces: PanelTraces;
  readonly #panel: WebviewPanel;
  readonly #subscriptions: Disposable[] = [];
  /** The page listens; what is sent before that is lost. */
  #ready = false;
  #experiment: string | null = null;
  /** The run whose curves and report the page has; null before any. */
  #reported: string | null = null;
  /** Sent once the page shows the circuit. */
  #component: number | null = null;
  #purpose: CancellationTokenSource | null = null;
  #attribution: CancellationTokenSource | null = null;

  constructor(app: App, traces: PanelTraces, panel: WebviewPanel, run: string, closed: () => void) {
    this.run = run;
    this.#traces = traces;
    this.#app = app;
    this.#panel = panel;
    const { webview } = panel;
    const dist = Uri.joinPath(app.context.extensionUri, 'dist');
    panel.title = `Circuit of ${path.basename(run)}`;
    panel.iconPath = Uri.joinPath(app.context.extensionUri, 'media', 'icons', 'activity.svg');
    webview.options = { enableScripts: true, localResourceRoots: [dist] };
    const stale = new Batched<null>(SETTLE_MS, () => void this.#load().catch(this.#tell));
    const { engine } = app;
    this.#subscriptions.push(
      stale,
      webview.onDidReceiveMessage((message: unknown) => this.#receive(message)),
      // Training steps and the mask that is learned are told as they come.
      engine.onNotification(runs.changed, ({ folder, files }) => {
        if (onlyGrew(files)) return;
        if (same(folder, run)) stale.add(null);
        else if (same(folder, this.#trained())) void this.#loadReport().catch(this.#tell);
      }),
      engine.onNotification(jobs.mask, ({ id: _, run: of, ...mask }) => {
        if (same(of, run)) this.#post({ type: 'mask', ...mask });
      }),
      engine.onNotification(jobs.steps, ({ run: of, from, steps }) => {
        if (same(of, this.#trained())) this.#post({ type: 'steps', from, steps });
      }),
      engine.onRestart(() => stale.add(null)),
      app.jobs.onChange((job) => {
        if (this.#job()?.id === job.id) this.#post({ type: 'job', job });
      }),
      app.jobs.onList(() => {
        this.#post({ type: 'job', job: this.#job() });
        // After a reload the jobs are known later than the run: the curves are to be those of the job beside them.
        if (this.#ready && this.#reported !== null && !same(this.#reported, this.#trained()))
          void this.#loadReport().catch(this.#tell);
      }),
      workspace.onDidGrantWorkspaceTrust(() => this.#post({ type: 'trusted', trusted: true })),
      panel.onDidDispose(() => {
        this.#purpose?.cancel();
        this.#attribution?.cancel();
        for (const subscription of this.#subscriptions) subscription.dispose();
        closed();
      }),
    );
    webview.html = panelHtml({
      source: webview.cspSource,
      script: String(webview.asWebviewUri(Uri.joinPath(dist, 'panel.js'))),
      style: String(webview.asWebviewUri(Uri.joinPath(dist, 'panel-style.css'))),
      nonce: randomBytes(16).toString('hex'),
    });
  }

  get visible(): boolean {
    return this.#panel.visible;
  }

  /** Brings the panel to the front and a component into view. */
  reveal(component: number | null): void {
    this.#panel.reveal();
    this.#component = component;
    if (this.#ready) this.#showComponent();
  }

  /** Null: there is none under the cursor. */
  showPivot(pivot: ShownPivot | null): void {
    this.#post({ type: 'pivot', pivot });
  }

  /** The newest job on this run or on its pairs. */
  #job(): jobs.JobState | null {
    const own = this.#app.jobs.all.filter(
      ({ run, spec }) => same(run, this.run) || (spec.from !== null && same(spec.from, this.run)),
    );
    return own.find(isRunning) ?? own[0] ?? null;
  }

  /** The run whose training and report are shown: the one that was trained from here last, or this one. */
  #trained(): string {
    return this.#job()?.run ?? this.run;
  }

  #post(message: ToPanel): void {
    if (this.#ready) void this.#panel.webview.postMessage(message);
  }

  /** Cancelling is no failure; anything else is told in the page and in the log. */
  readonly #tell = (reason: unknown): void => {
    if (reason instanceof CancellationError) return;
    log().warn(`Circuit panel: ${messageOf(reason)}`);
    this.#post({ type: 'notice', level: 'error', text: messageOf(reason) });
  };

  async #load(): Promise<void> {
    const { engine } = this.#app;
    const [view, saved, { choices, limits }] = await Promise.all([
      engine.request(circuit.open, { run: this.run }),
      engine.request(circuit.selections, { run: this.run }),
      engine.request(trainingSettings, { run: this.run }),
    ]);
    this.#experiment = view.experiment;
    const trusted = workspace.isTrusted;
    // Under the name that the panel was opened by: the page keeps its state with it.
    const shown = { ...view, run: this.run };
    this.#post({ type: 'circuit', view: shown, selections: saved.selections, choices, limits, trusted });
    for (const problem of saved.problems) this.#post({ type: 'notice', level: 'error', text: problem });
    this.#showComponent();
    this.#post({ type: 'job', job: this.#job() });
    await this.#loadReport();
  }

  async #loadReport(): Promise<void> {
    const run = this.#trained();
    this.#reported = run;
    const { engine } = this.#app;
    const [steps, report] = await Promise.all([
      engine.request(jobs.curve, { run }),
      engine.request(runs.report, { folder: run }),
    ]);
    this.#post({ type: 'steps', from: 0, steps });
    this.#post({ type: 'report', report });
  }

  #showComponent(): void {
    if (this.#component !== null) this.#post({ type: 'focus', component: this.#component });
    this.#component = null;
  }

  #receive(value: unknown): void {
    const checked = checkFromPanel(value);
    if ('fault' in checked) log().warn(`The circuit panel sent ${checked.fault}; it was ignored.`);
    else this.#answer(checked.message).catch(this.#tell);
  }

  async #answer(message: FromPanel): Promise<unknown> {
    const { engine } = this.#app;
    const { run } = this;
    switch (message.type) {
      case 'ready':
        this.#ready = true;
        this.#traces.showPivot();
        return this.#load();
      case 'attribute':
        return this.#attribute();
      case 'stopAttribute':
        return this.#attribution?.cancel();
      case 'purpose': {
        this.#purpose?.cancel();
        const source = new CancellationTokenSource();
        this.#purpose = source;
        const { component } = message;
        const purpose = await engine.request(circuit.purpose, { run, component }, { token: source.token });
        if (this.#purpose === source) this.#post({ type: 'purpose', purpose });
        return;
      }
      case 'openPair':
        return this.#openPair(message);
      case 'train': {
        const { selected, choices } = message;
        const out = await train(this.#app, run, this.#experiment, selected, choices);
        this.#post({ type: 'steps', from: 0, steps: [] });
        this.#post({ type: 'report', report: null });
        this.#post({ type: 'notice', level: 'info', text: `Training into ${path.basename(out)}.` });
        return this.#loadSelections();
      }
      case 'endTraining':
        return engine.request(jobs.endTraining, { id: message.job });
      case 'cancel':
        return engine.request(jobs.cancel, { id: message.job });
      case 'saveSelection':
        return this.#save(message.selected);
      case 'removeSelection':
        await engine.request(circuit.removeSelection, { run, name: message.name });
        return this.#loadSelections();
      case 'openReport':
        return commands.executeCommand('circuitAmplifier.showReport', { folder: this.#trained() });
      case 'openFlips':
        return commands.executeCommand('circuitAmplifier.showFlips', { folder: this.#trained() });
      case 'failed':
        return log().error(`Circuit panel: ${message.message}`);
    }
  }

  async #attribute(): Promise<void> {
    this.#attribution?.cancel();
    const source = new CancellationTokenSource();
    this.#attribution = source;
    const onPart = (part: { done: number; total: number }) => this.#post({ type: 'attributing', ...part });
    try {
      const { token } = source;
      const result = await this.#app.engine.request(circuit.attribute, { run: this.run }, { token, onPart });
      this.#post({ type: 'attribution', ...result });
    } catch (reason) {
      if (!(reason instanceof CancellationError)) throw reason;
      // One that a newer one has replaced is not over for the page.
      if (this.#attribution === source) this.#post({ type: 'attributionStopped' });
    }
  }

  /** Opens the document of a pair's trace beside the panel, at its pivot. */
  async #openPair({ pair, trace, token }: Extract<FromPanel, { type: 'openPair' }>): Promise<void> {
    if (trace === null) throw new Error(`The pair ${pair} does not come from a trace of this run.`);
    const { engine } = this.#app;
    const { file } = await engine.request(traces.open, { run: this.run, trace });
    const column = this.#panel.viewColumn === ViewColumn.One ? ViewColumn.Beside : ViewColumn.One;
    await this.#traces.openAt(file, token, column);
  }

  async #save(selected: number[]): Promise<void> {
    const name = await window.showInputBox({
      title: `Save ${selected.length} components`,
      prompt: `Kept in ${path.basename(this.run)}/selections`,
      value: 'by hand',
      validateInput: (text) =>
        /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,79}$/u.test(text) ? null : 'Letters, digits, spaces, . - and _',
      ignoreFocusOut: true,
    });
    if (name === undefined) return;
    await this.#app.engine.request(circuit.saveSelection, { run: this.run, name, selected });
    await this.#loadSelections();
    brief(`Saved the selection ${name}`);
  }

  async #loadSelections(): Promise<void> {
    const { selections } = await this.#app.engine.request(circuit.selections, { run: this.run });
    this.#post({ type: 'selections', selections });
  }
}
