import type { Doc } from '../../data/benchmark-docs.ts';
import { InputError } from '../../errors.ts';
import {
  type Asked,
  contextOf,
  documentTokens,
  runBenchmark,
  type Scored,
} from '../../evaluate/benchmarks/run.ts';
import type { BenchmarkTask, MetricValue } from '../../evaluate/benchmarks/task.ts';
import { HarnessTokens } from '../../evaluate/harness-tokens.ts';
import { type ChatStyle, harnessPrompts, type Shots } from '../../evaluate/prompt.ts';
import type { Overlay } from '../../model/overlay.ts';
import { chunks, makeRunners } from '../context.ts';
import { MeanLength } from '../expected.ts';
import { type Piece, StageWork } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

/** Documents that run together. What a chunk's rounding is does not depend on where a run was interrupted. */
const CHUNK = 64;

export interface BenchmarkSettings {
  batch: number;
  maxTokens: number;
  /** Tokens that the model sees at most; null for what its config says. */
  maxLength: number | null;
}

/** A task (of a group, one of its parts) with its documents in their order. */
export interface BenchmarkPart {
  name: string;
  docs: readonly { id: number; doc: Doc }[];
  shots: Shots;
}

/** Values by part, filter and metric, in the order of the documents. */
export type BenchmarkValues = Record<string, Record<string, Record<string, MetricValue[]>>>;

const samplesName = (part: string): string => `samples_${part}.jsonl`;

/** The parts of a task: one, or one per subject in the order of the file. */
export function partsOf(task: BenchmarkTask, docs: readonly Doc[], shots: Shots): BenchmarkPart[] {
  const parts = new Map<string, { id: number; doc: Doc }[]>();
  for (const doc of docs) {
    const name = task.part ? `${task.name}_${task.part(doc)}` : task.name;
    const own = parts.get(name) ?? [];
    own.push({ id: own.length, doc });
    parts.set(name, own);
  }
  return [...parts].map(([name, own]) => {
    const pool = task.part
      ? shots.pool.filter((doc) => `${task.name}_${task.part!(doc)}` === name)
      : shots.pool;
    const needed = shots.count + (shots.sameFile && shots.count > 0 ? 1 : 0);
    if (pool.length < needed) {
      const what = `has ${pool.length} documents for ${name}, and ${shots.count} worked examples are wanted`;
      throw new InputError('--few-shot', what, 'Give a larger file, or fewer --shots.');
    }
    return { name, docs: own, shots: { ...shots, pool } };
  });
}

/** Scores every document; each is kept in its part's samples file as soon as it and those before it are scored. */
export async function benchmarkStage(
  context: RunContext,
  {
    task,
    parts,
    overlay,
    chat,
    settings,
  }: {
    task: BenchmarkTask;
    parts: readonly BenchmarkPart[];
    overlay: Overlay;
    chat: ChatStyle | null;
    settings: BenchmarkSettings;
  },
): Promise<{ values: BenchmarkValues; maxLength: number; seconds: number }> {
  const { model, run } = context;
  const tokens = new HarnessTokens(model, settings.maxLength);
  // A choice is the beginning of the assistant's turn: nothing stands between.
  const asking = chat && task.output === 'multiple_choice' ? { ...task, delimiter: '' } : task;
  if (task.output === 'generate_until' && settings.maxTokens >= tokens.maxLength) {
    const what = `is ${settings.maxTokens}, and the model sees ${tokens.maxLength} tokens in all`;
    throw new InputError('--max-tokens', what, 'Give less, or a larger --max-length.');
  }
  const stage = run.stage(
    'benchmark',
    parts.map(({ name }) => samplesName(name)),
    { documents: contentHash(parts) },
  );
  const end = announce(context, 'benchmark', stage.finished);
  const total = parts.reduce((sum, { docs }) => sum + docs.length, 0);
  const length = new MeanLength(Math.min(settings.batch, CHUNK, total));
  const pieces = stage.finished
    ? []
    : parts.flatMap((part) => piecesOf(asking, part, chat, tokens, settings, length));
  const isKept = ({ part, docs }: Chunk) => docs.every(({ id }) => stage.has(`${part} ${id}`));
  const waiting = pieces.filter((chunk) => !isKept(chunk));
  const kept = total - waiting.reduce((sum, { docs }) => sum + docs.length, 0);
  const items = { stage: 'benchmark', unit: 'documents', total, kept };
  const work = new StageWork(
    context,
    items,
    waiting.map(({ piece }) => piece),
  );
  const options = {
    ...settings,
    signal: work.signal,
    onCompletion: (tokens: number) => length.add(tokens),
  };
  let done = 0;
  const values: BenchmarkValues = {};
  for (const { name, docs, shots } of parts) {
    const prompts = harnessPrompts(
      task,
      docs.map(({ doc }) => doc),
      shots,
      chat,
    );
    const asked = docs.map(({ id, doc }, i): Asked => ({ id, doc, prompt: prompts[i]! }));
    const contexts =
      asking.output === 'multiple_choice' && !stage.finished
        ? asked.map((one) => contextOf(asking, one, tokens))
        : [];
    // Contexts that are cut at their beginning share nothing.
    const whole = contexts.filter((ids) => ids.length <= tokens.maxLength);
    const runners = await makeRunners(model, whole, overlay);
    const results: Scored['values'][] = [];
    for (const chunk of chunks(asked, CHUNK)) {
      const waits = waiting.find(({ part, docs }) => part === name && docs[0]!.id === chunk[0]!.id);
      if (waits) work.begin(waits.piece);
      const scored = await scoreChunk(
        chunk,
        ({ id }) => stage.has(`${name} ${id}`),
        (onScored) => runBenchmark(asking, chunk, tokens, runners, options, onScored),
        async (one, result) => {
          const of = await stage.unit(`${name} ${one.id}`, async () => {
            const { values, samples } = await result;
            return { result: values, records: { [samplesName(name)]: samples } };
          });
          work.advance(++done, parts.length > 1 ? { note: name } : {});
          return of;
        },
      );
      results.push(...scored);
    }
    values[name] = transpose(results);
  }
  if (!stage.finished) {
    work.end();
    stage.finish({ seconds: stage.seconds });
  }
  end();
  return { values, maxLength: tokens.maxLength, seconds: stage.seconds };
}

/** Documents that run together, with what they are expected to take. */
interface Chunk {
  part: string;
  docs: BenchmarkPart['docs'];
  piece: Piece;
}

function piecesOf(
  task: BenchmarkTask,
  { name, docs, shots }: BenchmarkPart,
  chat: ChatStyle | null,
  tokens: HarnessTokens,
  { maxTokens }: BenchmarkSettings,
  length: MeanLength,
): Chunk[] {
  if (docs.length === 0) return [];
  const all = docs.map(({ doc }) => doc);
  const each = documentTokens(task, all, { shots, chat }, tokens, maxTokens);
  return chunks(docs, CHUNK).map((part) => ({
    part: name,
    docs: part,
    piece: () => ({
      forward: part.length * each,
      ...(task.output === 'generate_until' && { decode: part.length * length.mean }),
    }),
  }));
}

/**
 * A chunk is computed whole or, where all of it is kept, not at all: so an interrupted run leaves the bytes of one that
 * was not. Its documents are kept one by one.
 */
async function scoreChunk<T>(
  chunk: readonly Asked[],
  isKept: (one: Asked) => boolean,
  compute: (onScored: (index: number, scored: Scored) => void) => Promise<void>,
  keep: (one: Asked, result: Promise<Scored>) => Promise<T>,
): Promise<T[]> {
  const waiting = chunk.map(() => deferred<Scored>());
  const results = Promise.all(chunk.map((one, i) => keep(one, waiting[i]!.promise)));
  results.catch(() => undefined);
  if (!chunk.every(isKept)) {
    try {
      await compute((i, scored) => waiting[i]!.resolve(scored));
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
  return results;
}

/** A promise that is settled from outside; nobody need wait for it. */
function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function transpose(scored: readonly Scored['values'][]): BenchmarkValues[string] {
  const columns: BenchmarkValues[string] = {};
  for (const filters of scored) {
    for (const [filter, metrics] of Object.entries(filters)) {
      columns[filter] ??= {};
      for (const [metric, value] of Object.entries(metrics)) {
        columns[filter][metric] ??= [];
        columns[filter][metric].push(value);
      }
    }
  }
  return columns;
}
