/**
 * Every name that package.json contributes, as types. A test compares the two, so neither is ever stale.
 *
 * A command needs `nothing`, or `trust`: a trusted workspace, because it loads a model or runs a job.
 */
type Need = 'nothing' | 'trust';

/** Registered by commands/. */
export const hostCommands = {
  'circuitAmplifier.run': 'trust',
  'circuitAmplifier.generate': 'trust',
  'circuitAmplifier.localize': 'trust',
  'circuitAmplifier.mask': 'trust',
  'circuitAmplifier.amplify': 'trust',
  'circuitAmplifier.evaluate': 'trust',
  'circuitAmplifier.amplifyAnnotated': 'trust',
  'circuitAmplifier.runControls': 'trust',
  'circuitAmplifier.resume': 'trust',
  'circuitAmplifier.endTraining': 'nothing',
  'circuitAmplifier.cancel': 'nothing',
  'circuitAmplifier.forgetJob': 'nothing',
  'circuitAmplifier.showReport': 'nothing',
  'circuitAmplifier.compareRuns': 'nothing',
  'circuitAmplifier.deleteRun': 'nothing',
  'circuitAmplifier.refreshRuns': 'nothing',
  'circuitAmplifier.showTraces': 'nothing',
  'circuitAmplifier.openTrace': 'nothing',
  'circuitAmplifier.filterTraces': 'nothing',
  'circuitAmplifier.clearTraceFilter': 'nothing',
  'circuitAmplifier.refreshTraces': 'nothing',
  'circuitAmplifier.writeDocuments': 'nothing',
  'circuitAmplifier.applyPatch': 'nothing',
  'circuitAmplifier.removePatch': 'nothing',
  'circuitAmplifier.scalePatch': 'nothing',
  'circuitAmplifier.movePatchUp': 'nothing',
  'circuitAmplifier.movePatchDown': 'nothing',
  'circuitAmplifier.clearPatches': 'nothing',
  'circuitAmplifier.refreshPatches': 'nothing',
  'circuitAmplifier.revertPatch': 'trust',
  'circuitAmplifier.exportCheckpoint': 'trust',
  'circuitAmplifier.exportPatch': 'trust',
  'circuitAmplifier.exportPeft': 'trust',
  'circuitAmplifier.exportPts': 'trust',
  'circuitAmplifier.exportDpo': 'trust',
  'circuitAmplifier.openDemo': 'nothing',
  'circuitAmplifier.openWalkthrough': 'nothing',
  'circuitAmplifier.newExperiment': 'nothing',
  'circuitAmplifier.showDevices': 'trust',
  'circuitAmplifier.engineMenu': 'nothing',
  'circuitAmplifier.restartEngine': 'nothing',
  'circuitAmplifier.showLog': 'nothing',
  'circuitAmplifier.setApiKey': 'nothing',
  'circuitAmplifier.removeApiKey': 'nothing',
} as const satisfies Record<string, Need>;

/** Registered by traces/; the last of each pair of ids that take one is a document's uri or a token index. */
export const traceCommands = {
  'circuitAmplifier.chooseOverlay': 'nothing',
  'circuitAmplifier.toggleOverlay': 'nothing',
  'circuitAmplifier.nextPivot': 'nothing',
  'circuitAmplifier.previousPivot': 'nothing',
  'circuitAmplifier.markPivot': 'nothing',
  'circuitAmplifier.acceptPivot': 'nothing',
  'circuitAmplifier.rejectPivot': 'nothing',
  'circuitAmplifier.removePivot': 'nothing',
  'circuitAmplifier.movePivotLeft': 'nothing',
  'circuitAmplifier.movePivotRight': 'nothing',
  'circuitAmplifier.movePivot': 'nothing',
  'circuitAmplifier.swapPivot': 'nothing',
  'circuitAmplifier.setDesired': 'nothing',
  'circuitAmplifier.excludeTrace': 'nothing',
  'circuitAmplifier.showBranches': 'trust',
  'circuitAmplifier.explainToken': 'trust',
  'circuitAmplifier.showDiff': 'trust',
  'circuitAmplifier.toggleDiff': 'trust',
  'circuitAmplifier.chooseDiff': 'trust',
  'circuitAmplifier.openDiff': 'trust',
  'circuitAmplifier.clearDiff': 'nothing',
  'circuitAmplifier.showFlips': 'nothing',
  'circuitAmplifier.nextFlip': 'nothing',
  'circuitAmplifier.previousFlip': 'nothing',
} as const satisfies Record<string, Need>;

/** Registered by panel/. */
export const panelCommands = {
  'circuitAmplifier.openCircuit': 'nothing',
} as const satisfies Record<string, Need>;

export type HostCommand = keyof typeof hostCommands;
export type TraceCommand = keyof typeof traceCommands;
export type PanelCommand = keyof typeof panelCommands;
export type Command = HostCommand | TraceCommand | PanelCommand;

/** Settings under `circuitAmplifier.` with their defaults. */
export const settings = {
  'engine.node': '',
  'engine.command': [] as string[],
  device: 'auto' as 'auto' | 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml',
  threads: null as number | null,
  lean: false,
  model: '',
  alternatives: 5,
  maxTokens: 512,
  'overlay.kind': 'surprisal' as 'off' | 'surprisal' | 'probability' | 'entropy' | 'rank',
  'overlay.pivots': true,
  'overlay.prompt': false,
  'overlay.deviations': true,
  'overlay.attribution': true,
  'overlay.legend': true,
  'runs.folders': [] as string[],
  'jobs.confirm': true,
  'jobs.background': true,
  'trace.server': 'messages' as 'messages' | 'compact' | 'verbose',
};

export type Setting = keyof typeof settings;

/** Settings that a workspace may not set before it is trusted: they name a program, a model to load or folders to look into. */
export const restrictedSettings = [
  'engine.node',
  'engine.command',
  'model',
  'runs.folders',
] as const satisfies Setting[];

export const views = {
  container: 'circuitAmplifier',
  runs: 'circuitAmplifier.runs',
  traces: 'circuitAmplifier.traces',
  patches: 'circuitAmplifier.patches',
  circuit: 'circuitAmplifier.circuit',
} as const;

/** Keys of `when` clauses that the extension sets. */
export const contextKeys = [
  /** A job runs. */
  'circuitAmplifier.running',
  /** A job is at the steps of its training. */
  'circuitAmplifier.training',
  /** The folder is a copy of the demo. */
  'circuitAmplifier.demo',
  /** A run of this workspace has a patch. */
  'circuitAmplifier.amplified',
  'circuitAmplifier.tracesShown',
  'circuitAmplifier.tracesFiltered',
  'circuitAmplifier.patchesActive',
  /** The cursor is on a pivot of a trace document. */
  'circuitAmplifier.onPivot',
  /** A diff is shown in the active trace document. */
  'circuitAmplifier.diffShown',
  /** A diff was asked for and shown, and a flip was opened: steps of the walkthrough. */
  'circuitAmplifier.diffSeen',
  'circuitAmplifier.flipOpened',
  /** Flips are being stepped through. */
  'circuitAmplifier.flips',
] as const;

export type ContextKey = (typeof contextKeys)[number];

/** Theme colours. Numbered ones are buckets, 1 the weakest. */
export const colors = {
  surprisal: [
    'circuitAmplifier.surprisal1',
    'circuitAmplifier.surprisal2',
    'circuitAmplifier.surprisal3',
    'circuitAmplifier.surprisal4',
    'circuitAmplifier.surprisal5',
  ],
  toward: [
    'circuitAmplifier.toward1',
    'circuitAmplifier.toward2',
    'circuitAmplifier.toward3',
    'circuitAmplifier.toward4',
  ],
  away: [
    'circuitAmplifier.away1',
    'circuitAmplifier.away2',
    'circuitAmplifier.away3',
    'circuitAmplifier.away4',
  ],
  pivotBorder: 'circuitAmplifier.pivotBorder',
  pivotBackground: 'circuitAmplifier.pivotBackground',
  desired: 'circuitAmplifier.desiredForeground',
  addedBackground: 'circuitAmplifier.addedBackground',
  removedBackground: 'circuitAmplifier.removedBackground',
  divergence: 'circuitAmplifier.divergenceBorder',
  deviation: 'circuitAmplifier.deviation',
} as const;

export const languageId = 'cca-trace';
