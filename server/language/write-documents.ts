import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { breathe, neverAborted, type Signal } from '../control.ts';
import { readPairs } from '../data/pairs.ts';
import type { Pair, Trace } from '../data/records.ts';
import { DOCUMENTS, documentName } from '../data/trace-files.ts';
import { liesOn, printTraceDocument, type TokenTexts, traceIds } from '../data/trace-print.ts';
import { readTraces } from '../data/traces.ts';
import { InputError } from '../errors.ts';
import { writeFileAtomic, writeFilesAtomic } from '../runs/atomic.ts';
import { readManifest } from '../runs/manifest.ts';

/** Files that are written at a time. */
const AT_ONCE = 32;

export interface WriteDocumentsOptions {
  /** Run folder. */
  run: string;
  /** Where the documents go; null for the run's own, RUN/documents. */
  out: string | null;
  /** Traces that are part of a pair, all of them, or those of these ids. */
  which: 'pivots' | 'all' | ReadonlySet<string>;
  /** Model folder in place of the one in the run's manifest; null. */
  model: string | null;
  /** The tokenizer of a model folder; by default it is read from there. */
  tokenizerOf?: (model: string) => TokenTexts;
  signal?: Signal;
}

export interface WrittenDocuments {
  folder: string;
  written: number;
  /** Documents that were there and were left as they are. */
  kept: number;
  /** Pairs of these traces that no document can hold, since their prefix is not of the trace's own tokens. */
  unplaced: number;
}

/** Where the document of a run's trace lies, or would. */
export function documentFile(run: string, trace: string, out: string | null = null): string {
  return path.join(out ?? path.join(run, DOCUMENTS), documentName(trace));
}

interface Places {
  tokens: TokenTexts;
  model: string;
  run: string;
}

/** Writes the document of one trace, whose header names model and run folder relative to the file. */
export function writeDocument(file: string, trace: Trace, pairs: readonly Pair[], places: Places): void {
  writeFileAtomic(file, printAt(file, trace, pairs, places));
}

function printAt(file: string, trace: Trace, pairs: readonly Pair[], { tokens, model, run }: Places): string {
  const folder = path.dirname(file);
  const places = { model: relative(folder, model), run: relative(folder, run) };
  return printTraceDocument(trace, pairs, tokens, places);
}

/**
 * Writes the documents of a run's traces. Those that are there are kept, whatever has become of them.
 * @throws InputError for a folder without traces, broken records, a model that is not there, a trace that is not there
 */
export async function writeDocuments(options: WriteDocumentsOptions): Promise<WrittenDocuments> {
  const { run, out, which, signal = neverAborted } = options;
  const folder = out ?? path.join(run, DOCUMENTS);
  const model = options.model ?? modelOf(run);
  const tokens = (options.tokenizerOf ?? loadTokenizer)(model);
  const pairs = await pairsByTrace(run);
  const result: WrittenDocuments = { folder, written: 0, kept: 0, unplaced: 0 };
  const waiting: { target: string; data: string }[] = [];
  const write = async () => {
    const files = waiting.splice(0);
    await writeFilesAtomic(files);
    result.written += files.length;
  };
  const missing = new Set(typeof which === 'string' ? [] : which);
  for await (const trace of readTraces(tracesOf(run), ongoing)) {
    await breathe(signal);
    const own = pairs.get(trace.id) ?? [];
    if (which === 'pivots' ? own.length === 0 : which !== 'all' && !missing.delete(trace.id)) continue;
    const ids = traceIds(trace);
    result.unplaced += own.filter((pair) => !liesOn(pair, ids, trace.prompt_ids.length)).length;
    const file = documentFile(run, trace.id, out);
    if (existsSync(file)) result.kept++;
    else {
      waiting.push({ target: file, data: printAt(file, trace, own, { tokens, model, run }) });
      if (waiting.length === AT_ONCE) await write();
    }
    if (typeof which !== 'string' && missing.size === 0) break;
  }
  await write();
  for (const id of missing) {
    throw new InputError(tracesOf(run), `has no trace ${id}`, 'Look at the list of its traces again.');
  }
  return result;
}

/** A run that is still at work: nothing yet, or a last line that is not whole, is no fault. */
const ongoing = { allowEmpty: true, onTorn: () => undefined };

const tracesOf = (run: string) => path.join(run, 'traces.jsonl');

/** The model folder of a run. */
function modelOf(run: string): string {
  const manifest = readManifest(run);
  if (manifest?.model) return manifest.model.path;
  const what = manifest ? 'names no model' : 'is not a run folder';
  throw new InputError(run, what, "Give the folder of a run, or the model's folder too.");
}

/** Empty where stage 1 has not come to pairs yet. */
async function pairsByTrace(run: string): Promise<Map<string, Pair[]>> {
  const file = path.join(run, 'pairs.jsonl');
  const byTrace = new Map<string, Pair[]>();
  if (!existsSync(file)) return byTrace;
  for await (const pair of readPairs(file, ongoing)) {
    if (pair.trace === undefined) continue;
    const own = byTrace.get(pair.trace);
    if (own) own.push(pair);
    else byTrace.set(pair.trace, [pair]);
  }
  return byTrace;
}

/** From a document's folder, with slashes; absolute where there is no way (another drive). */
function relative(from: string, to: string): string {
  const found = path.relative(path.resolve(from), path.resolve(to)).split(path.sep).join('/');
  return found === '' ? '.' : found;
}
