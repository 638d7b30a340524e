/** What the work on given data needs memory for. */
import type { ControlItem, Pair, Problem, Trace } from '../../data/records.ts';
import type { BenchmarkTask } from '../../evaluate/benchmarks/task.ts';
import { type Contrast, contrasts } from '../../localize/localize.ts';
import type { Circuit } from '../../model/components.ts';
import type { Model } from '../../model/model.ts';
import type { RunData } from '../../pipeline/run.ts';
import type {
  AmplifySettings,
  EvaluateSettings,
  LocalizeSettings,
  MaskSettings,
  Settings,
} from '../../pipeline/settings.ts';
import type { BenchmarkPart, BenchmarkSettings } from '../../pipeline/stages/benchmark.ts';
import { weightCount } from '../../pipeline/train.ts';
import { type Doing, type Phase, runPhases, WALKED } from '../memory.ts';

type Sequences = readonly (readonly number[])[];

const longest = (sequences: Sequences) => sequences.reduce((most, ids) => Math.max(most, ids.length), 0);
const total = (sequences: Sequences) => sequences.reduce((sum, ids) => sum + ids.length, 0);

/** Tokens of the prompt with the most characters: more than a few of them are not worth encoding twice. */
function promptTokens({ tokenizer }: Model, items: readonly Pick<Problem, 'prompt'>[]): number {
  const text = items.reduce((most, { prompt }) => (prompt.length > most.length ? prompt : most), '');
  return tokenizer.encode(text).length;
}

/** Completions of problems. */
export function decoding(
  model: Model,
  problems: readonly Problem[],
  { batch, maxTokens }: { batch: number; maxTokens: number },
): Phase {
  const together = Math.min(batch, problems.length);
  return { kind: 'decode', batch: together, prompt: promptTokens(model, problems), completion: maxTokens };
}

/** Answers to control items. */
export function answering(model: Model, items: readonly ControlItem[], settings: EvaluateSettings): Phase[] {
  if (items.length === 0) return [];
  const prompt = promptTokens(model, items);
  const together = Math.min(settings.batch, items.length);
  return [{ kind: 'decode', batch: together, prompt, completion: settings.maxAnswerTokens }];
}

export function walking(
  traces: readonly Trace[],
  { method, counterparts }: LocalizeSettings,
  { batch, maxTokens }: { batch: number; maxTokens: number },
): Phase[] {
  if (method === 'prefix') return [];
  const walked = contrasts(traces, counterparts).map(({ sampled }: Contrast) => [
    ...sampled.prompt_ids,
    ...sampled.completion_ids,
  ]);
  const tokens = total(walked.toSorted((a, b) => b.length - a.length).slice(0, WALKED));
  const prompt = longest(traces.map(({ prompt_ids }) => prompt_ids));
  return [{ kind: 'localize', batch, tokens, prompt, completion: maxTokens }];
}

export function choosing(pairs: readonly Pair[], controlText: Sequences, settings: MaskSettings): Phase {
  const prefixes = pairs.map(({ prefix }) => prefix);
  if (settings.select === 'fisher') {
    return {
      kind: 'fisher',
      prefix: longest(prefixes),
      prefixes: total(prefixes),
      text: longest(controlText),
      texts: total(controlText),
    };
  }
  return { kind: 'dcm', tokens: total(prefixes), prefix: longest(prefixes), batch: settings.batch };
}

export function training(
  model: Model,
  circuit: Circuit,
  {
    pairs,
    controlText,
    traces,
  }: { pairs: readonly Pair[]; controlText: Sequences; traces: readonly Trace[] },
  { neurons, klControl, klTraces }: AmplifySettings,
): Phase {
  const prefixes = pairs.map(({ prefix }) => prefix);
  const texts = klControl > 0 ? controlText : [];
  const own = klTraces > 0 ? traces : [];
  const whole = own.map(({ prompt_ids, completion_ids }) => prompt_ids.length + completion_ids.length);
  return {
    kind: 'train',
    weights: weightCount(model, circuit, neurons),
    prefix: longest(prefixes),
    prefixes: total(prefixes),
    text: Math.max(longest(texts), 0, ...whole),
    texts: total(texts) + whole.reduce((a, b) => a + b, 0),
  };
}

/** A whole amplification. */
export function amplifying(
  model: Model,
  { train, validation, test, guard, controls, text, given }: RunData,
  settings: Settings,
  doing: Doing,
): Phase[] {
  const texts = text.map((one) => ({ prompt: one }));
  const { traces = null, pairs = null, circuit = null } = given ?? {};
  return runPhases(
    model.config,
    {
      problems: train.length,
      prompt: promptTokens(model, train),
      texts: texts.length,
      text: texts.length > 0 ? promptTokens(model, texts) : 0,
      scored: promptTokens(model, [...validation, ...Object.values(test).flat(), ...guard, ...controls]),
      pairs: pairs ? { count: pairs.length, prefix: longest(pairs.map(({ prefix }) => prefix)) } : null,
      given: { generate: traces !== null, localize: pairs !== null, mask: circuit !== null },
    },
    settings,
    doing,
  );
}

/** Documents of a benchmark with their worked examples; a token is taken to be three characters. */
export function asking(
  model: Model,
  { output }: BenchmarkTask,
  parts: readonly BenchmarkPart[],
  shots: number,
  { batch, maxTokens, maxLength }: BenchmarkSettings,
): Phase {
  const characters = parts.flatMap(({ docs }) => docs.map(({ doc }) => JSON.stringify(doc).length));
  const most = maxLength ?? model.config.maxPositionEmbeddings;
  const length = Math.min(
    most,
    Math.ceil((characters.reduce((a, b) => Math.max(a, b), 0) * (shots + 1)) / 3),
  );
  if (output !== 'generate_until') return { kind: 'likelihood', length };
  return { kind: 'decode', batch, prompt: length, completion: maxTokens };
}
