/** Documents of a run's traces, made where they are wanted. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Tokenizer } from '../checkpoint/tokenizer.ts';
import { breathe, type Signal } from '../control.ts';
import { collect } from '../data/jsonl.ts';
import { readPairs } from '../data/pairs.ts';
import type { Pair, Trace } from '../data/records.ts';
import { DOCUMENTS, documentName } from '../data/trace-files.ts';
import { printTraceDocument } from '../data/trace-print.ts';
import { readTraces } from '../data/traces.ts';
import { InputError } from '../errors.ts';
import { writeFileAtomic } from '../runs/atomic.ts';
import { readManifest } from '../runs/manifest.ts';
import type { Tokenizers } from './tokenizers.ts';

interface OpenRun {
  run: string;
  model: string;
  tokenizer: Tokenizer;
  pairs: Map<string, Pair[]>;
}

/** @throws InputError for a folder that is no run, or whose model is not there any more */
async function openRun(run: string, tokenizers: Tokenizers): Promise<OpenRun> {
  const root = path.resolve(run);
  const model = readManifest(root)?.model?.path;
  if (model === undefined) throw new InputError(root, 'is not the folder of a run', 'Choose a run.');
  const tokenizer = tokenizers.get(model);
  const pairs = new Map<string, Pair[]>();
  const file = path.join(root, 'pairs.jsonl');
  if (existsSync(file)) {
    for (const pair of await collect(readPairs(file, { allowEmpty: true, onTorn: () => undefined }))) {
      if (pair.trace !== undefined) pairs.set(pair.trace, [...(pairs.get(pair.trace) ?? []), pair]);
    }
  }
  return { run: root, model, tokenizer, pairs };
}

const tracesOf = (run: string) =>
  readTraces(path.join(run, 'traces.jsonl'), { allowEmpty: true, onTorn: () => undefined });

/** Writes a trace's document to a file. */
export function writeDocument(
  file: string,
  trace: Trace,
  pairs: readonly Pair[],
  { tokenizer, model, run }: Pick<OpenRun, 'tokenizer' | 'model' | 'run'>,
): void {
  const relative = (target: string) =>
    path.relative(path.dirname(file), target).split(path.sep).join('/') || '.';
  writeFileAtomic(
    file,
    printTraceDocument(trace, pairs, tokenizer, { model: relative(model), run: relative(run) }),
  );
}

/** The document of one trace; an existing one is left as it is. @throws InputError where the run has no such trace */
export async function openTraceDocument(
  run: string,
  id: string,
  tokenizers: Tokenizers,
): Promise<{ file: string }> {
  const file = path.join(path.resolve(run), DOCUMENTS, documentName(id));
  if (existsSync(file)) return { file };
  const opened = await openRun(run, tokenizers);
  for await (const trace of tracesOf(opened.run)) {
    if (trace.id !== id) continue;
    writeDocument(file, trace, opened.pairs.get(id) ?? [], opened);
    return { file };
  }
  throw new InputError(run, `has no trace ${id}`, 'Look at the list of its traces again.');
}

/** Documents of the traces that are part of a pair, or of all; existing ones are left as they are. */
export async function writeDocuments(
  run: string,
  which: 'pivots' | 'all',
  tokenizers: Tokenizers,
  signal: Signal,
): Promise<{ folder: string; written: number; kept: number }> {
  const opened = await openRun(run, tokenizers);
  const folder = path.join(opened.run, DOCUMENTS);
  let written = 0;
  let kept = 0;
  for await (const trace of tracesOf(opened.run)) {
    await breathe(signal);
    const pairs = opened.pairs.get(trace.id) ?? [];
    if (which === 'pivots' && pairs.length === 0) continue;
    const file = path.join(folder, documentName(trace.id));
    if (existsSync(file)) kept++;
    else {
      writeDocument(file, trace, pairs, opened);
      written++;
    }
  }
  return { folder, written, kept };
}
