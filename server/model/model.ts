import { dirname, relative, sep } from 'node:path';
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { loadTokenizer, type Tokenizer } from '../checkpoint/tokenizer.ts';
import type { DType, Graph } from '../graph/ir.ts';
import { createSession, type Session, type SessionOptions, type WeightFiles } from '../onnx/session.ts';
import type { Architecture, AttentionKind } from './architectures/architecture.ts';
import { architectureOf } from './architectures/index.ts';
import type { TensorTable } from './decoder.ts';
import type { GraphContext } from './graphs.ts';
import { noOverlay, type OverlayShape, overlayShape } from './overlay.ts';
import { type RotaryTable, rotaryTables } from './rotary.ts';

export interface ModelOptions {
  provider?: SessionOptions['provider'];
  threads?: number;
}

/** Decoding repacks, and prefill has a session of its own, where weights are at most this many bytes. */
export const SMALL_BYTES = 64 * 2 ** 20;

const dtypes: Record<string, DType> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/** A checkpoint with its tokenizer and the sessions compiled for it so far. */
export class Model {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly arch: Architecture;
  /** By the ending of the graph inputs that they are fed to (rotary.ts). */
  readonly rotary: ReadonlyMap<string, RotaryTable>;
  readonly attentionKinds: ReadonlySet<AttentionKind>;
  readonly options: Required<ModelOptions>;
  private readonly files: WeightFiles;
  private readonly sessions = new Map<string, Promise<Session>>();

  private constructor(checkpoint: Checkpoint, tokenizer: Tokenizer, options: ModelOptions) {
    this.checkpoint = checkpoint;
    this.tokenizer = tokenizer;
    this.arch = architectureOf(checkpoint.config);
    this.attentionKinds = new Set(
      Array.from({ length: checkpoint.config.numLayers }, (_, layer) => this.arch.attention(layer)),
    );
    this.rotary = rotaryTables(this.arch, this.attentionKinds);
    this.options = { provider: options.provider ?? 'cpu', threads: options.threads ?? 1 };
    this.files = weightFiles(checkpoint);
  }

  /** Open a Hugging Face folder. Throws InputError for anything wrong with it. */
  static async load(folder: string, options: ModelOptions = {}): Promise<Model> {
    const checkpoint = await openCheckpoint(folder);
    return new Model(checkpoint, await loadTokenizer(folder), options);
  }

  get config(): ModelConfig {
    return this.checkpoint.config;
  }

  /** Small enough for sessions with weights of their own; else as few sessions as can be map the files. */
  get isSmall(): boolean {
    return this.weightBytes <= SMALL_BYTES;
  }

  private get weightBytes(): number {
    return [...this.checkpoint.tensors.values()].reduce((sum, t) => sum + t.byteLength, 0);
  }

  readonly tensors: TensorTable = (name) => {
    const info = this.checkpoint.tensors.get(name);
    if (!info) throw new Error(`no tensor ${name} in ${this.checkpoint.folder}`);
    return { dtype: dtypes[info.dtype]!, shape: info.shape };
  };

  context(overlay: OverlayShape = overlayShape(noOverlay)): GraphContext {
    return { arch: this.arch, tensors: this.tensors, overlay };
  }

  /**
   * The session of a graph, compiled once per (name, overlay structure).
   * @param repackBelow repack the weights where they are at most this many bytes: pays where products have few rows
   * (decoding, mask step), 1.5 to 1.7 times, for a private copy
   */
  session(
    name: string,
    overlay: OverlayShape,
    build: (context: GraphContext) => Graph,
    { repackBelow = 0 } = {},
  ): Promise<Session> {
    const key = `${name} ${JSON.stringify(overlay)}`;
    let session = this.sessions.get(key);
    if (!session) {
      session = createSession(build(this.context(overlay)), this.files, {
        ...this.options,
        prepack: this.weightBytes <= repackBelow,
      });
      this.sessions.set(key, session);
    }
    return session;
  }

  /** Release every session whose name starts with `prefix` (all of them by default). */
  async release(prefix = ''): Promise<void> {
    for (const [key, session] of [...this.sessions]) {
      if (!key.startsWith(prefix)) continue;
      this.sessions.delete(key);
      await (await session).release();
    }
  }
}

/** The checkpoint's files under their common folder, which is where a Hugging Face cache's symlinks lead. */
function weightFiles(checkpoint: Checkpoint): WeightFiles {
  const folders = [...checkpoint.tensors.values()].map((t) => dirname(t.path).split(sep));
  const common = folders.reduce((a, b) =>
    a.filter((_, i) => a.slice(0, i + 1).every((part, j) => part === b[j])),
  );
  const folder = common.join(sep) || sep;
  return {
    folder,
    locate(name) {
      const { path, fileOffset, byteLength } = checkpoint.tensors.get(name)!;
      return { file: relative(folder, path), offset: fileOffset, length: byteLength };
    },
  };
}
