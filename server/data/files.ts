import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.ts';

const CAUSES: Record<string, [what: string, remedy: string]> = {
  ENOENT: ['no such file or folder', 'Check the path.'],
  EISDIR: ['is a folder, not a file', 'Name a file.'],
  ENOTDIR: ['a part of the path is not a folder', 'Check the path.'],
  EACCES: ['permission denied', 'Change its permissions so that it can be read.'],
  EPERM: ['permission denied', 'Change its permissions so that it can be read.'],
};

/**
 * An error of reading a file as an `InputError` where a user can mend its cause (missing, no permission); any other
 * error comes back as it is.
 */
export function readError(path: string, error: unknown): unknown {
  const cause = CAUSES[(error as NodeJS.ErrnoException | null)?.code ?? ''];
  return cause ? new InputError(path, ...cause) : error;
}

/** Strict UTF-8, byte order mark kept; undefined if the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** A whole text file in UTF-8, without its byte order mark. InputError for a missing, unreadable or non-UTF-8 file. */
export async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw readError(path, error);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new InputError(path, 'is not UTF-8 text', 'Save it as UTF-8.');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** A whole JSON file. InputError naming the file and the place of the fault (a line, or the text around it). */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text.trim() === '') throw new InputError(path, 'is empty', 'Give a JSON file.');
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message;
    const at = /at position (\d+)/.exec(reason);
    // V8 gives a position for some faults and the text around it for the others.
    const line = at ? `:${text.slice(0, Number(at[1])).split('\n').length}` : '';
    const detail = at ? shortReason(reason) : reason.replace(/ is not valid JSON$/, '');
    throw new InputError(`${path}${line}`, `is not valid JSON (${detail})`, 'Mend or replace the file.');
  }
}

/** V8's reason for refusing JSON, without the text around the fault and the position (the caller names the line). */
export function shortReason(reason: string): string {
  return reason.replace(/, ("|\.\.\.).* is not valid JSON$/s, '').replace(/ in JSON at position.*$/s, '');
}
