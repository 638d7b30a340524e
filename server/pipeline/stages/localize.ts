import { join } from 'node:path';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import type { Pair, Trace } from '../../data/records.ts';
import { completerOf, type Remote } from '../../generate/completer.ts';
import type { TraceOptions } from '../../generate/traces.ts';
import { type BranchingReport, branchingPairs, contrasts, prefixPairs } from '../../localize/localize.ts';
import { reencodedPair, reencodedTrace } from '../../localize/reencode.ts';
import { dealt, type Shard } from '../../runs/shard.ts';
import { chunks, makeRunners } from '../context.ts';
import { MeanLength, meanOf } from '../expected.ts';
import type { LocalizeSettings } from '../settings.ts';
import { sideBySide } from '../window.ts';
import { type Piece, StageWork, sumOf, type Work } from '../work.ts';
import { announce, contentHash, type RunContext } from './common.ts';

const CHUNK = 256;
const PAIRS = 'pairs.jsonl';

export type LocalizeSummary = BranchingReport & { seconds: number };

export interface LocalizeInput {
  /** All traces, also of other shards. */
  traces: readonly Trace[];
  settings: LocalizeSettings;
  generation: TraceOptions;
  shard?: Shard | null;
  /** Completes branches in place of the model here, which still walks the traces. */
  remote?: Remote | null;
}

/** Stage 1, pivots: pairs of a prefix and the tokens that lead right and wrong after it. */
export async function localizeStage(
  context: RunContext,
  { traces, settings, generation, shard = null, remote = null }: LocalizeInput,
): Promise<{ pairs: Pair[]; summary: LocalizeSummary }> {
  const { model, run, emit } = context;
  const stage = run.stage('localize', [PAIRS], { traces: contentHash(traces) });
  const end = announce(context, 'localize', stage.finished);
  if (!stage.finished) {
    const { tokenizer } = model;
    const again = settings.ids === 'reencoded';
    const walked = again ? traces.map((trace) => reencodedTrace(tokenizer, trace)) : traces;
    const found = (pairs: Pair[]) => (again ? pairs.map((pair) => reencodedPair(tokenizer, pair)) : pairs);
    const all = contrasts(walked, settings.counterparts);
    const units = dealt(chunks(all, CHUNK), shard);
    const prompts = walked.map((t) => t.prompt_ids);
    const { shared } = await makeRunners(model, prompts);
    const waiting = units.filter(({ number }) => !stage.has(`contrasts ${number}`));
    const isServed = remote !== null && settings.method === 'branching' && waiting.length > 0;
    const completer = isServed ? await remote.connect(prompts[0]!, completerOf(shared)) : completerOf(shared);
    const branches = new Branches(meanOf(all.map(({ sampled }) => sampled.completion_ids.length)));
    const forecasts = new Map(
      waiting.map(({ number, unit }) => {
        const forward = unit.reduce(
          (sum, { sampled }) => sum + lengthOf(sampled) - shared.sharedIds.length,
          0,
        );
        return [number, new UnitForecast(unit.length, forward, branches, isServed ? 'served' : 'decode')];
      }),
    );
    const pieces = [...forecasts.values()].map(({ work }) => work);
    const whole: Piece = () => sumOf(pieces.map((piece) => piece()));
    const total = units.reduce((sum, { unit }) => sum + unit.length, 0);
    const kept = total - waiting.reduce((sum, { unit }) => sum + unit.length, 0);
    const work = new StageWork(
      context,
      { stage: 'localize', unit: 'traces', total, kept },
      settings.method === 'prefix' ? [] : isServed ? [whole] : pieces,
    );
    // A server works on several units at once: they are one piece.
    if (isServed) work.begin(whole);
    const reports: BranchingReport[] = [];
    let before = 0;
    const results = sideBySide(units, isServed ? 2 : 1, ({ number, unit: part }) =>
      stage.unit(`contrasts ${number}`, async () => {
        if (settings.method === 'prefix') {
          const pairs = found(prefixPairs(part));
          const none = { completions: 0, naiveCompletions: 0, unresolved: part.length - pairs.length };
          return {
            result: { contrasts: part.length, pairs: pairs.length, ...none },
            records: { [PAIRS]: pairs },
          };
        }
        const forecast = forecasts.get(number)!;
        if (!isServed) work.begin(forecast.work);
        const { pairs: branched, report } = await branchingPairs(shared, part, generation, {
          signal: work.signal,
          completer,
          onBranch: (tokens) => branches.length.add(tokens),
          onProgress: (resolved, _, branches) => {
            forecast.round(resolved, branches);
            // Side by side, units would tell their own counts by turns.
            if (!isServed) work.advance(before + resolved);
          },
        });
        const pairs = found(branched);
        for (const pair of pairs) emit({ event: 'pair', pair });
        return { result: report, records: { [PAIRS]: pairs } };
      }),
    );
    for await (const { item, result } of results) {
      reports.push(result);
      before += item.unit.length;
      work.advance(before);
    }
    work.end();
    stage.finish({ ...sumLocalized(reports), seconds: stage.seconds });
  }
  end();
  const pairs = await collect(
    readPairs(join(run.folder, PAIRS), { vocab: model.config.vocabSize, allowEmpty: true }),
  );
  return { pairs, summary: stage.summary as LocalizeSummary };
}

const lengthOf = ({ prompt_ids, completion_ids }: Trace): number => prompt_ids.length + completion_ids.length;

/** What is known of branches: how many a contrast takes, and their length. */
class Branches {
  readonly length: MeanLength;
  /** Branches that were completed, and contrasts that they resolved; a guess at first. */
  private completed = 9;
  private resolved = 8;

  /** @param sampled mean length of the sampled traces: a branch deviates anywhere, and mostly goes on like its own */
  constructor(sampled: number) {
    this.length = new MeanLength(0, Math.max(1, (sampled - 1) / 2));
  }

  add(completed: number, resolved: number): void {
    this.completed += completed;
    this.resolved += resolved;
  }

  get perContrast(): number {
    return this.completed / this.resolved;
  }
}

/** The work of one unit: the walks, the branches of the rounds that have begun, and those expected after them. */
class UnitForecast {
  private readonly contrasts: number;
  private readonly branches: Branches;
  private readonly base: Work;
  private readonly kind: 'decode' | 'served';
  /** Branches that have begun, those of the present round among them, and contrasts that need no more. */
  private begun = 0;
  private present = 0;
  private resolved = 0;

  constructor(contrasts: number, forward: number, branches: Branches, kind: 'decode' | 'served') {
    this.contrasts = contrasts;
    this.branches = branches;
    this.base = { forward };
    this.kind = kind;
  }

  /** A round begins. */
  round(resolved: number, branches: number): void {
    this.branches.add(this.present, resolved - this.resolved);
    this.resolved = resolved;
    this.present = branches;
    this.begun += branches;
  }

  readonly work = (): Work => {
    const { perContrast, length } = this.branches;
    const waiting = this.contrasts - this.resolved - this.present;
    const branches = this.begun + this.present * (perContrast - 1) + waiting * perContrast;
    return { ...this.base, [this.kind]: branches * length.mean };
  };
}

/** Counts of a stage from those of its units. */
export function sumLocalized(units: readonly BranchingReport[]): BranchingReport {
  const sum = { contrasts: 0, pairs: 0, completions: 0, naiveCompletions: 0, unresolved: 0 };
  for (const unit of units)
    for (const key of Object.keys(sum) as (keyof BranchingReport)[]) sum[key] += unit[key];
  return sum;
}
