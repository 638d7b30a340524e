/** Requests about runs, their traces and their changed answers. */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Problem, Trace } from '../data/records.ts';
import { documentName } from '../data/trace-files.ts';
import { InputError } from '../errors.ts';
import type { StopRule } from '../generate/stop.ts';
import { writeDocument } from '../language/write-documents.ts';
import { compareRuns } from '../pipeline/compare.ts';
import * as protocol from '../protocol/runs.ts';
import * as traces from '../protocol/traces.ts';
import { deleteRun } from '../runs/catalogue.ts';
import { type Manifest, readManifest } from '../runs/manifest.ts';
import { annotationsOf } from './annotations.ts';
import type { ParamsOf } from './answers.ts';
import * as check from './check.ts';
import { comparisonOf } from './comparison.ts';
import { findRuns, listRows, RunRows, reportOf, studyOf } from './run-rows.ts';
import type { RunWatch } from './run-watch.ts';
import { modelRef, type Services } from './services.ts';
import { TraceLists } from './trace-list.ts';
import { openTraceDocument, writeDocuments } from './trace-writing.ts';

const flipFields = {
  set: check.text,
  id: check.text,
  kind: check.oneOf('wrong-to-right', 'right-to-wrong'),
  base: check.anyText,
  amplified: check.anyText,
};
const folderOnly = check.object<{ folder: string }>({ folder: check.text });

export function answerRuns(services: Services, watching: RunWatch): void {
  const { answers, tokenizers } = services;
  const rows = new RunRows();
  const lists = new TraceLists();

  answers.on(
    protocol.list,
    check.object<ParamsOf<typeof protocol.list>>({ folders: check.list(check.text) }),
    async ({ folders }, { signal }) => {
      const jobs = services.options.storage === '' ? null : services.jobs();
      const own = await (jobs?.list() ?? []);
      const ofJobs = own.map(({ run }) => run).filter((run) => existsSync(path.join(run, 'manifest.json')));
      watching.watch(folders, ofJobs);
      return listRows(
        [...findRuns(folders), ...ofJobs],
        rows,
        (folder) => jobs?.workingOn(folder)?.id ?? null,
        signal,
      );
    },
  );

  answers.on(protocol.remove, folderOnly, ({ folder }) => {
    refuseBusy(services, folder);
    rows.forget(path.resolve(folder));
    const deleted = deleteRun(folder);
    if (services.options.storage !== '') services.jobs().forgetRun(folder);
    return deleted;
  });

  answers.on(protocol.annotations, folderOnly, ({ folder }, { signal }) => annotationsOf(folder, signal));

  answers.on(
    protocol.freeFolder,
    check.object<ParamsOf<typeof protocol.freeFolder>>({ run: check.text }),
    ({ run }) => ({ folder: freeFolder(run, services.options.storage === '' ? [] : services.jobs().runs) }),
  );

  answers.on(protocol.study, folderOnly, ({ folder }) => studyOf(folder));

  answers.on(protocol.report, folderOnly, ({ folder }) => reportOf(folder));

  answers.on(
    protocol.compare,
    check.object<ParamsOf<typeof protocol.compare>>({ a: check.text, b: check.text }),
    async ({ a, b }) => comparisonOf(await compareRuns(a, b)),
  );

  answers.on(protocol.flips, folderOnly, ({ folder }) => flipsOf(folder));

  answers.on(
    protocol.openFlip,
    check.object<ParamsOf<typeof protocol.openFlip>>({
      folder: check.text,
      flip: check.object<protocol.FlipRow>(flipFields),
    }),
    ({ folder, flip }, { signal }) => openFlip(services, path.resolve(folder), flip, signal),
    { needsTrust: true },
  );

  answers.on(
    traces.list,
    check.object<ParamsOf<typeof traces.list>>({ folder: check.text, since: check.optional(check.text) }),
    ({ folder, since }, { signal }) => lists.list(folder, since ?? null, signal),
  );

  answers.on(
    traces.open,
    check.object<ParamsOf<typeof traces.open>>({ run: check.text, trace: check.text }),
    ({ run, trace }) => openTraceDocument(run, trace, tokenizers),
  );

  answers.on(
    traces.writeDocuments,
    check.object<ParamsOf<typeof traces.writeDocuments>>({
      run: check.text,
      which: check.oneOf('pivots', 'all'),
    }),
    ({ run, which }, { signal }) => writeDocuments(run, which, tokenizers, signal),
  );
}

/** The first of `demo-2`, `demo-3`, ... that is neither there nor about to be made by a job. */
function freeFolder(run: string, ofJobs: readonly string[]): string {
  const stem = path.resolve(run).replace(/-\d+$/, '');
  for (let i = 2; ; i++) {
    const folder = `${stem}-${i}`;
    if (!existsSync(folder) && !ofJobs.includes(folder)) return folder;
  }
}

function refuseBusy(services: Services, folder: string): void {
  const job = services.options.storage === '' ? null : services.jobs().workingOn(folder);
  if (job) throw new InputError(folder, `the job "${job.title}" works on this run`, 'Cancel it first.');
}

/** Changed answers of a run, as its evaluation wrote them. @throws InputError where there is no such file, or a broken line */
function flipsOf(folder: string): protocol.FlipRow[] {
  const file = path.join(path.resolve(folder), 'flips.jsonl');
  if (!existsSync(file)) {
    throw new InputError(file, 'is not there yet', 'Let the run finish its evaluation first.');
  }
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const flip = check.object<protocol.FlipRow>(flipFields);
  return lines.map((line, i) => {
    try {
      return flip(JSON.parse(line), '');
    } catch {
      throw new InputError(`${file}:${i + 1}`, 'is not a changed answer', 'Run the evaluation again.');
    }
  });
}

/**
 * The document of a flip: the problem as it was evaluated, and the base model's completion. Its tokens are made again,
 * because an evaluation keeps only texts. It lies outside the run's documents: test problems are not trained on.
 */
async function openFlip(
  services: Services,
  run: string,
  flip: protocol.FlipRow,
  signal: AbortSignal,
): Promise<{ file: string }> {
  const file = path.join(run, 'flips', documentName(`${flip.set}/${flip.id}`));
  if (existsSync(file)) return { file };
  const manifest = readManifest(run);
  if (!manifest?.model) throw new InputError(run, 'is not the folder of a run', 'Choose a run.');
  const problem = await problemOf(run, flip);
  const model = manifest.model.path;
  const tokenizer = services.tokenizers.get(model);
  const ids = tokenizer.encode(problem.prompt);
  const ref = modelRef(model, services.options);
  const { maxTokens, stop } = evaluation(manifest);
  const params = { model: ref, patch: null, prefixes: [{ ids, prompt: ids.length }], maxTokens, stop };
  const [made] = await services.engine.callOn('complete', ref, params, { signal });
  const { template_id, instance_id } = problem;
  const trace: Trace = {
    id: `${flip.set}/${flip.id}`,
    problem_id: flip.id,
    ...(template_id !== undefined && { template_id }),
    ...(instance_id !== undefined && { instance_id }),
    split: 'test',
    target: problem.target,
    prompt_ids: ids,
    completion_ids: made!.ids,
    decoding: { strategy: 'greedy' },
    text: made!.text,
    answer: made!.answer,
    correct: made!.answer === problem.target,
    truncated: made!.truncated,
  };
  writeDocument(file, trace, [], { tokens: tokenizer, model, run });
  return { file };
}

/** The problem of a flip, from the evaluation's samples. */
async function problemOf(run: string, { set, id }: protocol.FlipRow): Promise<Problem> {
  const samples = path.join(run, 'evaluate-samples.jsonl');
  const missing = () =>
    new InputError(samples, `has no problem ${id} of ${set}`, 'Run the evaluation of this run again.');
  if (!existsSync(samples)) throw missing();
  const input = createReadStream(samples);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      // Only lines that may be it are read.
      if (!line.includes(JSON.stringify(id))) continue;
      const { suite, doc } = JSON.parse(line) as { suite: string; doc: Problem };
      if (suite === set && doc.id === id && typeof doc.prompt === 'string') return doc;
    }
  } finally {
    input.destroy();
  }
  throw missing();
}

/** How a run completes the problems that it is scored on. */
function evaluation({ stages }: Manifest): { maxTokens: number; stop: StopRule } {
  const { maxTokens = 256, stop } = (stages.evaluate ?? {}) as {
    maxTokens?: number;
    stop?: Partial<StopRule>;
  };
  return { maxTokens, stop: { answer: stop?.answer ?? true, strings: stop?.strings ?? [] } };
}
