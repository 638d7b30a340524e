import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UniqueIds } from './fields.ts';
import { readError, readText } from './files.ts';
import {
  type ParseOptions,
  parseTraceDocumentStrictly,
  TRACE_EXTENSION,
  type WholeTraceDocument,
} from './trace-document.ts';

/** Sub-folder of a run folder with its trace documents. */
export const DOCUMENTS = 'documents';
/** Longest name of a file less its extension, in bytes; most file systems allow 255. */
const NAME_BYTES = 200;
/** Files read at a time. */
const READ_AHEAD = 16;

/** Names that Windows keeps for devices. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;
const UNSAFE = /[^\p{L}\p{M}\p{N}._/-]|^\.|\.$|-(?=[-/])|(?<=[-/])-/gu;

/**
 * File name of a trace's document: its id with `/` as `--` and what file systems refuse as %XX, so that no two ids share
 * a name and most can be read: `train-17/greedy` is `train-17--greedy.trace`.
 */
export function documentName(id: string): string {
  const name = id.replace(UNSAFE, percent).replace(RESERVED, (word) => percent(word[0]!) + word.slice(1));
  const flat = name.replaceAll('/', '--');
  if (Buffer.byteLength(flat) <= NAME_BYTES) return flat + TRACE_EXTENSION;
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 16);
  let cut = flat;
  while (Buffer.byteLength(cut) > NAME_BYTES - 18) cut = [...cut].slice(0, -1).join('');
  return `${cut}--${hash}${TRACE_EXTENSION}`;
}

const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/**
 * Trace documents in a folder and its sub-folders, sorted by path; folders whose name starts with a dot are passed over.
 * A folder that does not exist has none.
 */
export async function traceFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(at, { withFileTypes: true })) {
      const target = path.join(at, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith('.')) await walk(target);
      else if (entry.isFile() && entry.name.endsWith(TRACE_EXTENSION)) found.push(target);
    }
  };
  try {
    await walk(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw readError(folder, error);
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/**
 * Streams documents that must be whole, in the order of their files; a few are read ahead.
 * @throws InputError `file:line` for the first fault, and for a second document of a trace
 */
export async function* readTraceDocuments(
  files: readonly string[],
  options: ParseOptions = {},
): AsyncGenerator<{ file: string; document: WholeTraceDocument }> {
  const ids = new UniqueIds();
  for (let from = 0; from < files.length; from += READ_AHEAD) {
    const some = files.slice(from, from + READ_AHEAD);
    const texts = await Promise.all(some.map(readText));
    for (const [i, file] of some.entries()) {
      const document = parseTraceDocumentStrictly(file, texts[i]!, options);
      ids.add(document.id, file);
      yield { file, document };
    }
  }
}
