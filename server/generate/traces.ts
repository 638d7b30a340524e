import type { Signal } from '../control.ts';
import { extractAnswer, isCorrect } from '../data/answers.ts';
import type { Decoding, Problem, Trace } from '../data/records.ts';
import { InputError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { Rng } from '../random.ts';
import { type Completer, completerOf } from './completer.ts';
import type { Runner } from './forward.ts';
import type { Served } from './generate.ts';
import { greedy, type Sampling } from './sampler.ts';
import { Stopper, type StopRule } from './stop.ts';

export interface TraceOptions {
  maxTokens: number;
  /** Sequences decoded together. */
  batch: number;
  stop: StopRule;
}

export interface SampleOptions extends TraceOptions {
  /** Sampled traces per problem at most. */
  samples: number;
  /** A problem is done once this many samples have the other correctness than its greedy trace. */
  counterparts: number;
  /** Temperature where greedy was wrong, and where it was right. */
  temperatureWrong: number;
  temperatureRight: number;
  topP: number;
  topK: number;
  seed: number;
}

export interface TraceHooks {
  signal: Signal;
  onTrace?(trace: Trace): void;
  onTokens?(total: number): void;
  /** A round of samples begins: how many problems still lack counterparts. */
  onRound?(round: number, open: number): void;
}

/** Prompt token ids of problems, the shared prefix of the runner included. */
export function encodePrompts(model: Model, problems: readonly Problem[]): number[][] {
  return problems.map((problem) => {
    const ids = model.tokenizer.encode(problem.prompt, {
      addSpecialTokens: problem.add_special_tokens ?? true,
    });
    if (ids.length === 0) {
      throw new InputError(`problem ${problem.id}`, 'the prompt has no tokens', 'Give it a prompt');
    }
    return ids;
  });
}

/** Token ids of texts; those of a single token predict nothing and are left out. */
export function encodeTexts(model: Model, texts: readonly string[]): number[][] {
  return texts.map((text) => model.tokenizer.encode(text)).filter((ids) => ids.length > 1);
}

/**
 * The token prefix that every prompt starts with, to be computed once; [] where it is too short to pay. At least one
 * token of each prompt stays outside.
 */
export function sharedPrefix(prompts: readonly (readonly number[])[]): number[] {
  const first = prompts[0];
  if (!first || prompts.length < 2) return [];
  let length = Math.min(...prompts.map((p) => p.length)) - 1;
  for (const prompt of prompts) {
    let same = 0;
    while (same < length && prompt[same] === first[same]) same++;
    length = same;
  }
  return length >= 16 ? first.slice(0, length) : [];
}

/** One greedy trace per problem. */
export async function greedyTraces(
  source: Runner | Completer,
  problems: readonly Problem[],
  options: TraceOptions,
  hooks: TraceHooks,
): Promise<Trace[]> {
  const completer = completerOf(source);
  const prompts = encodePrompts(completer.model, problems);
  const jobs = problems.map((problem, i) => ({
    problem,
    prompt: prompts[i]!,
    sampling: greedy,
    key: 'greedy',
  }));
  return complete(completer, jobs, options, hooks, { strategy: 'greedy' });
}

/**
 * Sampled traces, looking for the other correctness than the greedy trace's: in rounds, one more sample for each
 * problem that still lacks counterparts. The result is ordered by problem, then by sample.
 */
export async function sampledTraces(
  source: Runner | Completer,
  problems: readonly Problem[],
  greedyOf: readonly Trace[],
  options: SampleOptions,
  hooks: TraceHooks,
): Promise<Trace[]> {
  const completer = completerOf(source);
  const prompts = encodePrompts(completer.model, problems);
  const found = problems.map(() => 0);
  const traces = problems.map((): Trace[] => []);
  for (let sample = 0; sample < options.samples; sample++) {
    const open = problems.map((_, i) => i).filter((i) => found[i]! < options.counterparts);
    if (open.length === 0) break;
    hooks.onRound?.(sample, open.length);
    const jobs = open.map((i) => ({
      problem: problems[i]!,
      prompt: prompts[i]!,
      key: `sample ${sample}`,
      sampling: {
        temperature: greedyOf[i]!.correct ? options.temperatureRight : options.temperatureWrong,
        topP: options.topP,
        topK: options.topK,
      },
    }));
    const round = await complete(completer, jobs, options, hooks, {
      strategy: 'sample',
      top_p: options.topP,
      top_k: options.topK,
      seed: options.seed,
    });
    round.forEach((trace, j) => {
      const i = open[j]!;
      traces[i]!.push(trace);
      if (trace.correct !== greedyOf[i]!.correct) found[i] = found[i]! + 1;
    });
  }
  return traces.flat();
}

async function complete(
  completer: Completer,
  jobs: readonly { problem: Problem; prompt: number[]; sampling: Sampling; key: string }[],
  options: TraceOptions,
  hooks: TraceHooks,
  decoding: Decoding,
): Promise<Trace[]> {
  const { model, sharedIds } = completer;
  const stopper = new Stopper(model.tokenizer, model.config.eosTokenIds, options.stop);
  const skip = sharedIds.length;
  const traces = new Array<Trace>(jobs.length);
  await completer.complete(
    jobs.map(({ problem, prompt, sampling, key }) => ({
      ids: prompt.slice(skip),
      sampling,
      maxTokens: options.maxTokens,
      ...(sampling.temperature > 0 && { rng: new Rng(decoding.seed ?? 0).fork(`${problem.id} ${key}`) }),
    })),
    {
      batch: options.batch,
      stop: stopper.isOver,
      signal: hooks.signal,
      ...(hooks.onTokens && { onTokens: hooks.onTokens }),
      onDone(i, { ids, truncated, served }) {
        const { problem, prompt, sampling, key } = jobs[i]!;
        const used = {
          ...decoding,
          ...(sampling.temperature > 0 && { temperature: sampling.temperature }),
          ...(served && { endpoint: served.model, ids: served.ids }),
        };
        const kept = stopper.trim(ids);
        traces[i] = {
          ...makeTrace(stopper, problem, prompt, kept, truncated, used, key),
          ...logProbabilities(served, kept.length),
        };
        hooks.onTrace?.(traces[i]!);
      },
    },
  );
  return traces;
}

/** Of the ids that are kept. */
function logProbabilities(
  served: Served | undefined,
  kept: number,
): { log_probabilities?: (number | null)[] } {
  return served?.logProbabilities ? { log_probabilities: served.logProbabilities.slice(0, kept) } : {};
}

function makeTrace(
  stopper: Stopper,
  problem: Problem,
  prompt: number[],
  ids: number[],
  truncated: boolean,
  decoding: Decoding,
  key: string,
): Trace {
  const text = stopper.text(ids);
  const answer = extractAnswer(text);
  return {
    id: `${problem.id}/${key.replace(' ', '-')}`,
    problem_id: problem.id,
    ...(problem.template_id !== undefined && { template_id: problem.template_id }),
    ...(problem.instance_id !== undefined && { instance_id: problem.instance_id }),
    ...(problem.split !== undefined && { split: problem.split }),
    target: problem.target,
    prompt_ids: prompt,
    completion_ids: ids,
    decoding,
    text,
    answer,
    correct: isCorrect(answer, problem.target),
    truncated,
  };
}
