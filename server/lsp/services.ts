import type { Connection } from 'vscode-languageserver/node';
import type { ModelRef } from '../engine/models.ts';
import type { Supervisor } from '../jobs/supervisor.ts';
import type { ServerOptions } from '../protocol/engine.ts';
import type { Notification } from '../protocol/message.ts';
import type { Answers } from './answers.ts';
import type { PivotBranches } from './branches.ts';
import type { EngineHost } from './engine-host.ts';
import type { ScoreCache } from './score-cache.ts';
import type { Tokenizers } from './tokenizers.ts';
import type { TraceDocuments } from './trace-documents.ts';

/** What the answers to requests are made with. */
export interface Services {
  readonly connection: Connection;
  readonly answers: Answers;
  readonly engine: EngineHost;
  readonly tokenizers: Tokenizers;
  readonly documents: TraceDocuments;
  readonly scores: ScoreCache;
  readonly branches: PivotBranches;
  /** As last set by the editor. */
  readonly options: ServerOptions;
  /** The jobs of the workspace. @throws InputError where there is no storage to keep them in */
  jobs(): Supervisor;
  /** Folders of the workspace. */
  readonly folders: readonly string[];
  /**
   * Whether what a file of the workspace names may be looked at: in a workspace that is not trusted only what lies in its own
   * folders, since merely looking at a path may reach over the network.
   */
  mayRead(folder: string): boolean;
  notify<P>(notification: Notification<P>, params: P): void;
}

/** A model as the settings want it run. */
export const modelRef = (folder: string, { device, threads, lean }: ServerOptions): ModelRef => ({
  folder,
  device,
  threads,
  lean,
});
