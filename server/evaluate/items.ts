import type { Signal } from '../control.ts';
import type { ControlItem, Problem, Trace } from '../data/records.ts';
import type { Runner } from '../generate/forward.ts';
import { generate } from '../generate/generate.ts';
import { greedy } from '../generate/sampler.ts';
import { Stopper } from '../generate/stop.ts';
import { greedyTraces, type TraceOptions } from '../generate/traces.ts';
import { scoreContinuations } from './likelihood.ts';
import { matchesControl, matchesTrivia } from './normalize.ts';

/** What a model did with one test item. */
export interface Outcome {
  correct: boolean;
  /** The completion, or the chosen choice. */
  text: string;
  /** Log-likelihood of each choice, for multiple choice. */
  logLikelihoods?: number[];
}

/** Share of right outcomes; 0 of none. */
export const accuracyOf = (outcomes: readonly Outcome[]): number =>
  outcomes.filter((o) => o.correct).length / Math.max(1, outcomes.length);

export interface ItemHooks {
  signal: Signal;
  /** Every item's outcome as soon as it is known, in whatever order they end. */
  onOutcome?(index: number, outcome: Outcome): void;
  /** A completion has ended after so many tokens. */
  onCompletion?(tokens: number): void;
}

/** Greedy accuracy on problems: outcome by problem, in their order. */
export async function evaluateProblems(
  runner: Runner,
  problems: readonly Problem[],
  options: TraceOptions,
  { signal, onOutcome, onCompletion }: ItemHooks,
): Promise<Outcome[]> {
  const places = new Map(problems.map(({ id }, i) => [id, i]));
  const outcomeOf = ({ correct, text }: Trace): Outcome => ({ correct, text });
  const traces = await greedyTraces(runner, problems, options, {
    signal,
    onTrace: (trace) => {
      onCompletion?.(trace.completion_ids.length);
      onOutcome?.(places.get(trace.problem_id)!, outcomeOf(trace));
    },
  });
  return traces.map(outcomeOf);
}

/**
 * Control items: open recall by greedy completion, up to a line break or the end of text, compared exactly after white
 * space is normalised; multiple choice by the choice of highest log-likelihood (the sum over its tokens).
 */
export async function evaluateControls(
  runner: Runner,
  items: readonly ControlItem[],
  { batch, maxTokens }: { batch: number; maxTokens: number },
  { signal, onOutcome, onCompletion }: ItemHooks,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(items.length);
  const settle = (i: number, outcome: Outcome) => {
    outcomes[i] = outcome;
    onOutcome?.(i, outcome);
  };
  const indices = items.map((_, i) => i);
  await recall(
    runner,
    items,
    indices.filter((i) => !isChoice(items[i]!)),
    { batch, maxTokens, signal, settle, onCompletion },
  );
  await chooseByLikelihood(
    runner,
    items,
    indices.filter((i) => isChoice(items[i]!)),
    { signal, settle },
  );
  return outcomes;
}

type ChoiceItem = Extract<ControlItem, { choices: string[] }>;
export type RecallItem = Exclude<ControlItem, ChoiceItem>;

export function isChoice(item: ControlItem): item is ChoiceItem {
  return Array.isArray(item.choices);
}

async function recall(
  runner: Runner,
  items: readonly ControlItem[],
  indices: readonly number[],
  options: {
    batch: number;
    maxTokens: number;
    signal: Signal;
    settle(i: number, outcome: Outcome): void;
    onCompletion: ItemHooks['onCompletion'];
  },
): Promise<void> {
  const { tokenizer, config } = runner.model;
  const stopper = new Stopper(tokenizer, config.eosTokenIds, { answer: false, strings: ['\n'] });
  await generate(
    runner,
    indices.map((i) => ({
      ids: tokenizer.encode(items[i]!.prompt),
      sampling: greedy,
      maxTokens: options.maxTokens,
    })),
    {
      batch: options.batch,
      stop: stopper.isOver,
      signal: options.signal,
      onDone(request, { ids }) {
        options.onCompletion?.(ids.length);
        const i = indices[request]!;
        const text = stopper.text(stopper.trim(ids)).split('\n')[0]!;
        const { answer, compare } = items[i] as RecallItem;
        const correct =
          compare === 'trivia' ? matchesTrivia(text, [answer].flat()) : matchesControl(text, answer);
        options.settle(i, { correct, text });
      },
    },
  );
}

async function chooseByLikelihood(
  runner: Runner,
  items: readonly ControlItem[],
  indices: readonly number[],
  { signal, settle }: { signal: Signal; settle(i: number, outcome: Outcome): void },
): Promise<void> {
  const { tokenizer } = runner.model;
  const encoded = indices.map((i) => {
    const { prompt, choices } = items[i] as ChoiceItem;
    const context = tokenizer.encode(prompt);
    return choices.map((choice) => ({ context, ids: tokenizer.encode(choice, { addSpecialTokens: false }) }));
  });
  const scored = await scoreContinuations({ shared: runner, plain: runner }, encoded, {
    maxLength: Number.POSITIVE_INFINITY,
    signal,
  });
  indices.forEach((i, n) => {
    const { choices, label } = items[i] as ChoiceItem;
    const logLikelihoods = scored[n]!.map((one) => one.logLikelihood);
    const best = logLikelihoods.indexOf(Math.max(...logLikelihoods));
    settle(i, { correct: best === label, text: choices[best]!, logLikelihoods });
  });
}
