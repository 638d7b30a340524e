/** Documents of a run's traces, made where they are wanted, with the tokenizers that are loaded. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Signal } from '../control.ts';
import { documentFile, writeDocuments as writeAll } from '../language/write-documents.ts';
import type { Tokenizers } from './tokenizers.ts';

/** The document of one trace; an existing one is left as it is. @throws InputError where the run has no such trace */
export async function openTraceDocument(
  run: string,
  id: string,
  tokenizers: Tokenizers,
): Promise<{ file: string }> {
  const root = path.resolve(run);
  const file = documentFile(root, id);
  const tokenizerOf = (model: string) => tokenizers.get(model);
  if (!existsSync(file))
    await writeAll({ run: root, out: null, which: new Set([id]), model: null, tokenizerOf });
  return { file };
}

/** Documents of the traces that are part of a pair, or of all; existing ones are left as they are. */
export async function writeDocuments(
  run: string,
  which: 'pivots' | 'all',
  tokenizers: Tokenizers,
  signal: Signal,
): Promise<{ folder: string; written: number; kept: number }> {
  const tokenizerOf = (model: string) => tokenizers.get(model);
  const options = { run: path.resolve(run), out: null, which, model: null, tokenizerOf, signal };
  const { folder, written, kept } = await writeAll(options);
  return { folder, written, kept };
}
