/**
 * What a step would take if only the machine's memory bandwidth and its rate of products held it back: the roofline model
 * (Williams, Waterman and Patterson, CACM 52(4), 2009), with both roofs measured through the runtime that runs the step.
 */
import type { ModelConfig } from '../../server/checkpoint/config.ts';
import { GraphBuilder } from '../../server/graph/ir.ts';
import { createSession, type Feeds, f32, type WeightFiles } from '../../server/onnx/session.ts';
import { time } from './measure.ts';

/** What a step has to do at least: multiplications and additions of its products, bytes of weights, keys and values read. */
export interface Work {
  flops: number;
  bytes: number;
}

/** Samples of the machine's rates: bytes/s of streaming reads, floating-point operations/s of a large product. */
export interface Rates {
  bandwidth: number[];
  gemm: number[];
}

/** Least time for the work at the best of the rates, in seconds, and which of them it is held back by. */
export function attainable({ flops, bytes }: Work, rates: Rates): { seconds: number; by: keyof Rates } {
  const bandwidth = bytes / Math.max(...rates.bandwidth);
  const gemm = flops / Math.max(...rates.gemm);
  return bandwidth > gemm ? { seconds: bandwidth, by: 'bandwidth' } : { seconds: gemm, by: 'gemm' };
}

/** Weights of the matrices: q, k and v of one layer, all layers, the head. */
function matrices({ hiddenSize, intermediateSize, numLayers, vocabSize, ...c }: ModelConfig) {
  const [q, kv] = [c.numHeads * c.headDim, c.numKvHeads * c.headDim];
  const qkv = hiddenSize * (q + 2 * kv);
  const layers = numLayers * (qkv + hiddenSize * q + 3 * hiddenSize * intermediateSize);
  return { qkv, layers, head: vocabSize * hiddenSize };
}

/** Of one query that sees one token, over all layers: products with its key and its value, and the two's bytes (float32). */
function attention({ numLayers, numHeads, numKvHeads, headDim }: ModelConfig): Work {
  return { flops: 4 * numLayers * numHeads * headDim, bytes: 8 * numLayers * numKvHeads * headDim };
}

/**
 * One token each of `batch` sequences that see `context` tokens.
 * @param width bytes of a weight in memory
 */
export function decodeStep(config: ModelConfig, width: number, batch: number, context: number): Work {
  const { layers, head } = matrices(config);
  const seen = attention(config);
  return {
    flops: 2 * batch * (layers + head) + batch * context * seen.flops,
    bytes: width * (layers + head) + batch * context * seen.bytes,
  };
}

/** One sequence of `tokens`, the logits of its last one. */
export function prefill(config: ModelConfig, width: number, tokens: number): Work {
  const { layers, head } = matrices(config);
  return {
    flops: 2 * (tokens * layers + head) + ((tokens * (tokens + 1)) / 2) * attention(config).flops,
    bytes: width * (layers + head),
  };
}

/**
 * Forward and backward through one position each of `pairs` behind `tokens` cached ones: every matrix, key and value is
 * read twice, but for q, k and v of the bottom layer, below which no gradient is wanted, and the head, of which only
 * the pairs' tokens are.
 */
export function maskStep(config: ModelConfig, width: number, pairs: number, tokens: number): Work {
  const { layers, qkv } = matrices(config);
  const seen = attention(config);
  const read = 2 * layers - qkv;
  return {
    flops: 2 * pairs * read + 2 * pairs * tokens * seen.flops,
    bytes: width * read + 2 * pairs * tokens * seen.bytes,
  };
}

/** No checkpoint: all values are fed. */
const noFiles: WeightFiles = {
  folder: '.',
  locate(name) {
    throw new Error(`there is no weight ${name}`);
  },
};

async function product(
  [rows, inner, columns]: [number, number, number],
  {
    matrix,
    transB,
    threads,
    repeats,
  }: { matrix: Float32Array; transB: boolean; threads: number; repeats: number },
): Promise<number[]> {
  const g = new GraphBuilder();
  const extents = transB ? [columns, inner] : [inner, columns];
  const y = g.matmul(g.input('a', [rows, inner]), g.input('b', extents), { transB });
  const session = await createSession(g.graph({ y }), noFiles, { provider: 'cpu', threads, prepack: false });
  const feeds: Feeds = {
    a: f32(new Float32Array(rows * inner).fill(0.5), rows, inner),
    b: f32(matrix, ...extents),
  };
  const seconds = await time(() => session.run(feeds), { repeats });
  await session.release();
  return seconds;
}

/**
 * Bandwidth: a vector times a matrix that is far larger than the caches; the faster of its two layouts, which run by
 * different kernels. Rate of products: two square matrices.
 * @param bytes of the matrix that is streamed
 * @param size rows and columns of the square matrices
 */
export async function measureRates({
  bytes,
  size,
  threads,
  repeats,
}: {
  bytes: number;
  size: number;
  threads: number;
  repeats: number;
}): Promise<Rates> {
  const inner = 4096;
  const columns = bytes / 4 / inner;
  const large = new Float32Array(inner * columns).fill(0.25);
  const layouts = [];
  for (const transB of [true, false])
    layouts.push(await product([1, inner, columns], { matrix: large, transB, threads, repeats }));
  const [a, b] = layouts as [number[], number[]];
  const square = large.subarray(0, size * size);
  const squares = await product([size, size, size], { matrix: square, transB: false, threads, repeats });
  return {
    bandwidth: (Math.min(...a) < Math.min(...b) ? a : b).map((s) => large.byteLength / s),
    gemm: squares.map((s) => (2 * size ** 3) / s),
  };
}
