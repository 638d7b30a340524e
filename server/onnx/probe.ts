/**
 * Entry of a child process that tries one execution provider: `node probe.mjs PROVIDER THREADS` prints one line of JSON
 * (ProbeResult). A process of its own, because a broken driver may crash, hang or write to stderr.
 */
import ort from 'onnxruntime-node';
import type { Graph } from '../graph/ir.ts';
import { GraphBuilder } from '../graph/ir.ts';
import { lower } from './lower.ts';
import type { SessionOptions } from './session.ts';

/** What a provider did with a small graph. */
export type ProbeResult =
  /** Milliseconds of the timed graph (`timedShape`, 0.25 GFLOP). */
  { works: true; milliseconds: number } | { works: false; reason: string };

const EPS = 1e-5;
/** Rows, width and layers of what is checked. */
const checkedShape = [8, 64, 2] as const;
/**
 * Largest error of a probability there: float32 stays below the first, and products of factors with 10 bits (TF32, half
 * precision) between the two. Gradients need float32, so a provider that saves on it is not one that works.
 */
const SINGLE_PRECISION = 1e-5;
const HALF_PRECISION = 1e-2;
/** Rows, width and layers of what is timed. */
const timedShape = [60, 512, 8] as const;
/** A software driver is known for what it is after a single run. */
const ENOUGH_MS = 500;

/** Softmax of `layers` rounds of x <- RMSNorm(x) w: the kinds of operations that decoders are made of. */
function chain(rows: number, width: number, layers: number): Graph {
  const g = new GraphBuilder();
  const w = g.input('w', [width, width]);
  let x = g.input('x', [rows, width]);
  for (let i = 0; i < layers; i++) x = g.matmul(g.mul(x, g.invRms(x, EPS)), w);
  return g.graph({ y: g.softmax(x) });
}

function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 1.7));
}

/** `chain` in float64. */
function reference(x: Float32Array, w: Float32Array, rows: number, width: number, layers: number): number[] {
  let now = Array.from(x);
  for (let layer = 0; layer < layers; layer++) {
    const next: number[] = [];
    for (let r = 0; r < rows; r++) {
      const row = now.slice(r * width, (r + 1) * width);
      const factor = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / width + EPS);
      for (let c = 0; c < width; c++) {
        next.push(factor * row.reduce((sum, v, k) => sum + v * w[k * width + c]!, 0));
      }
    }
    now = next;
  }
  return Array.from({ length: rows }, (_, r) => {
    const row = now.slice(r * width, (r + 1) * width);
    const max = Math.max(...row);
    const exponentials = row.map((v) => Math.exp(v - max));
    const total = exponentials.reduce((a, b) => a + b);
    return exponentials.map((e) => e / total);
  }).flat();
}

async function run(
  provider: SessionOptions['provider'],
  threads: number,
  shape: readonly [rows: number, width: number, layers: number],
  times: number,
): Promise<{ y: Float32Array; x: Float32Array; w: Float32Array; milliseconds: number }> {
  const [rows, width] = shape;
  const { model } = lower(chain(...shape), () => {
    throw new Error('the probe has no weights');
  });
  const session = await ort.InferenceSession.create(model, {
    // Alone and without fallback: otherwise the CPU would quietly do the provider's work.
    executionProviders: [provider],
    intraOpNumThreads: threads,
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(provider !== 'cpu' && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
  });
  const x = values(rows * width, 1);
  const w = values(width * width, 2);
  const feeds = {
    x: new ort.Tensor('float32', x, [rows, width]),
    w: new ort.Tensor('float32', w, [width, width]),
  };
  let milliseconds = Number.POSITIVE_INFINITY;
  let y = new Float32Array();
  const begun = performance.now();
  for (let i = 0; i < times && performance.now() - begun < ENOUGH_MS; i++) {
    const start = performance.now();
    const out = await session.run(feeds);
    y = (await out.y!.getData()) as Float32Array<ArrayBuffer>;
    milliseconds = Math.min(milliseconds, performance.now() - start);
  }
  await session.release();
  return { y, x, w, milliseconds };
}

async function probe(provider: SessionOptions['provider'], threads: number): Promise<ProbeResult> {
  const backends = ort.listSupportedBackends().map(({ name }) => name);
  if (!backends.includes(provider)) {
    const reason = `not part of ONNX Runtime for ${process.platform} ${process.arch}`;
    return { works: false, reason };
  }
  try {
    const { y, x, w } = await run(provider, threads, checkedShape, 1);
    const worst = Math.max(...reference(x, w, ...checkedShape).map((v, i) => Math.abs(v - y[i]!)));
    if (!(worst < SINGLE_PRECISION)) {
      const what = worst < HALF_PRECISION ? 'less than single precision' : 'wrong results';
      return { works: false, reason: `computes ${what} (error ${worst.toPrecision(2)})` };
    }
    const { milliseconds } = await run(provider, threads, timedShape, 4);
    return { works: true, milliseconds };
  } catch (error) {
    return { works: false, reason: explain((error as Error).message) };
  }
}

/** ONNX Runtime's message without the source location in front of it. */
function explain(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.replace(/^\/\S+\.(cc|h):\d+ .*? was false\. /, '').replace(/[. ]+$/, '');
}

const [provider, threads] = process.argv.slice(2);
const result = await probe(provider as SessionOptions['provider'], Number(threads));
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
