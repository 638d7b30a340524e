import { commands, type Event, type ExtensionContext, Uri, type ViewColumn, window, workspace } from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import { config, setConfig } from '../config.ts';
import { setContext } from '../context.ts';
import { type TraceCommand, traceCommands } from '../contributions.ts';
import { failed, info, warn } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { AddedHints } from './added-hints.ts';
import { annotationCommands } from './annotation-commands.ts';
import { Annotations, NotHere, type Target } from './annotations.ts';
import { Branches } from './branches.ts';
import { CursorAttribution, type PivotAttribution } from './cursor.ts';
import { verdict } from './diff-layout.ts';
import { Explain, type Reveal } from './explain.ts';
import { Flips } from './flips.ts';
import { type Heat, overlays, scales } from './heat.ts';
import { LegendItem } from './legend-item.ts';
import { OutputDiffs } from './output-diffs.ts';
import { OutputDocuments } from './output-documents.ts';
import { openAt, stepPivot } from './pivot-steps.ts';
import { TraceEditors } from './trace-editors.ts';

export interface TracesParts {
  context: ExtensionContext;
  server: Server;
  /** The patches that overlays, attribution, branches and diffs use. */
  activePatches: { readonly refs: PatchRef[]; readonly onChange: Event<unknown> };
  /** Whether the circuit panel shows the components of the pivot at the cursor; they cost a pass of their own. */
  panelOpen?: () => boolean;
}

/** What other parts of the extension, and tests, see of the traces in the editor. */
export interface Traces {
  readonly onPivotAttribution: Event<PivotAttribution>;
  /** Tells of the pivot under the cursor again: a panel has come into view. */
  showPivot(): void;
  /** The user followed a token to a component: the panel shows it. */
  readonly onRevealComponent: Event<Reveal>;
  /** Shows a trace's document with the cursor on the pivot at a token, or nearest to it. */
  openAt(file: string, token: number, column?: ViewColumn): Promise<void>;
  readonly flips: Pick<Flips, 'show' | 'open' | 'step'>;
  /** Of the trace in front, and how long things took, in milliseconds; null without one. */
  state(): {
    uri: string;
    version: number;
    overlay: string;
    scored: number;
    total: number;
    problem: string | null;
    /** Run folder that the trace is from. */
    run: string | null;
    pivots: number;
    attribution: number | null;
    /** What its editor was last given to show of them. */
    painted: { scored: number; attribution: number | null } | null;
    verdict: string | null;
    timing: {
      first: number | null;
      complete: number | null;
      attribution: number | null;
      longestPaint: number;
    };
  } | null;
}

/** Ids of the same commands in CodeLenses and code actions, whose argument names the document and the token. */
const lensCommands = {
  'circuitAmplifier.pivot.accept': 'circuitAmplifier.acceptPivot',
  'circuitAmplifier.pivot.reject': 'circuitAmplifier.rejectPivot',
  'circuitAmplifier.pivot.remove': 'circuitAmplifier.removePivot',
  'circuitAmplifier.pivot.swap': 'circuitAmplifier.swapPivot',
  'circuitAmplifier.pivot.move': 'circuitAmplifier.movePivot',
  'circuitAmplifier.pivot.desired': 'circuitAmplifier.setDesired',
  'circuitAmplifier.pivot.branches': 'circuitAmplifier.showBranches',
  'circuitAmplifier.pivot.mark': 'circuitAmplifier.markPivot',
  'circuitAmplifier.trace.exclude': 'circuitAmplifier.excludeTrace',
} as const satisfies Record<string, TraceCommand>;

const LAST_OVERLAY = 'lastOverlay';

/** Overlays, annotations, diffs and flips of trace documents. */
export function registerTraces({ context, server, activePatches, panelOpen }: TracesParts): Traces {
  const patches = () => activePatches.refs;
  const editors = new TraceEditors(server, patches);
  const cursor = new CursorAttribution(server, editors, patches, panelOpen ?? (() => false));
  const outputs = new OutputDocuments();
  const annotations = new Annotations(server, editors);
  const branches = new Branches(server, annotations, outputs, patches);
  const diffs = new OutputDiffs(server, editors, outputs, patches);
  const flips = new Flips(server, editors, diffs);
  const explain = new Explain(server, editors, annotations, patches);
  const edits = annotationCommands(annotations);

  const handlers: Record<TraceCommand, (given?: Target & Record<string, unknown>) => unknown> = {
    'circuitAmplifier.chooseOverlay': () => chooseOverlay(context),
    'circuitAmplifier.toggleOverlay': () => toggleOverlay(context),
    'circuitAmplifier.nextPivot': () => stepPivot(editors, 1),
    'circuitAmplifier.previousPivot': () => stepPivot(editors, -1),
    'circuitAmplifier.markPivot': edits.mark,
    'circuitAmplifier.acceptPivot': edits.accept,
    'circuitAmplifier.rejectPivot': edits.reject,
    'circuitAmplifier.removePivot': edits.remove,
    'circuitAmplifier.movePivotLeft': edits.moveLeft,
    'circuitAmplifier.movePivotRight': edits.moveRight,
    'circuitAmplifier.movePivot': edits.move,
    'circuitAmplifier.swapPivot': edits.swap,
    'circuitAmplifier.setDesired': edits.setDesired,
    'circuitAmplifier.excludeTrace': edits.exclude,
    'circuitAmplifier.showBranches': (target) => branches.show(target),
    'circuitAmplifier.explainToken': (target) => explain.start(target),
    'circuitAmplifier.showDiff': async () => {
      // From the walkthrough there may be no trace yet: a flip is what a diff is best seen on.
      const shown = (await diffs.present()) ?? (editors.active ? null : await flips.first());
      if (shown) setContext('circuitAmplifier.diffSeen', true);
    },
    'circuitAmplifier.toggleDiff': () => diffs.toggle(),
    'circuitAmplifier.chooseDiff': () => diffs.choose(),
    'circuitAmplifier.openDiff': () => diffs.open(),
    'circuitAmplifier.clearDiff': () => diffs.clear(),
    'circuitAmplifier.showFlips': (given) => flips.show(given),
    'circuitAmplifier.nextFlip': () => flips.step(1),
    'circuitAmplifier.previousFlip': () => flips.step(-1),
  };

  const guarded = (id: TraceCommand) => async (given: unknown) => {
    if (traceCommands[id] === 'trust' && !workspace.isTrusted) {
      const run = () => commands.executeCommand('workbench.trust.manage');
      warn('Models are loaded only in a trusted workspace.', { title: 'Manage Trust', run });
      return undefined;
    }
    try {
      return await handlers[id](targetOf(given));
    } catch (reason) {
      if (reason instanceof NotHere) info(reason.message);
      else failed(titleOf(context, id))(reason);
      return undefined;
    }
  };

  context.subscriptions.push(
    editors,
    cursor,
    outputs,
    diffs,
    flips,
    explain,
    new LegendItem(editors),
    new AddedHints(editors),
    activePatches.onChange(() => {
      editors.refresh();
      cursor.refresh();
    }),
    ...(Object.keys(handlers) as TraceCommand[]).map((id) => commands.registerCommand(id, guarded(id))),
    ...Object.entries(lensCommands).map(([id, same]) => commands.registerCommand(id, guarded(same))),
  );

  return {
    onPivotAttribution: cursor.onDidShow,
    showPivot: () => cursor.refresh(),
    onRevealComponent: explain.onReveal,
    openAt: (file, token, column) => openAt(editors, Uri.file(file), token, column),
    flips,
    state: () => {
      const { active } = editors;
      if (!active) return null;
      const { trace, editor } = active;
      return {
        ...trace.of,
        overlay: config.overlayKind(),
        scored: trace.scores.done,
        total: trace.scores.total,
        problem: trace.problem,
        run: trace.view?.run ?? null,
        pivots: trace.view?.pivots.length ?? 0,
        attribution: trace.attribution?.token ?? null,
        painted: editors.painted(editor),
        verdict: trace.diff && verdict(trace.diff.diff),
        timing: { ...trace.timing, attribution: cursor.latency, longestPaint: editors.longestPaint },
      };
    },
  };
}

/** The argument of a CodeLens or a test; the editor's title menu gives a resource, which is the active document. */
function targetOf(given: unknown): (Target & Record<string, unknown>) | undefined {
  if (typeof given === 'string') return { folder: given };
  if (typeof given !== 'object' || given === null || 'scheme' in given) return undefined;
  return given as Target & Record<string, unknown>;
}

async function chooseOverlay(context: ExtensionContext): Promise<void> {
  const current = config.overlayKind();
  const items = overlays.map((overlay) => ({
    label: overlay === 'off' ? 'Off' : scales[overlay].title,
    description: overlay === current ? 'now' : '',
    overlay,
  }));
  const picked = await window.showQuickPick(items, { title: 'What colours the tokens of a trace?' });
  if (!picked) return;
  if (picked.overlay !== 'off') await context.globalState.update(LAST_OVERLAY, picked.overlay);
  await setConfig('overlay.kind', picked.overlay);
}

async function toggleOverlay(context: ExtensionContext): Promise<void> {
  const current = config.overlayKind();
  if (current !== 'off') await context.globalState.update(LAST_OVERLAY, current);
  const last = context.globalState.get<Heat>(LAST_OVERLAY, 'surprisal');
  await setConfig('overlay.kind', current === 'off' ? last : 'off');
}

function titleOf({ extension }: ExtensionContext, id: string): string {
  const contributed: { command: string; title: string }[] = extension.packageJSON.contributes.commands;
  return contributed.find(({ command }) => command === id)?.title ?? id;
}
