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
import { SMALL_BYTES } from './sizes.ts';

export interface ModelOptions {
  provider?: SessionOptions['provider'];
  threads?: number;
  /** Leave 16-bit weights as they are stored (onnx/session.ts). */
  lean?: boolean;
}

/** Sessions of a model that is not small, at most: attribution takes turns between three, training between two. */
const MAX_SESSIONS = 3;

/** A compiled graph, for as long as its model is there. */
export type GraphSession = Pick<Session, 'run'>;

interface Entry {
  session: Promise<Session>;
  running: number;
}

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
  /** Bytes in the checkpoint's files. */
  private readonly weightBytes: number;
  /** Least recently used first. */
  private readonly sessions = new Map<string, Entry>();

  private constructor(checkpoint: Checkpoint, tokenizer: Tokenizer, options: ModelOptions) {
    this.checkpoint = checkpoint;
    this.tokenizer = tokenizer;
    this.arch = architectureOf(checkpoint.config);
    this.attentionKinds = new Set(
      Array.from({ length: checkpoint.config.numLayers }, (_, layer) => this.arch.attention(layer)),
    );
    this.rotary = rotaryTables(this.arch, this.attentionKinds);
    this.options = {
      provider: options.provider ?? 'cpu',
      threads: options.threads ?? 1,
      lean: options.lean ?? false,
    };
    this.files = weightFiles(checkpoint);
    const infos = [...checkpoint.tensors.values()];
    this.weightBytes = infos.reduce((sum, { byteLength }) => sum + byteLength, 0);
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

  readonly tensors: TensorTable = (name) => {
    const info = this.checkpoint.tensors.get(name);
    if (!info) throw new Error(`no tensor ${name} in ${this.checkpoint.folder}`);
    return { dtype: dtypes[info.dtype]!, shape: info.shape };
  };

  context(overlay: OverlayShape = overlayShape(noOverlay)): GraphContext {
    return { arch: this.arch, tensors: this.tensors, overlay };
  }

  /**
   * The session of a graph, compiled at its first run, once per (name, overlay structure). It may be used for as long as the
   * model is: after a release its next run compiles it again.
   * @param repackBelow repack the weights where they are at most this many bytes: pays where products have few rows
   * (decoding, mask step), 1.5 to 1.7 times, for a private copy
   */
  session(
    name: string,
    overlay: OverlayShape,
    build: (context: GraphContext) => Graph,
    { repackBelow = 0 } = {},
  ): GraphSession {
    const key = `${name} ${JSON.stringify(overlay)}`;
    const prepack = this.weightBytes <= repackBelow;
    const compile = () =>
      createSession(build(this.context(overlay)), this.files, { ...this.options, prepack });
    return {
      run: async (feeds) => {
        const entry = this.sessions.get(key) ?? this.admit(compile);
        // The most recently used comes last.
        this.sessions.delete(key);
        this.sessions.set(key, entry);
        entry.running++;
        try {
          return await (await entry.session).run(feeds);
        } finally {
          entry.running--;
        }
      },
    };
  }

  /** Release every session; those that are running stay. */
  release(): Promise<void> {
    return this.drop(() => true);
  }

  /**
   * Release the sessions of a model that is not small: what comes next needs others. Each keeps the memory of its largest run,
   * and a copy of 16-bit weights in float32.
   */
  makeRoom(): Promise<void> {
    return this.drop(() => !this.isSmall);
  }

  private admit(compile: () => Promise<Session>): Entry {
    const [oldest] = this.sessions.values();
    const isFull = !this.isSmall && this.sessions.size >= MAX_SESSIONS;
    const room = isFull ? this.drop((entry) => entry === oldest) : Promise.resolve();
    return { session: room.then(compile), running: 0 };
  }

  private async drop(which: (entry: Entry) => boolean): Promise<void> {
    for (const [key, entry] of [...this.sessions]) {
      if (entry.running > 0 || !which(entry)) continue;
      this.sessions.delete(key);
      await (await entry.session).release();
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
