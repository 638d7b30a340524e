import { realpathSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import type { Signal } from '../control.ts';
import { Model } from '../model/model.ts';
import { type DeviceChoice, pickDevice } from '../onnx/devices.ts';
import type { SessionOptions } from '../onnx/session.ts';
import { assertFits, footprint, memoryLimit, type Phase } from './memory.ts';

/** Which model, and what runs it. */
export interface ModelRef {
  /** Hugging Face folder. */
  folder: string;
  device: SessionOptions['provider'] | 'auto';
  /** CPU threads; null for `defaultThreads`. */
  threads: number | null;
  /** Leave 16-bit weights as they are stored: less memory, slower. */
  lean?: boolean;
}

/** A loaded model and where it runs. */
export interface Loaded {
  model: Model;
  device: DeviceChoice;
}

/** One per available core, at most 8: beyond that the small products of decoding wait for each other. */
export function defaultThreads(): number {
  return Math.min(8, availableParallelism());
}

/** Models stay loaded after use, for a comparison of two and the next call. */
const KEPT = 2;

interface Entry {
  key: string;
  loaded: Promise<Loaded>;
  users: number;
}

/** The models that an engine has loaded. */
export class Models {
  /** Least recently used first. */
  private entries: Entry[] = [];

  /**
   * Runs `work` on a model, opening it where it is not there yet or its files have changed.
   * @param phases what the work needs memory for
   * @throws InputError for anything wrong with the folder (NaN weights among it) or the device, or where memory is short
   */
  async use<T>(
    ref: ModelRef,
    signal: Signal,
    work: (loaded: Loaded) => Promise<T>,
    phases: readonly Phase[] = [{ kind: 'score' }],
  ): Promise<T> {
    return this.open(ref, async (loaded) => {
      const { checkpoint } = loaded.model;
      assertFits(footprint(checkpoint, ref.lean ?? false), phases, memoryLimit(), ref.folder);
      await checkpoint.hash(signal);
      return work(loaded);
    });
  }

  /** `use` for work that sees to its memory, and to the soundness of the weights (`Checkpoint.hash`), itself. */
  async open<T>(ref: ModelRef, work: (loaded: Loaded) => Promise<T>): Promise<T> {
    const entry = this.entry(ref);
    entry.users++;
    try {
      return await work(await entry.loaded);
    } finally {
      entry.users--;
      await this.shrink();
    }
  }

  private entry(ref: ModelRef): Entry {
    const key = JSON.stringify([ref.device, ref.threads, ref.lean ?? false, identity(ref.folder)]);
    const known = this.entries.find((entry) => entry.key === key);
    const entry = known ?? { key, loaded: load(ref), users: 0 };
    this.entries = [...this.entries.filter((other) => other !== entry), entry];
    // A failure is told to whoever waits for it, and not remembered.
    entry.loaded.catch(() => {
      this.entries = this.entries.filter((other) => other !== entry);
    });
    return entry;
  }

  private async shrink(): Promise<void> {
    const idle = this.entries.filter((entry) => entry.users === 0);
    const dropped = idle.slice(0, Math.max(0, this.entries.length - KEPT));
    this.entries = this.entries.filter((entry) => !dropped.includes(entry));
    for (const { loaded } of dropped) await (await loaded).model.release();
  }
}

/** Paths, sizes and times of the files that a model is made of; a folder that cannot be read fails when it is opened. */
function identity(folder: string): unknown {
  try {
    const { files } = openCheckpoint(folder);
    const all = [
      ...files,
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'generation_config.json',
    ];
    return all.map((name) => {
      const stat = statSync(path.join(folder, name), { throwIfNoEntry: false });
      return stat ? [realpathSync(path.join(folder, name)), stat.size, stat.mtimeMs, stat.ino] : null;
    });
  } catch {
    return folder;
  }
}

async function load({ folder, device, threads, lean = false }: ModelRef): Promise<Loaded> {
  const checkpoint = openCheckpoint(folder);
  const bytes = [...checkpoint.tensors.values()].reduce((sum, info) => sum + info.byteLength, 0);
  const chosen = await pickDevice(device, { modelBytes: bytes, threads: threads ?? defaultThreads() });
  const model = await Model.load(folder, {
    provider: chosen.device,
    threads: threads ?? defaultThreads(),
    lean,
  });
  return { model, device: chosen };
}
