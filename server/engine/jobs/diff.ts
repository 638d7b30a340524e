import type { Problem, Trace } from '../../data/records.ts';
import { type Interval, mcnemar, pairedCounts, wilson } from '../../evaluate/statistics.ts';
import type { Runner } from '../../generate/forward.ts';
import { encodePrompts } from '../../generate/traces.ts';
import { type DiffRun, diffCompletions } from '../../inspect/diff.ts';
import { diffModels, type TraceDiff } from '../../inspect/diff-models.ts';
import type { Model } from '../../model/model.ts';
import { makeRunners } from '../../pipeline/context.ts';
import { openPatch, type PatchStack } from '../inputs/patch.ts';
import { loadProblems, type ProblemsRef, type PromptOptions } from '../inputs/problems.ts';
import type { ModelRef, Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';

/** One of the two that are compared. */
export interface DiffSide {
  model: ModelRef;
  patch: PatchStack;
}

export interface DiffParams {
  base: DiffSide;
  changed: DiffSide;
  problems: ProblemsRef;
  prompts: PromptOptions;
  maxTokens: number;
  batch: number;
  /** Stop strings, beside the end of the answer sentence. */
  stop: readonly string[];
}

export interface DiffEvent {
  event: 'diff';
  done: number;
  total: number;
  index: number;
  problem: Pick<Problem, 'id' | 'prompt' | 'target' | 'template_id'>;
  base: Pick<Trace, 'completion_ids' | 'text' | 'answer' | 'correct' | 'truncated'>;
  changed: DiffEvent['base'];
  flip: TraceDiff['flip'];
  /** First token of the completions that differs; null for equal ones. */
  firstDivergence: number | null;
  /** What both have, and what only one has; null where the two models do not share a tokenizer. */
  runs: DiffRun[] | null;
}

interface SideFigures {
  correct: number;
  accuracy: number;
  interval: Interval;
}

export interface DiffResult {
  n: number;
  base: SideFigures;
  changed: SideFigures;
  wrongToRight: number;
  rightToWrong: number;
  /** Problems with any difference in their completions. */
  differing: number;
  /** Exact McNemar test. */
  p: number;
}

export const diff =
  (models: Models) =>
  (params: DiffParams, { signal, emit }: JobContext<DiffEvent>): Promise<DiffResult> =>
    models.use(params.base.model, signal, (base) =>
      models.use(params.changed.model, signal, async (changed) => {
        const problems = await loadProblems(params.problems, params.prompts, {
          seed: 0,
          tokenizer: base.model.tokenizer,
          signal,
        });
        const runners = [
          await runnerOf(base.model, problems, params.base.patch),
          await runnerOf(changed.model, problems, params.changed.patch),
        ] as const;
        const shared = sameTokens(base.model, changed.model);
        const diffs = await diffModels(...runners, problems, {
          maxTokens: params.maxTokens,
          batch: params.batch,
          stop: { answer: true, strings: params.stop },
          signal,
          onDiff: (index, { base: a, changed: b, flip, firstDivergence }) => {
            const { id, prompt, target, template_id } = problems[index]!;
            emit({
              event: 'diff',
              done: index + 1,
              total: problems.length,
              index,
              problem: { id, prompt, target, ...(template_id !== undefined && { template_id }) },
              base: outcome(a),
              changed: outcome(b),
              flip,
              firstDivergence,
              runs: shared
                ? diffCompletions(a.completion_ids, b.completion_ids, base.model.tokenizer).runs
                : null,
            });
          },
        });
        const right = diffs.map((d) => [d.base.correct, d.changed.correct] as const);
        const counts = pairedCounts(
          right.map(([a]) => a),
          right.map(([, b]) => b),
        );
        return {
          n: diffs.length,
          base: figures(counts.both + counts.lost, counts.n),
          changed: figures(counts.both + counts.gained, counts.n),
          wrongToRight: counts.gained,
          rightToWrong: counts.lost,
          differing: diffs.filter((d) => d.firstDivergence !== null).length,
          p: mcnemar(counts),
        };
      }),
    );

async function runnerOf(model: Model, problems: readonly Problem[], patch: PatchStack): Promise<Runner> {
  const { shared } = await makeRunners(model, encodePrompts(model, problems), await openPatch(model, patch));
  return shared;
}

/** Whether ids mean the same in both models: enough to put them side by side. */
function sameTokens(a: Model, b: Model): boolean {
  if (a === b) return true;
  const size = a.tokenizer.vocabSize;
  if (size !== b.tokenizer.vocabSize) return false;
  for (let id = 0; id < size; id++) if (a.tokenizer.tokenText(id) !== b.tokenizer.tokenText(id)) return false;
  return true;
}

function outcome({ completion_ids, text, answer, correct, truncated }: Trace): DiffEvent['base'] {
  return { completion_ids, text, answer, correct, truncated };
}

function figures(correct: number, n: number): SideFigures {
  return { correct, accuracy: n > 0 ? correct / n : 0, interval: wilson(correct, n) };
}
