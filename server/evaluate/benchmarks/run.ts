/** Running a benchmark's documents through a model; every document is handed over as it is scored. */
import type { Signal } from '../../control.ts';
import type { Doc } from '../../data/benchmark-docs.ts';
import { InputError } from '../../errors.ts';
import type { Runner } from '../../generate/forward.ts';
import { generate } from '../../generate/generate.ts';
import { greedy } from '../../generate/sampler.ts';
import { Stopper } from '../../generate/stop.ts';
import { sharedPrefix } from '../../generate/traces.ts';
import type { HarnessTokens } from '../harness-tokens.ts';
import { type Continuation, type LikelihoodRunners, scoreContinuations } from '../likelihood.ts';
import { type ChatStyle, harnessPrompts, type Shots } from '../prompt.ts';
import { floatText, likelihoodResponse, makeSample, type Sample } from './sample.ts';
import type { BenchmarkTask, ChoiceTask, GenerationTask, MetricValue, TextTask } from './task.ts';

/** A document with its place in the file and its prompt. */
export interface Asked {
  id: number;
  doc: Doc;
  prompt: string;
}

/** A scored document: the values of the metrics by filter, and what goes into the samples file. */
export interface Scored {
  values: Record<string, Record<string, MetricValue>>;
  samples: Sample[];
}

export interface BenchmarkOptions {
  /** Sequences decoded together. */
  batch: number;
  /** Tokens of a completion at most. */
  maxTokens: number;
  signal: Signal;
  /** A completion has ended after so many tokens. */
  onCompletion?(tokens: number): void;
}

/** The one filter of tasks that score log-likelihoods. */
const NONE = 'none';

/**
 * Scores documents.
 * @param onScored called once for every document, in whatever order they end
 */
export function runBenchmark(
  task: BenchmarkTask,
  asked: readonly Asked[],
  tokens: HarnessTokens,
  runners: LikelihoodRunners,
  options: BenchmarkOptions,
  onScored: (index: number, scored: Scored) => void,
): Promise<void> {
  switch (task.output) {
    case 'generate_until':
      return complete(task, asked, tokens, runners.plain, options, onScored);
    case 'multiple_choice':
      return choose(task, asked, tokens, runners, options, onScored);
    case 'loglikelihood_rolling':
      return measure(task, asked, tokens, runners, options, onScored);
  }
}

/** Documents that an expected number of tokens is taken from. */
const SAMPLE = 16;

/** Tokens of given text that a document takes through the model on average, as some of them show. */
export function documentTokens(
  task: BenchmarkTask,
  docs: readonly Doc[],
  { shots, chat }: { shots: Shots; chat: ChatStyle | null },
  tokens: HarnessTokens,
  maxTokens: number,
): number {
  const every = Math.max(1, Math.floor(docs.length / SAMPLE));
  const some = docs.filter((_, i) => i % every === 0);
  const prompts = harnessPrompts(task, some, shots, chat);
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  switch (task.output) {
    case 'generate_until':
      return sum(prompts.map((prompt) => tokens.prompt(prompt, maxTokens).length - 1)) / some.length;
    case 'loglikelihood_rolling': {
      const windows = some.flatMap((doc) => tokens.windows(String(task.target(doc))));
      return sum(windows.map(({ context, ids }) => context.length + ids.length - 1)) / some.length;
    }
    case 'multiple_choice': {
      const groups = some.map((doc, i) => continuationsOf(task, doc, prompts[i]!, tokens));
      const contexts = groups.map(([first]) => first!.context);
      const rest = sum(groups.flat().map(({ ids }) => ids.length - 1));
      const all = sum(contexts.map((context) => Math.min(context.length, tokens.maxLength))) + rest;
      // What they share runs once.
      return Math.max(0, all / some.length - sharedPrefix(contexts).length);
    }
  }
}

/** Token ids of what a document's continuations come after, for finding a prefix that many share. */
export function contextOf(
  task: ChoiceTask,
  { doc, prompt }: Asked,
  tokens: HarnessTokens,
): readonly number[] {
  return continuationsOf(task, doc, prompt, tokens)[0]!.context;
}

function continuationsOf(task: ChoiceTask, doc: Doc, prompt: string, tokens: HarnessTokens): Continuation[] {
  const choices = task.choices(doc).map((choice) => task.delimiter + choice);
  return tokens.continuations(prompt, choices);
}

async function complete(
  task: GenerationTask,
  asked: readonly Asked[],
  tokens: HarnessTokens,
  runner: Runner,
  { batch, maxTokens, signal, onCompletion }: BenchmarkOptions,
  onScored: (index: number, scored: Scored) => void,
): Promise<void> {
  const { tokenizer, config } = runner.model;
  // The end-of-text token stops by its id; as a text it also cuts where it is spelled out.
  const ends = config.eosTokenIds.map((id) => tokenizer.decode([id])).filter((text) => text !== '');
  const until = [...new Set([...task.until, ...ends])];
  const stopper = new Stopper(tokenizer, config.eosTokenIds, { answer: false, strings: until });
  const settings = { until, do_sample: false, temperature: 0, max_gen_toks: maxTokens };
  await generate(
    runner,
    asked.map(({ prompt }) => ({ ids: tokens.prompt(prompt, maxTokens), sampling: greedy, maxTokens })),
    {
      batch,
      signal,
      stop: stopper.isOver,
      onDone(i, { ids }) {
        onCompletion?.(ids.length);
        const { id, doc, prompt } = asked[i]!;
        let text = stopper.text(ids);
        for (const end of until) text = text.split(end, 1)[0]!;
        const values: Scored['values'] = {};
        const samples = task.filters.map(({ name, apply }) => {
          const filtered = apply(text);
          values[name] = task.score(filtered, doc);
          const outcome = { filter: name, filtered: [filtered], values: values[name] };
          return makeSample(id, doc, task.target(doc), [[prompt, settings]], [text], outcome);
        });
        onScored(i, { values, samples });
      },
    },
  );
}

async function choose(
  task: ChoiceTask,
  asked: readonly Asked[],
  tokens: HarnessTokens,
  runners: LikelihoodRunners,
  { signal }: BenchmarkOptions,
  onScored: (index: number, scored: Scored) => void,
): Promise<void> {
  const groups = asked.map(({ id, doc, prompt }) => {
    const group = continuationsOf(task, doc, prompt, tokens);
    const empty = group.findIndex(({ ids }) => ids.length === 0);
    if (empty < 0) return group;
    const what = `choice ${JSON.stringify(task.choices(doc)[empty])} adds no token to the prompt`;
    throw new InputError(`document ${id}`, what, 'Give it another text.');
  });
  const scored = await scoreContinuations(runners, groups, { maxLength: tokens.maxLength, signal });
  for (const [i, { id, doc, prompt }] of asked.entries()) {
    const values = task.score(
      scored[i]!.map((one) => one.logLikelihood),
      doc,
    );
    const responses = scored[i]!.map(likelihoodResponse);
    const requests = task.choices(doc).map((choice) => [prompt, task.delimiter + choice]);
    const outcome = { filter: NONE, filtered: responses, values };
    const sample = makeSample(id, doc, task.target(doc), requests, responses, outcome);
    onScored(i, { values: { [NONE]: values }, samples: [sample] });
  }
}

async function measure(
  task: TextTask,
  asked: readonly Asked[],
  tokens: HarnessTokens,
  runners: LikelihoodRunners,
  { signal }: BenchmarkOptions,
  onScored: (index: number, scored: Scored) => void,
): Promise<void> {
  const texts = asked.map(({ doc }) => String(task.target(doc)));
  const windows = texts.map((text) => tokens.windows(text));
  const all = windows.flat().map((window) => [window]);
  const scored = await scoreContinuations(runners, all, { maxLength: tokens.maxLength, signal });
  let at = 0;
  for (const [i, { id, doc }] of asked.entries()) {
    let logLikelihood = 0;
    for (const _ of windows[i]!) logLikelihood += scored[at++]![0]!.logLikelihood;
    const { words, bytes } = task.count(doc);
    const count = windows[i]!.reduce((sum, window) => sum + window.ids.length, 0);
    const values: Record<string, MetricValue> = {
      word_perplexity: [logLikelihood, words],
      byte_perplexity: [logLikelihood, bytes],
      bits_per_byte: [logLikelihood, bytes],
      token_perplexity: [logLikelihood, count],
    };
    const response = floatText(logLikelihood);
    const outcome = { filter: NONE, filtered: [response], values };
    const sample = makeSample(id, doc, task.target(doc), [[texts[i]]], [response], outcome);
    onScored(i, { values: { [NONE]: values }, samples: [sample] });
  }
}
