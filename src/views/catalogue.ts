import { type Disposable, EventEmitter } from 'vscode';
import * as runs from '../../server/protocol/runs.ts';
import { onSearchFolders, searchFolders } from '../config.ts';
import { setContext } from '../context.ts';
import { failed } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { Batched } from './batched.ts';
import { onlyGrew } from './changes.ts';

/** A burst of files that a stage writes is one reading of the folders. */
const SETTLE_MS = 300;
/** A run at work appends to its records all the time, and jobs tell their progress by themselves. */
const GROWING_MS = 10_000;

export type RunList = Awaited<ReturnType<typeof readRuns>>;

const readRuns = (server: Server) => server.request(runs.list, { folders: searchFolders() });

/** The runs of the workspace; read when first asked for, and again when the server says that one changed. */
export class Catalogue implements Disposable {
  readonly #server: Server;
  readonly #changed = new EventEmitter<void>();
  readonly #subscriptions: Disposable[];
  #list: Promise<RunList> | null = null;

  readonly onChange = this.#changed.event;

  constructor(server: Server) {
    this.#server = server;
    const stale = new Batched<null>(SETTLE_MS, () => this.refresh());
    const growing = new Batched<null>(GROWING_MS, () => this.refresh());
    this.#subscriptions = [
      stale,
      growing,
      server.onNotification(runs.changed, ({ files }) => (onlyGrew(files) ? growing : stale).add(null)),
      server.onRestart(() => stale.add(null)),
      onSearchFolders(() => stale.add(null)),
    ];
  }

  list(): Promise<RunList> {
    this.#list ??= readRuns(this.#server).then((list) => {
      setContext(
        'circuitAmplifier.amplified',
        list.runs.some(({ files }) => files.patch !== null),
      );
      return list;
    });
    this.#list.catch(() => {
      this.#list = null;
    });
    return this.#list;
  }

  refresh(): void {
    this.#list = null;
    // The context key must be right with the view closed, too.
    this.list().catch(failed('The runs could not be listed'));
    this.#changed.fire();
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}
