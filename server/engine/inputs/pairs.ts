import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readError } from '../../data/files.ts';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import { pairsFromPivots, readPivots } from '../../data/pts.ts';
import type { Pair, Trace } from '../../data/records.ts';
import { readLocalization } from '../../data/reference.ts';
import { TRACE_EXTENSION } from '../../data/trace-document.ts';
import { DOCUMENTS, readTraceDocuments, traceFiles } from '../../data/trace-files.ts';
import { overlayPairs } from '../../data/trace-pairs.ts';
import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';

/**
 * Pairs of a file in any of the formats read: own pairs.jsonl, PTS pivots (JSONL with pivot_context), the reference
 * code's localisation (a JSON array) or a trace document; of a run folder, with the annotations in its documents; or of
 * a folder of trace documents.
 * @throws InputError for a broken record or document, or a source without pairs
 */
export async function readAnyPairs(model: Model, source: string): Promise<Pair[]> {
  const { pairs: file, documents } = await pairFiles(source);
  const { vocabSize: vocab } = model.config;
  const located = file === null ? [] : await readPairFile(model, file, documents.length > 0);
  if (documents.length === 0) return located;
  const pairs = await overlayPairs(located, readTraceDocuments(documents, { vocab }));
  if (pairs.length > 0) return pairs;
  const what = 'has no pair to train on: its pivots are rejected, or its traces excluded';
  throw new InputError(source, what, 'Accept or mark a pivot in one of its trace documents.');
}

/**
 * Whether the documents of these sources take their traces out of training, by trace id; the last one that speaks of a
 * trace decides.
 * @throws InputError for a broken document
 */
export async function excludedTraces(...sources: readonly (string | null)[]): Promise<Map<string, boolean>> {
  const excluded = new Map<string, boolean>();
  for (const source of sources) {
    if (source === null) continue;
    for await (const { document } of readTraceDocuments((await pairFiles(source)).documents)) {
      excluded.set(document.id, document.excluded);
    }
  }
  return excluded;
}

/** A trace with its document's word on whether it is trained on; one without a document keeps its own. */
export function withExclusion(trace: Trace, excluded: ReadonlyMap<string, boolean>): Trace {
  const said = excluded.get(trace.id);
  if (said === undefined || said === (trace.excluded === true)) return trace;
  const { excluded: _, ...rest } = trace;
  return (said ? { ...rest, excluded: true } : rest) as Trace;
}

/**
 * The files that a source of pairs consists of: a file of pairs or null, and trace documents.
 * @throws InputError for a folder with neither
 */
export async function pairFiles(source: string): Promise<{ pairs: string | null; documents: string[] }> {
  if (!(await isFolder(source))) {
    const isDocument = source.endsWith(TRACE_EXTENSION);
    return isDocument ? { pairs: null, documents: [source] } : { pairs: source, documents: [] };
  }
  const own = path.join(source, 'pairs.jsonl');
  if (existsSync(own)) return { pairs: own, documents: await traceFiles(path.join(source, DOCUMENTS)) };
  const documents = await traceFiles(source);
  if (documents.length > 0) return { pairs: null, documents };
  const what = `has neither pairs.jsonl nor documents *${TRACE_EXTENSION}`;
  throw new InputError(source, what, 'Name a run folder, a folder of trace documents or a file of pairs.');
}

async function isFolder(source: string): Promise<boolean> {
  try {
    return (await stat(source)).isDirectory();
  } catch (error) {
    throw readError(source, error);
  }
}

async function readPairFile(model: Model, file: string, allowEmpty: boolean): Promise<Pair[]> {
  const vocab = model.config.vocabSize;
  const encode = (text: string) => model.tokenizer.encode(text);
  const head = await readStart(file);
  let pairs: Pair[];
  if (/^\uFEFF?\s*\[/.test(head)) pairs = await readLocalization(file, encode, { vocab });
  else if (/^[^\n]*"pivot_context"/.test(head.trimStart())) {
    pairs = pairsFromPivots(await collect(readPivots(file, { vocab })), encode).pairs;
  } else pairs = await collect(readPairs(file, { vocab, allowEmpty }));
  if (pairs.length > 0 || allowEmpty) return pairs;
  const remedy = 'Give pivots with rejected_token_id, or of both signs after the same context.';
  throw new InputError(file, 'no pivot has a partner to make a pair with', remedy);
}

/** The first characters of a file: enough to see what it is. */
async function readStart(file: string): Promise<string> {
  let text = '';
  try {
    for await (const chunk of createReadStream(file, { encoding: 'utf8', end: (1 << 20) - 1 })) text += chunk;
  } catch (error) {
    throw readError(file, error);
  }
  return text;
}
