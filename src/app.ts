import type { ExtensionContext } from 'vscode';
import type { Jobs } from './jobs/jobs.ts';
import type { ActivePatches } from './patches/active.ts';
import type { EngineClient } from './server/client.ts';
import type { Catalogue } from './views/catalogue.ts';
import type { PatchesView } from './views/patches.ts';
import type { RunsView } from './views/runs.ts';
import type { TracesView } from './views/traces.ts';

/** The parts of the extension, as commands use them. */
export interface App {
  context: ExtensionContext;
  engine: EngineClient;
  jobs: Jobs;
  catalogue: Catalogue;
  patches: ActivePatches;
  runsView: RunsView;
  tracesView: TracesView;
  patchesView: PatchesView;
}
