import path from 'node:path';
import { type Disposable, EventEmitter, type Memento } from 'vscode';
import * as protocol from '../../server/protocol/jobs.ts';
import { setContext } from '../context.ts';
import { failed } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { isRunning, isTraining } from './describe.ts';

/** Whether jobs were at work when last heard of. */
const KEY = 'jobsRunning';

/** Jobs of the workspace as last heard of, newest first. */
export class Jobs implements Disposable {
  readonly #server: Server;
  readonly #memento: Memento;
  readonly #jobs = new Map<string, protocol.JobState>();
  readonly #changed = new EventEmitter<protocol.JobState>();
  readonly #listed = new EventEmitter<void>();
  readonly #subscriptions: Disposable[];

  /** A job is new or has changed. */
  readonly onChange = this.#changed.event;
  /** The list lost jobs or was read anew. */
  readonly onList = this.#listed.event;

  constructor(server: Server, memento: Memento) {
    this.#server = server;
    this.#memento = memento;
    this.#subscriptions = [
      server.onNotification(protocol.changed, (job) => this.take(job)),
      server.onState((state) => {
        if (state === 'running') this.refresh().catch(failed('The jobs could not be listed'));
      }),
    ];
  }

  get all(): protocol.JobState[] {
    return [...this.#jobs.values()].sort((a, b) => b.started - a.started);
  }

  get running(): protocol.JobState[] {
    return this.all.filter(isRunning);
  }

  /** The newest job on a run folder. */
  of(run: string): protocol.JobState | undefined {
    return this.all.find((job) => path.normalize(job.run) === path.normalize(run));
  }

  take(job: protocol.JobState): void {
    this.#jobs.set(job.id, job);
    this.#noteRunning();
    this.#changed.fire(job);
  }

  /** Reads the list anew. */
  async refresh(): Promise<void> {
    const jobs = await this.#server.request(protocol.list, null);
    const gone = [...this.#jobs.keys()].filter((id) => !jobs.some((job) => job.id === id));
    for (const id of gone) this.#jobs.delete(id);
    for (const job of jobs) this.take(job);
    this.#noteRunning();
    this.#listed.fire();
  }

  /** Starts the engine where jobs were at work when the workspace was last seen: those that still are show their progress. */
  async reattach(): Promise<void> {
    if (this.#memento.get(KEY, false)) await this.#server.ready;
  }

  /** Kept with the workspace: only the engine's side, perhaps another machine, knows of jobs while no window is open. */
  #noteRunning(): void {
    const some = this.running.length > 0;
    setContext('circuitAmplifier.running', some);
    setContext('circuitAmplifier.training', this.all.some(isTraining));
    if (some !== this.#memento.get(KEY, false)) void this.#memento.update(KEY, some);
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}
