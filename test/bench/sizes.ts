/** Models of real sizes, with random weights: loading, memory, prefill, decoding and the mask step beside what the machine allows. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type ModelConfig, readConfig } from '../../server/checkpoint/config.ts';
import { neverAborted } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { MaskSteps } from '../../server/mask/step.ts';
import { Model } from '../../server/model/model.ts';
import { Rng } from '../../server/random.ts';
import { decodeSeconds } from './cases.ts';
import { writeRandomCheckpoint } from './checkpoint.ts';
import { digits, peakBytes, type Report, type Samples, spread, time } from './measure.ts';
import { randomIds, randomPairs } from './pairs.ts';
import {
  attainable,
  decodeStep,
  maskStep,
  measureRates,
  prefill,
  type Rates,
  type Work,
} from './roofline.ts';

/** What is asked of every model, so that a smoke test can shrink it. */
interface Load {
  prefillTokens: number;
  promptTokens: number;
  newTokens: number;
  decodeBatches: readonly number[];
  pairs: number;
  maskTokens: readonly number[];
  /** Bytes that are streamed, and rows of the square matrices that are multiplied, to measure the machine's rates. */
  streamed: number;
  square: number;
}

const fullLoad: Load = {
  prefillTokens: 512,
  promptTokens: 64,
  newTokens: 32,
  decodeBatches: [1, 8],
  pairs: 8,
  maskTokens: [300, 900],
  streamed: 2 ** 30,
  square: 2048,
};

const quickLoad: Load = {
  prefillTokens: 24,
  promptTokens: 8,
  newTokens: 8,
  decodeBatches: [1, 4],
  pairs: 4,
  maskTokens: [20, 40],
  streamed: 2 ** 22,
  square: 128,
};

/** config.json of Qwen2.5 with these extents. */
function qwen(extents: {
  hidden_size: number;
  intermediate_size: number;
  num_attention_heads: number;
  num_hidden_layers: number;
  max_position_embeddings: number;
  vocab_size?: number;
}): Record<string, unknown> {
  return {
    architectures: ['Qwen2ForCausalLM'],
    attention_dropout: 0,
    bos_token_id: 151643,
    eos_token_id: 151643,
    hidden_act: 'silu',
    initializer_range: 0.02,
    max_window_layers: extents.num_hidden_layers,
    model_type: 'qwen2',
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1e6,
    sliding_window: extents.max_position_embeddings,
    tie_word_embeddings: true,
    use_cache: true,
    use_sliding_window: false,
    vocab_size: 151936,
    ...extents,
  };
}

/** config.json of Qwen2.5 by billions of parameters. */
export const models: Readonly<Record<string, Record<string, unknown>>> = {
  '0.5': qwen({
    hidden_size: 896,
    intermediate_size: 4864,
    num_attention_heads: 14,
    num_hidden_layers: 24,
    max_position_embeddings: 32768,
  }),
  '1.5': qwen({
    hidden_size: 1536,
    intermediate_size: 8960,
    num_attention_heads: 12,
    num_hidden_layers: 28,
    max_position_embeddings: 131072,
  }),
};

export const quickModel = qwen({
  hidden_size: 64,
  intermediate_size: 96,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  max_position_embeddings: 2048,
  vocab_size: 400,
});

interface Format {
  /** In the checkpoint. */
  dtype: 'BF16' | 'F32';
  /** 16-bit weights stay mapped and are widened on use; else each session widens them when it is made. F32 is mapped. */
  lean: boolean;
  /** Bytes of a weight in memory. */
  width: number;
}

const formats: Readonly<Record<string, Format>> = {
  bf16: { dtype: 'BF16', lean: false, width: 4 },
  'bf16-lean': { dtype: 'BF16', lean: true, width: 2 },
  f32: { dtype: 'F32', lean: false, width: 4 },
};

/** What a process of its own does: memory is counted by process, and what one holds slows no other down. */
type Task = RatesTask | ModelTask;
interface RatesTask {
  kind: 'rates';
  load: Load;
  threads: number;
  samples: number;
}
interface ModelTask extends Omit<RatesTask, 'kind'> {
  kind: 'forward' | 'mask';
  folder: string;
  lean: boolean;
}

interface Forward {
  /** Seconds from opening the folder to the first token. */
  load: number;
  loadedPeak: number;
  prefill: number[];
  /** By batch size. */
  decode: number[][];
  peak: number;
}

interface Mask {
  /** Seconds of a step, by prefix length. */
  steps: number[][];
  peak: number;
}

async function forward({ folder, load, threads, lean, samples }: ModelTask): Promise<Forward> {
  const begin = performance.now();
  const model = await Model.load(folder, { threads, lean });
  const runner = await Runner.create(model);
  await runner.forward([{ ids: [1], rows: [0], keep: true }]);
  const loading = (performance.now() - begin) / 1000;
  const loadedPeak = peakBytes();
  const ids = randomIds(new Rng('prefill'), load.prefillTokens, model.config.vocabSize);
  const prefillSamples = await time(() => runner.forward([{ ids, rows: [ids.length - 1], keep: true }]), {
    repeats: samples,
  });
  const decode: number[][] = [];
  for (const batch of load.decodeBatches) {
    const seconds: number[] = [];
    for (let i = 0; i < samples; i++) seconds.push(await decodeSeconds(model, load, batch));
    decode.push(seconds);
  }
  return { load: loading, loadedPeak, prefill: prefillSamples, decode, peak: peakBytes() };
}

async function mask({ folder, load, threads, lean, samples }: ModelTask): Promise<Mask> {
  const signal = neverAborted;
  const model = await Model.load(folder, { threads, lean });
  const rng = new Rng('mask');
  const steps: number[][] = [];
  for (const tokens of load.maskTokens) {
    const pairs = randomPairs(rng, { count: load.pairs, tokens, vocab: model.config.vocabSize });
    const runner = await Runner.create(model);
    const masked = await MaskSteps.create(runner, pairs, 'margin', signal);
    // As the stage does: what computed the prefixes is not needed for the steps.
    await model.makeRoom();
    const gate = new Float32Array(masked.space.size).map(() => 2 * rng.float());
    const batch = pairs.map((_, i) => i);
    steps.push(await time(() => masked.run(batch, gate, { signal }), { repeats: samples, warmUp: 2 }));
    await model.release();
  }
  return { steps, peak: peakBytes() };
}

/** A child process's part: do the task and print its figures as JSON. */
export async function runTask(json: string): Promise<void> {
  const task: Task = JSON.parse(json);
  const { load, threads, samples } = task;
  const run = () => {
    if (task.kind === 'rates')
      return measureRates({ bytes: load.streamed, size: load.square, threads, repeats: samples });
    return (task.kind === 'forward' ? forward : mask)(task);
  };
  console.log(JSON.stringify(await run()));
}

/** Run a task in a process that ends with this one. */
async function inProcess<T>(task: Task): Promise<T> {
  const flag = `--size-task=${JSON.stringify(task)}`;
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), flag], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill('SIGKILL');
  // Before the checkpoint that it reads is deleted.
  process.prependOnceListener('exit', kill);
  try {
    const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')]);
    if (code !== 0) throw new Error(`the ${task.kind} process ended with ${signal ?? code}`);
    return JSON.parse(output) as T;
  } finally {
    process.off('exit', kill);
  }
}

const roofs: Record<keyof Rates, string> = { bandwidth: 'memory bandwidth', gemm: 'the rate of products' };

/** A figure's samples through `of`, with their number. */
const figure = (samples: Samples, of?: (sample: number) => number) =>
  `${spread(samples, of)}   n ${samples.length}`;
const giga = (x: number) => x / 1e9;

const since = (begin: number) => `${digits((performance.now() - begin) / 1000)} s`;

export interface SizesOptions {
  /** Where the checkpoints are written. */
  folder: string;
  quick: boolean;
  /** Billions of parameters, by commas: keys of `models`. */
  params: string;
  /** Keys of `formats`, by commas. */
  dtype: string;
  threads: number;
  repeats: number;
  report: Report;
}

export async function sizes(options: SizesOptions): Promise<void> {
  const { quick, params, dtype } = options;
  const chosen = quick
    ? [{ name: 'Tiny', config: quickModel }]
    : known('--params', params, models).map(([name, config]) => ({ name: `Qwen2.5-${name}B`, config }));
  const wanted = known('--dtype', dtype, formats);
  for (const { name, config } of chosen) {
    for (const [label, format] of wanted) await oneModel(`${name} shapes, ${label}`, config, format, options);
  }
}

/** The entries of `table` that a list names. */
function known<T>(flag: string, list: string, table: Readonly<Record<string, T>>): [string, T][] {
  return list.split(',').map((key) => {
    const value = table[key];
    if (value === undefined) throw new Error(`${flag} ${key}: known are ${Object.keys(table).join(', ')}`);
    return [key, value];
  });
}

async function oneModel(
  name: string,
  json: Record<string, unknown>,
  { dtype, lean, width }: Format,
  { folder: parent, quick, threads, repeats, report }: SizesOptions,
): Promise<void> {
  const folder = `${parent}/sizes`;
  const load = quick ? quickLoad : fullLoad;
  report.heading(name);
  const begin = performance.now();
  const bytes = await writeRandomCheckpoint(
    folder,
    { ...json, torch_dtype: dtype === 'F32' ? 'float32' : 'bfloat16' },
    dtype,
  );
  report.line('checkpoint written', `${digits(giga(bytes))} GB, ${since(begin)}`);
  const config = readConfig(folder);
  const rates: Rates = { bandwidth: [], gemm: [] };
  /** Run a task, and measure the machine's rates before it: they drift where others share the machine. */
  const measured = async <T>(kind: 'forward' | 'mask', samples: number): Promise<T> => {
    const more = await inProcess<Rates>({ kind: 'rates', load, threads, samples: 3 });
    rates.bandwidth.push(...more.bandwidth);
    rates.gemm.push(...more.gemm);
    const result = await inProcess<T>({ kind, folder, load, threads, lean, samples });
    report.line(`${kind} process done`, `after ${since(begin)}`);
    return result;
  };
  try {
    const runs: Forward[] = [];
    for (let i = 0; i < repeats; i++) runs.push(await measured('forward', 2));
    const masks = await measured<Mask>('mask', 5 * repeats);
    print({ report, config, width, load, rates, runs, masks });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print({
  report,
  config,
  width,
  load,
  rates,
  runs,
  masks,
}: {
  report: Report;
  config: ModelConfig;
  width: number;
  load: Load;
  rates: Rates;
  runs: readonly Forward[];
  masks: Mask;
}): void {
  /** A figure, and under it what the machine's rates allow for its work and how much of that it reached. */
  const beside = (label: string, seconds: Samples, work: Work, of: (seconds: number) => number) => {
    const bound = attainable(work, rates);
    report.line(label, figure(seconds, of));
    const reached = spread(seconds, (s) => (100 * bound.seconds) / s);
    report.line(
      `  bound by ${roofs[bound.by]}`,
      `${digits(of(bound.seconds))}, of which reached ${reached} %`,
    );
  };
  const mega = (x: number) => x / 1e6;
  report.line('memory bandwidth, GB/s', figure(rates.bandwidth, giga));
  report.line(`products of ${load.square} x ${load.square}, GFLOP/s`, figure(rates.gemm, giga));
  const each = (of: (run: Forward) => number) => runs.map(of);
  report.line('load until the first token, seconds', figure(each((run) => run.load)));
  report.line(
    '  peak memory, MB',
    figure(
      each((run) => run.loadedPeak),
      mega,
    ),
  );
  report.line(
    'peak memory with prefill and decoding, MB',
    figure(
      each((run) => run.peak),
      mega,
    ),
  );
  report.line('peak memory of the mask steps, MB', figure([masks.peak], mega));
  const { prefillTokens, promptTokens, newTokens } = load;
  beside(
    `prefill of ${prefillTokens} tokens, tokens/s`,
    runs.flatMap((run) => run.prefill),
    prefill(config, width, prefillTokens),
    (s) => prefillTokens / s,
  );
  load.decodeBatches.forEach((batch, i) => {
    // The mean over the steps that are counted.
    const context = promptTokens + 1 + newTokens / 2;
    const step = decodeStep(config, width, batch, context);
    beside(
      `decoding, batch ${batch}, tokens/s`,
      runs.flatMap((run) => run.decode[i]!),
      { flops: newTokens * step.flops, bytes: newTokens * step.bytes },
      (s) => (batch * newTokens) / s,
    );
  });
  load.maskTokens.forEach((tokens, i) => {
    beside(
      `mask step, ${load.pairs} prefixes of ${tokens}, seconds`,
      masks.steps[i]!,
      maskStep(config, width, load.pairs, tokens),
      (s) => s,
    );
  });
}
