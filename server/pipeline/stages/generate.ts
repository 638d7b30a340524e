import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import type { Problem, Trace } from '../../data/records.ts';
import { readTraces } from '../../data/traces.ts';
import { completerOf, type Remote } from '../../generate/completer.ts';
import { encodePrompts, greedyTraces, sampledTraces } from '../../generate/traces.ts';
import { dealt, type Shard } from '../../runs/shard.ts';
import { chunks, makeRunners } from '../context.ts';
import { MeanLength, meanOf, Rounds } from '../expected.ts';
import type { GenerateSettings } from '../settings.ts';
import { sideBySide } from '../window.ts';
import { type Piece, StageWork, sumOf, type Work } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

/** Problems per unit of work: what a kill loses at most, and the scope in which batches are composed. */
const CHUNK = 128;
/** The same for a server: several such units are under way at once, so that none waits for another's last sample. */
const SERVED_CHUNK = 32;
const TRACES = 'traces.jsonl';

export interface GenerateCounts {
  problems: number;
  traces: number;
  tokens: number;
  greedyCorrect: number;
  /** Problems with at least one sample of the other correctness. */
  contrasted: number;
}

export type GenerateSummary = GenerateCounts & { seconds: number };

export interface GenerateInput {
  /** All problems, also of other shards: what their prompts share is computed once. */
  problems: readonly Problem[];
  settings: GenerateSettings;
  seed: number;
  shard?: Shard | null;
  /** Completes in place of the model here. */
  remote?: Remote | null;
}

/** Stage 1, traces: a greedy one per problem and sampled ones that look for the other correctness. */
export async function generateStage(
  context: RunContext,
  { problems, settings, seed, shard = null, remote = null }: GenerateInput,
): Promise<{ traces: Trace[]; summary: GenerateSummary }> {
  const { model, run, emit } = context;
  const stage = run.stage('generate', [TRACES], { problems: contentHash(problems) });
  const end = announce(context, 'generate', stage.finished);
  if (!stage.finished) {
    const units = dealt(chunks(problems, remote ? SERVED_CHUNK : CHUNK), shard);
    const prompts = encodePrompts(model, problems);
    const makeCompleter = async () =>
      remote ? remote.connect(prompts[0]!) : completerOf((await makeRunners(model, prompts)).shared);
    const isLeft = units.some(({ number }) => !stage.has(`problems ${number}`));
    const completer = isLeft ? await makeCompleter() : null;
    const length = new MeanLength(Math.min(settings.batch, CHUNK, problems.length));
    const rounds = new Rounds(settings.counterparts, settings.samples);
    const forecasts = new Map(
      units.map(({ number, unit }) => [number, new UnitForecast(unit.length, rounds)]),
    );
    const waiting = units.filter(({ number }) => !stage.has(`problems ${number}`));
    const prompt = Math.max(
      0,
      meanOf(prompts.map((ids) => ids.length - 1)) - (completer?.sharedIds.length ?? 0),
    );
    const expected = (number: number): Work => {
      const { traces } = forecasts.get(number)!;
      return remote
        ? { served: traces * length.mean }
        : { forward: traces * prompt, decode: traces * length.mean };
    };
    const pieces = new Map(waiting.map(({ number }) => [number, () => expected(number)]));
    const all: Piece = () => sumOf(waiting.map(({ number }) => expected(number)));
    const total = units.reduce((sum, { unit }) => sum + unit.length, 0);
    const kept = total - waiting.reduce((sum, { unit }) => sum + unit.length, 0);
    // A server works on several units at once: they are one piece.
    const work = new StageWork(
      context,
      { stage: 'generate', unit: 'problems', total, kept },
      remote ? [all] : [...pieces.values()],
    );
    if (remote) work.begin(all);
    const onTrace = (trace: Trace) => {
      length.add(trace.completion_ids.length);
      emit({ event: 'trace', trace });
    };
    const width = remote ? Math.max(2, Math.ceil((2 * remote.concurrency) / SERVED_CHUNK)) : 1;
    const counts: GenerateCounts[] = [];
    let done = 0;
    const results = sideBySide(units, width, ({ number, unit: part }) =>
      stage.unit(`problems ${number}`, async () => {
        const forecast = forecasts.get(number)!;
        if (!remote) work.begin(pieces.get(number)!);
        const hooks = { signal: work.signal, onTrace, onRound: forecast.begin };
        const greedy = await greedyTraces(completer!, part, settings, hooks);
        const sampled = await sampledTraces(completer!, part, greedy, { ...settings, seed }, hooks);
        forecast.end();
        const traces = [...greedy, ...sampled];
        const contrasted = greedy.filter((own) =>
          sampled.some((s) => s.problem_id === own.problem_id && s.correct !== own.correct),
        );
        return {
          result: {
            problems: part.length,
            traces: traces.length,
            tokens: traces.reduce((n, t) => n + t.completion_ids.length, 0),
            greedyCorrect: greedy.filter((t) => t.correct).length,
            contrasted: contrasted.length,
          },
          records: { [TRACES]: traces },
        };
      }),
    );
    for await (const { item, result } of results) {
      counts.push(result);
      done += item.unit.length;
      work.advance(done);
    }
    work.end();
    stage.finish({ ...sumGenerated(counts), seconds: stage.seconds });
  }
  end();
  const traces = await collect(
    readTraces(join(run.folder, TRACES), { vocab: model.config.vocabSize, allowEmpty: shard !== null }),
  );
  return { traces, summary: stage.summary as GenerateSummary };
}

/** How many traces a unit takes: the greedy ones, the samples of the rounds that have begun, and those expected after them. */
class UnitForecast {
  private readonly problems: number;
  private readonly rounds: Rounds;
  private begun: number;
  private rest: () => number;

  constructor(problems: number, rounds: Rounds) {
    this.problems = problems;
    this.rounds = rounds;
    this.begun = problems;
    this.rest = () => problems * rounds.expected;
  }

  get traces(): number {
    return this.begun + this.rest();
  }

  readonly begin = (round: number, open: number): void => {
    this.rounds.add(round, open, this.problems);
    this.begun += open;
    this.rest = () => open * this.rounds.after(round);
  };

  end(): void {
    this.rest = () => 0;
  }
}

/** Counts of a stage from those of its units. */
export function sumGenerated(units: readonly GenerateCounts[]): GenerateCounts {
  const sum = { problems: 0, traces: 0, tokens: 0, greedyCorrect: 0, contrasted: 0 };
  for (const unit of units)
    for (const key of Object.keys(sum) as (keyof GenerateCounts)[]) sum[key] += unit[key];
  return sum;
}
