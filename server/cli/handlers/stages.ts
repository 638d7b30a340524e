import { endpointOf } from '../../engine/experiment/endpoint.ts';
import { resolveSettings } from '../../engine/experiment/settings.ts';
import type { EvaluationReport } from '../../engine/jobs/evaluate.ts';
import type { Io } from '../command.ts';
import { chatOf } from '../commands/common.ts';
import type { Handlers } from '../commands/index.ts';
import { overridesOf } from '../commands/settings.ts';
import { figure, percent, table } from '../render.ts';
import { modelOf, withEngine } from './engine.ts';
import { patchOf } from './patch.ts';
import { accuracyRow, COMPARISON_HEAD, comparisonRow } from './report.ts';
import { StageListener } from './stage-events.ts';

interface RunValues {
  model: string;
  device: 'auto' | 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml';
  threads: number | undefined;
  lean: boolean;
  out: string;
  seed: number;
  fresh: boolean;
}

const runOf = (values: RunValues) => ({
  model: modelOf(values),
  out: values.out,
  seed: values.seed,
  fresh: values.fresh,
});

const problemsOf = (values: {
  problems: string;
  split: 'train' | 'val' | 'test' | undefined;
  limit: number | undefined;
}) => ({ file: values.problems, split: values.split ?? null, limit: values.limit ?? null });

export const promptsOf = (values: { fewShot: string | undefined } & Parameters<typeof chatOf>[0]) => ({
  template: null,
  fewShot: values.fewShot ?? null,
  chat: chatOf(values),
});

/** How the engine's call tells of a single stage. */
const listen = (io: Io, stage: string) => ({
  signal: io.signal,
  onEvent: new StageListener(io, [{ name: stage, cost: 1 }]).tell,
});

export const stageHandlers: Pick<Handlers, 'generate' | 'localize' | 'mask' | 'amplify' | 'evaluate'> = {
  generate: async (values, io) => {
    const { generate: settings } = resolveSettings(values.preset, overridesOf(values));
    const params = {
      ...runOf(values),
      problems: problemsOf(values),
      prompts: promptsOf(values),
      settings,
      endpoint: endpointOf(values),
      shard: values.shard ?? null,
    };
    const summary = await withEngine((engine) => engine.call('generate', params, listen(io, 'generate')));
    const { problems, traces, tokens, greedyCorrect, contrasted } = summary;
    const text = `${traces} traces of ${problems} problems (${tokens} tokens) in ${values.out}/traces.jsonl
greedy decoding right: ${greedyCorrect} (${percent(greedyCorrect / problems)})
problems with a trace of the other outcome: ${contrasted}\n`;
    return { data: { ...summary }, text };
  },

  localize: async (values, io) => {
    const overrides = overridesOf(values);
    const { localize: settings } = resolveSettings(values.preset, overrides);
    const params = {
      ...runOf(values),
      traces: values.traces,
      limit: values.limit ?? null,
      settings,
      generation: overrides.generate ?? {},
      endpoint: endpointOf(values),
      shard: values.shard ?? null,
    };
    const summary = await withEngine((engine) => engine.call('localize', params, listen(io, 'localize')));
    const { pairs, contrasts, completions, naiveCompletions, unresolved } = summary;
    const saved =
      completions > 0
        ? ` (${figure(naiveCompletions / completions)} times fewer than walking every token)`
        : '';
    const text = `${pairs} pairs from ${contrasts} contrasts in ${values.out}/pairs.jsonl; ${unresolved} unresolved
completions: ${completions}${saved}\n`;
    return { data: { ...summary }, text };
  },

  mask: async (values, io) => {
    const { mask: settings } = resolveSettings(values.preset, overridesOf(values));
    const { pairs, text } = values;
    const params = { ...runOf(values), pairs, limit: values.limit ?? null, text, settings };
    const summary = await withEngine((engine) => engine.call('mask', params, listen(io, 'mask')));
    const { components, total, byKind, lambda } = summary;
    const kinds = Object.entries(byKind).map(([kind, count]) => `${kind} ${count}`);
    const how = lambda === null ? '' : `, lambda ${figure(lambda)}`;
    const share = `${components} of ${total} components (${((100 * components) / total).toFixed(2)} %)`;
    return {
      data: { ...summary },
      text: `circuit: ${share}: ${kinds.join(', ')}${how}, in ${values.out}/mask.json\n`,
    };
  },

  amplify: async (values, io) => {
    const overrides = overridesOf(values);
    const { amplify: settings, evaluate } = resolveSettings(values.preset, overrides);
    const params = {
      ...runOf(values),
      pairs: values.pairs,
      limit: values.limit ?? null,
      mask: values.mask,
      validation: values.problems,
      prompts: promptsOf(values),
      traces: values.traces ?? null,
      watch: values.watch,
      text: values.text,
      settings,
      evaluate,
      decoding: overrides.evaluate ?? {},
    };
    const summary = await withEngine((engine) => engine.call('amplify', params, listen(io, 'amplify')));
    const { base, best, steps, breach, asked, weights, curve } = summary;
    const observed = curve.find((report) => report.step === best)?.observation ?? base;
    const rows = [
      ['validation', percent(base.accuracy), percent(observed.accuracy), String(base.n)],
      ...Object.entries(base.suites).map(([name, suite]) => [
        name,
        percent(suite.accuracy),
        percent(observed.suites[name]!.accuracy),
        String(suite.n),
      ]),
    ];
    const why = breach ?? (asked ? 'asked to end' : null);
    const ended = why ? `stopped after step ${steps}: ${why}; ` : '';
    const kept =
      best === 0
        ? 'no step was better than the base model within the limits'
        : `step ${best} of ${steps} kept`;
    const text = `${table(['suite', 'base', 'patched', 'n'], rows)}${ended}${kept}
${weights} weights in ${values.out}/patch.safetensors\n`;
    return { data: { ...summary }, text };
  },

  evaluate: async (values, io) => {
    const overrides = overridesOf(values);
    const { evaluate: settings } = resolveSettings('default', overrides);
    const params = {
      ...runOf(values),
      problems: problemsOf(values),
      prompts: promptsOf(values),
      controls: values.controls,
      controlLimit: values.controlLimit ?? null,
      patch: patchOf(values),
      against: patchOf({ patch: values.against, scale: 1 }),
      settings,
      decoding: overrides.evaluate ?? {},
      shard: values.shard ?? null,
    };
    const report = await withEngine((engine) => engine.call('evaluate', params, listen(io, 'evaluate')));
    if (report.kind === 'shard') {
      const text = `shard ${report.shard}: ${report.items} answers in ${values.out}; \`cca merge\` makes the report of all shards\n`;
      return { data: { ...report }, text };
    }
    return { data: { ...report }, text: `${show(report)}\nreport: ${values.out}/report.json\n` };
  },
};

/** An evaluation's figures for people. */
export function show(report: EvaluationReport): string {
  if (report.kind === 'accuracy') {
    const rows = Object.entries(report.controls).map(([name, figures]) => accuracyRow(name, figures));
    return table(['suite', 'accuracy', '95 %', 'n'], [accuracyRow('target', report.target), ...rows]);
  }
  const rows = Object.entries(report.controls).map(([name, comparison]) => comparisonRow(name, comparison));
  return table(COMPARISON_HEAD, [comparisonRow('target', report.target), ...rows]);
}
