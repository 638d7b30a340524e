import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { type Disposable, EventEmitter } from 'vscode';
import * as protocol from '../../server/protocol/jobs.ts';
import { setContext } from '../context.ts';
import { failed } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { isRunning } from './describe.ts';

/** Jobs of the workspace as last heard of, newest first. */
export class Jobs implements Disposable {
  readonly #server: Server;
  readonly #storage: string;
  readonly #jobs = new Map<string, protocol.JobState>();
  readonly #changed = new EventEmitter<protocol.JobState>();
  readonly #listed = new EventEmitter<void>();
  readonly #subscriptions: Disposable[];

  /** A job is new or has changed. */
  readonly onChange = this.#changed.event;
  /** The list lost jobs or was read anew. */
  readonly onList = this.#listed.event;

  constructor(server: Server, storage: string) {
    this.#server = server;
    this.#storage = storage;
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
    setContext('circuitAmplifier.running', this.running.length > 0);
    this.#changed.fire(job);
  }

  /** Reads the list anew. */
  async refresh(): Promise<void> {
    const jobs = await this.#server.request(protocol.list, null);
    const gone = [...this.#jobs.keys()].filter((id) => !jobs.some((job) => job.id === id));
    for (const id of gone) this.#jobs.delete(id);
    for (const job of jobs) this.take(job);
    setContext('circuitAmplifier.running', this.running.length > 0);
    this.#listed.fire();
  }

  /** Starts the engine where an earlier session left jobs: one that still runs shows its progress again. */
  async reattach(): Promise<void> {
    const folders = await readdir(path.join(this.#storage, 'jobs')).catch(() => []);
    if (folders.length > 0) await this.#server.ready;
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}
