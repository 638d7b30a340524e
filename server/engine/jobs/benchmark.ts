import { createHash } from 'node:crypto';
import manifest from '../../../package.json' with { type: 'json' };
import type { Tokenizer } from '../../checkpoint/tokenizer.ts';
import { benchmarkFiles } from '../../data/benchmark-docs.ts';
import { InputError } from '../../errors.ts';
import { aggregate, type Figure, pooled } from '../../evaluate/benchmarks/aggregate.ts';
import { type BenchmarkName, benchmarkTasks } from '../../evaluate/benchmarks/index.ts';
import type { BenchmarkTask } from '../../evaluate/benchmarks/task.ts';
import type { ChatStyle } from '../../evaluate/prompt.ts';
import type { StageEvent } from '../../pipeline/context.ts';
import {
  type BenchmarkPart,
  type BenchmarkSettings,
  type BenchmarkValues,
  benchmarkStage,
  partsOf,
} from '../../pipeline/stages/benchmark.ts';
import { openPatch, type PatchRef } from '../inputs/patch.ts';
import { asking } from '../inputs/phases.ts';
import type { ChatPrompt } from '../inputs/problems.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { asRecord, inRunFolder, type ReadyEvent, type RunParams, roles } from '../run-folder.ts';

export interface BenchmarkParams extends RunParams {
  task: BenchmarkName;
  /** File, or a folder of them where the task takes one. */
  data: string;
  /** Worked examples are taken from here; null for none. */
  fewShot: string | null;
  /** Worked examples per prompt; null for the task's own. */
  shots: number | null;
  /** Seed by which examples are drawn. */
  shotSeed: number;
  /** Documents at most, of each part; null for all. */
  limit: number | null;
  patch: PatchRef | null;
  /** Prompts by the model's chat template; null for plain ones. */
  chat: (ChatPrompt & { multiturn: boolean }) | null;
  settings: BenchmarkSettings;
}

/** A task's figures by `METRIC,FILTER`. */
export interface TaskFigures {
  version: number;
  shots: number;
  n: number;
  metrics: Record<string, Figure>;
}

/** report.json of a benchmark. */
export interface BenchmarkReport {
  kind: 'benchmark';
  seed: number;
  model: { path: string; hash: string };
  device: string;
  /** The definition that the scores follow. */
  definition: string;
  tasks: Record<string, TaskFigures>;
  stages: { benchmark: { seconds: number } };
}

/** Scores a model on a benchmark; writes samples_TASK.jsonl, results.json (the harness's) and report.json. */
export const benchmark =
  (models: Models) =>
  async (params: BenchmarkParams, context: JobContext<StageEvent | ReadyEvent>): Promise<BenchmarkReport> => {
    const { data, fewShot, shotSeed, limit, patch, chat, settings, seed } = params;
    const task: BenchmarkTask = benchmarkTasks[params.task];
    const count = shotsOf(task, params);
    if (chat && task.output === 'loglikelihood_rolling') {
      throw new InputError('--chat', `${task.name} scores texts, not questions`, 'Leave it out.');
    }
    return inRunFolder(
      models,
      params,
      context,
      async ({ model }) => {
        const docs = await task.read(data);
        const pool = count > 0 ? await task.read(fewShot!) : [];
        const all = partsOf(task, docs, { count, pool, sameFile: fewShot === data, seed: shotSeed });
        const parts = all.map((part) => ({ ...part, docs: part.docs.slice(0, limit ?? undefined) }));
        const files = [
          ...(await named('data', data)),
          ...(count > 0 ? await named('few-shot', fewShot!) : []),
          ...(patch ? [{ path: patch.file, name: 'patch' }] : []),
        ];
        return {
          prepared: { parts, all, overlay: await openPatch(model, patch) },
          phases: [asking(model, task, parts, count, settings)],
          work: {
            data: roles('benchmark', files),
            stages: {
              benchmark: {
                task: task.name,
                version: task.version,
                shots: count,
                shotSeed,
                limit,
                scale: patch?.scale ?? null,
                ...(chat && { chat }),
                ...asRecord(settings),
              },
            },
          },
        };
      },
      async (run, { parts, all, overlay }, { device }) => {
        const { values, maxLength, seconds } = await benchmarkStage(run, {
          task,
          parts,
          overlay,
          chat: chat && chatStyle(run.model.tokenizer, chat, context.emit),
          settings,
        });
        const tasks = figuresOf(task, parts, values, count);
        const report: BenchmarkReport = {
          kind: 'benchmark',
          seed,
          model: { path: run.model.checkpoint.folder, hash: await run.model.checkpoint.hash() },
          device: device.device,
          definition: task.definition,
          tasks,
          stages: { benchmark: { seconds } },
        };
        const results = harnessResults(task, {
          parts,
          all,
          tasks,
          report,
          maxLength,
          params,
          chatTemplate: chat && run.model.tokenizer.chatTemplate(),
        });
        run.run.writeArtefact('results.json', `${JSON.stringify(results, null, 2)}\n`);
        run.run.writeArtefact('report.json', `${JSON.stringify(report, null, 2)}\n`);
        return report;
      },
    );
  };

/** @throws InputError where examples are wanted and there are none to take them from, or the other way round */
function shotsOf(task: BenchmarkTask, { shots, fewShot }: BenchmarkParams): number {
  const count = shots ?? task.shots;
  if (count > 0 && task.output === 'loglikelihood_rolling') {
    throw new InputError('--shots', `${task.name} takes no worked examples`, 'Leave it out.');
  }
  if (count > 0 && fewShot === null) {
    const what = `${task.name} is asked with ${count} worked examples, and there is no file of them`;
    throw new InputError('--few-shot', what, 'Add --few-shot FILE, or --shots 0.');
  }
  if (count === 0 && fewShot !== null) {
    throw new InputError(
      '--few-shot',
      `${task.name} is asked without examples`,
      'Add --shots N, or leave it out.',
    );
  }
  return count;
}

/** As the harness does, a template that refuses the system's turn is given the others alone. */
function chatStyle(
  tokenizer: Tokenizer,
  { system, date, multiturn }: NonNullable<BenchmarkParams['chat']>,
  emit: (event: StageEvent) => void,
): ChatStyle {
  const options = { addGenerationPrompt: true, ...(date !== null && { date }) };
  let told = false;
  return {
    system,
    multiturn,
    render: (turns) => {
      try {
        return tokenizer.renderChat(turns, options);
      } catch (error) {
        if (!(error instanceof InputError) || turns[0]!.role !== 'system') throw error;
        const text = tokenizer.renderChat(turns.slice(1), options);
        if (!told) {
          const what = "the chat template takes no system's turn: prompts go without it";
          emit({ event: 'notice', level: 'warning', text: what });
        }
        told = true;
        return text;
      }
    },
  };
}

async function named(role: string, source: string): Promise<{ path: string; name: string }[]> {
  const files = await benchmarkFiles(source);
  return files.map((file, i) => ({ path: file, name: files.length > 1 ? `${role}.${i + 1}` : role }));
}

function figuresOf(
  task: BenchmarkTask,
  parts: readonly BenchmarkPart[],
  values: BenchmarkValues,
  shots: number,
): BenchmarkReport['tasks'] {
  const figures: BenchmarkReport['tasks'] = {};
  for (const { name, docs } of parts) {
    const metrics: Record<string, Figure> = {};
    for (const [filter, columns] of Object.entries(values[name]!)) {
      for (const metric of task.metrics)
        metrics[`${metric.name},${filter}`] = aggregate(metric, columns[metric.name]!);
    }
    figures[name] = { version: task.version, shots, n: docs.length, metrics };
  }
  if (!task.part) return figures;
  const all = Object.values(figures);
  const names = Object.keys(all[0]!.metrics);
  const whole = names.map(
    (name) => [name, pooled(all.map(({ n, metrics }) => ({ n, ...metrics[name]! })))] as const,
  );
  const n = all.reduce((sum, part) => sum + part.n, 0);
  return {
    [task.name]: { version: GROUP_VERSION, shots, n, metrics: Object.fromEntries(whole) },
    ...figures,
  };
}

function chatFields(chat: BenchmarkParams['chat'], template: string | null) {
  const sha = (text: string | null) => text && createHash('sha256').update(text).digest('hex');
  const system = chat?.system ?? null;
  return {
    system_instruction: system,
    system_instruction_sha: sha(system),
    fewshot_as_multiturn: chat?.multiturn ?? null,
    chat_template: template,
    chat_template_sha: sha(template),
  };
}

/** Version of the harness's group mmlu, the one group there is. */
const GROUP_VERSION = 2;

/** results.json in the form of lm-evaluation-harness. */
function harnessResults(
  task: BenchmarkTask,
  {
    parts,
    all,
    tasks,
    report,
    maxLength,
    params,
    chatTemplate,
  }: {
    parts: readonly BenchmarkPart[];
    all: readonly BenchmarkPart[];
    tasks: BenchmarkReport['tasks'];
    report: BenchmarkReport;
    maxLength: number;
    params: BenchmarkParams;
    chatTemplate: string | null;
  },
) {
  const each = <T>(make: (figures: TaskFigures, name: string) => T) =>
    Object.fromEntries(Object.entries(tasks).map(([name, figures]) => [name, make(figures, name)]));
  const results = each(({ n, metrics }, name) => {
    const entries = Object.entries(metrics).flatMap(([key, { value, stderr }]) => {
      const [metric, filter] = key.split(',');
      return [
        [key, value],
        [`${metric}_stderr,${filter}`, stderr ?? 'N/A'],
      ];
    });
    return { alias: name, name, sample_len: n, ...Object.fromEntries(entries) };
  });
  const group = task.part ? { [task.name]: results[task.name] } : {};
  return {
    results,
    ...(task.part && { groups: group }),
    group_subtasks: task.part ? { [task.name]: parts.map(({ name }) => name) } : { [task.name]: [] },
    configs: Object.fromEntries(
      parts.map(({ name }) => [
        name,
        {
          task: name,
          definition: task.definition,
          output_type: task.output,
          num_fewshot: tasks[name]!.shots,
          target_delimiter: task.delimiter,
          fewshot_delimiter: '\n\n',
          ...(task.output === 'generate_until' && {
            generation_kwargs: {
              until: task.until,
              do_sample: false,
              temperature: 0,
              max_gen_toks: params.settings.maxTokens,
            },
          }),
          metadata: { version: task.version },
        },
      ]),
    ),
    versions: each(({ version }) => version),
    'n-shot': each(({ shots }) => shots),
    higher_is_better: each(() =>
      Object.fromEntries(task.metrics.map(({ name, higherIsBetter }) => [name, higherIsBetter])),
    ),
    'n-samples': Object.fromEntries(
      parts.map(({ name, docs }, i) => [name, { original: all[i]!.docs.length, effective: docs.length }]),
    ),
    config: {
      model: manifest.name,
      model_version: manifest.version,
      model_path: report.model.path,
      model_hash: report.model.hash,
      patch: params.patch,
      device: report.device,
      batch_size: params.settings.batch,
      limit: params.limit,
      fewshot_seed: params.shotSeed,
    },
    ...chatFields(params.chat, chatTemplate),
    max_length: maxLength,
    total_evaluation_time_seconds: String(report.stages.benchmark.seconds),
  };
}
