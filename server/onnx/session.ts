import ort from 'onnxruntime-node';
import type { Graph } from '../graph/ir.ts';
import { topological } from '../graph/ir.ts';
import { RUNTIME_ENVIRONMENT } from './environment.ts';
import { lower, type WeightLocation } from './lower.ts';

Object.assign(process.env, RUNTIME_ENVIRONMENT);

export type TensorData = Float32Array | BigInt64Array;
/** Values that go in or come out: row-major data and extents. */
export interface Value<T extends TensorData = TensorData> {
  data: T;
  dims: readonly number[];
}
export type Feeds = Record<string, Value>;

/** Checkpoint tensors as a session finds them. */
export interface WeightFiles {
  /** Folder that holds every file named by `locate`. */
  folder: string;
  locate(name: string): WeightLocation;
}

export interface SessionOptions {
  /** ONNX Runtime execution provider. */
  provider: 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml';
  /** Intra-op threads. */
  threads: number;
  /**
   * Repack matrix weights for few-row products: 1.5 to 1.7 times faster decoding for a private copy of the
   * weights. Full sequences gain little.
   */
  prepack: boolean;
  /**
   * Leave 16-bit weights in the file, mapped, and widen each as it is used. Otherwise they are widened once, into a
   * float32 copy of the session's own.
   */
  lean?: boolean;
}

/** A compiled graph. */
export interface Session {
  readonly inputs: ReadonlySet<string>;
  /** Blocks the thread until the outputs are there. Feeds that the graph does not use are ignored. */
  run(feeds: Feeds): Promise<Record<string, Value>>;
  release(): Promise<void>;
}

export async function createSession(
  graph: Graph,
  weights: WeightFiles,
  { provider, threads, prepack, lean = false }: SessionOptions,
): Promise<Session> {
  const { model, narrow } = lower(graph, (name) => weights.locate(name), { widenOnUse: lean });
  const session = await ort.InferenceSession.create(model, {
    executionProviders: providers(provider, narrow),
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // With memory patterns the second run of a long sequence held 1.7 times the memory of the first.
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: {
      ...(lean && {
        optimization: { disable_specified_optimizers: 'ConstantFolding;CommonSubexpressionElimination' },
      }),
      session: {
        disable_prepacking: prepack ? '0' : '1',
        model_external_initializers_file_folder_path: weights.folder,
        // A spinning pool takes the cores from the host and from a second session.
        intra_op: { allow_spinning: '0' },
      },
    },
  });
  const inputs = new Set(
    topological(graph.outputs.values()).flatMap((node) => (node.op.kind === 'input' ? [node.op.name] : [])),
  );
  return {
    inputs,
    async run(feeds) {
      const tensors: Record<string, ort.Tensor> = {};
      for (const name of inputs) {
        const value = feeds[name];
        if (!value) throw new Error(`graph input ${name} is not fed`);
        tensors[name] =
          value.data instanceof Float32Array
            ? new ort.Tensor('float32', value.data, value.dims)
            : new ort.Tensor('int64', value.data, value.dims);
      }
      const results = await session.run(tensors);
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => [
          name,
          { data: tensor.data as TensorData, dims: tensor.dims },
        ]),
      );
    },
    release: () => session.release(),
  };
}

/** @param narrow names of the nodes that read 16-bit numbers */
function providers(
  provider: SessionOptions['provider'],
  narrow: readonly string[],
): ort.InferenceSession.ExecutionProviderConfig[] {
  if (provider === 'cpu') return ['cpu'];
  // WebGPU takes 16-bit nodes whether or not the device has 16-bit shaders, and fails when it runs them without.
  if (provider === 'webgpu' && narrow.length > 0)
    return [{ name: 'webgpu', forceCpuNodeNames: narrow }, 'cpu'];
  return [provider, 'cpu'];
}

/** A row-major float32 value. */
export const f32 = (data: Float32Array, ...dims: number[]): Value<Float32Array> => ({ data, dims });

/** A row-major int64 value from ordinary integers. */
export function i64(values: ArrayLike<number>, ...dims: number[]): Value<BigInt64Array> {
  const data = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!);
  return { data, dims: dims.length > 0 ? dims : [values.length] };
}
