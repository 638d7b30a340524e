/**
 * Atomic file writes: a reader sees the old file or the whole new one, never a part, whatever stops the
 * process. The temporary file lies in the target's own folder, because rename is atomic only within a file system.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../errors.ts';

/** An open atomic write: nothing exists at the target until `commit`. */
export interface AtomicFile {
  /** Where the bytes lie until `commit`. */
  readonly temporaryPath: string;
  /** Appends a chunk (a string is written as UTF-8). On failure the temporary file is removed. */
  write(chunk: string | Uint8Array): void;
  /** Flushes to disk and renames over the target. */
  commit(): void;
  /** Drops everything written; does nothing after `commit`. Never throws. */
  abort(): void;
}

const CAUSES: Record<string, [what: string, remedy: string]> = {
  ENOSPC: ['no space left on the disk', 'Free some space or choose another folder'],
  EDQUOT: ['the disk quota is used up', 'Free some space or choose another folder'],
  EFBIG: ['the file system does not allow a file this large', 'Choose a folder on another file system'],
  EACCES: ['permission denied', 'Choose a folder you may write to, or change its permissions'],
  EPERM: ['operation not permitted', 'Choose a folder you may write to, or change its permissions'],
  EROFS: ['the file system is read-only', 'Choose a folder on a writable disk'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'Correct the path'],
  EEXIST: ['a file is in the way', 'Remove it or choose another path'],
  EISDIR: ['the path is a folder', 'Give the path of a file'],
  ENOTEMPTY: ['the folder is not empty', 'Remove it or choose another path'],
  ENAMETOOLONG: ['the file name is too long', 'Choose a shorter name'],
  EMFILE: ['too many files are open', 'Raise the open-file limit (ulimit -n)'],
  ENOENT: ['no such file or folder', 'Correct the path'],
  ELOOP: ['the symbolic links form a loop', 'Correct the links'],
  EIO: ['the disk reported an input/output error', 'Check the disk'],
};

/**
 * The InputError for a file system error the user can mend; any other error comes back as it was.
 * @param target path the user knows (not a temporary one)
 */
export function asInputError(error: unknown, target: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const cause = code === undefined ? undefined : CAUSES[code];
  return cause ? new InputError(target, cause[0], cause[1]) : error;
}

/** Runs a file operation; errors that a user can mend become an InputError that names `target`. */
export function withFileErrors<T>(target: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw asInputError(error, target);
  }
}

/** Makes a rename or a new entry survive a power cut. Not every file system allows it, so failure is ignored. */
export function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Windows and some network file systems cannot sync a folder; the rename itself is done.
  }
}

/** A name in the same folder as `target` that no other writer uses. */
export function temporaryName(target: string): string {
  return path.join(path.dirname(target), `.tmp-${process.pid}-${randomBytes(6).toString('hex')}`);
}

/**
 * Starts an atomic, streaming write. Missing parent folders are made.
 * @param target the file to create or replace
 * @throws InputError naming `target` and a remedy on a full disk, missing rights, a read-only disk or a bad path
 */
export function openAtomic(target: string): AtomicFile {
  const temporaryPath = temporaryName(target);
  let descriptor = withFileErrors(target, () => {
    mkdirSync(path.dirname(target), { recursive: true });
    return openSync(temporaryPath, 'wx');
  });
  const close = () => {
    if (descriptor < 0) return;
    const open = descriptor;
    descriptor = -1;
    closeSync(open);
  };
  const abort = () => {
    try {
      close();
    } catch {
      // the descriptor is gone either way; what matters is that the temporary file goes too
    }
    rmSync(temporaryPath, { force: true });
  };
  const orAbort = (operation: () => void) => {
    if (descriptor < 0) throw new Error(`atomic write of ${target} is already closed`);
    try {
      operation();
    } catch (error) {
      abort();
      throw asInputError(error, target);
    }
  };
  return {
    temporaryPath,
    write: (chunk) =>
      orAbort(() => {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
        // A write may be short (it is near a full disk); the next one then reports why.
        for (let done = 0; done < bytes.byteLength; ) {
          done += writeSync(descriptor, bytes, done, Math.min(bytes.byteLength - done, 1 << 30));
        }
      }),
    commit: () =>
      orAbort(() => {
        fsyncSync(descriptor);
        close();
        renameSync(temporaryPath, target);
        syncFolder(path.dirname(target));
      }),
    abort: () => {
      if (descriptor >= 0) abort();
    },
  };
}

/**
 * Writes a whole file atomically. Missing parent folders are made.
 * @throws InputError as `openAtomic`; nothing is left behind on failure
 */
export function writeFileAtomic(target: string, data: string | Uint8Array): void {
  const file = openAtomic(target);
  file.write(data);
  file.commit();
}

/**
 * Writes several files, each atomically, and waits for the disk once for all: several times faster than one after the
 * other. Missing parent folders are made.
 * @throws InputError as `openAtomic` for the first that fails; the others are there, each whole
 */
export async function writeFilesAtomic(
  files: readonly { target: string; data: string | Uint8Array }[],
): Promise<void> {
  const written = await Promise.allSettled(
    files.map(async ({ target, data }) => {
      const temporary = temporaryName(target);
      try {
        await mkdir(path.dirname(target), { recursive: true });
        await writeFile(temporary, data, { flag: 'wx', flush: true });
        await rename(temporary, target);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw asInputError(error, target);
      }
    }),
  );
  for (const folder of new Set(files.map(({ target }) => path.dirname(target)))) syncFolder(folder);
  for (const result of written) if (result.status === 'rejected') throw result.reason;
}
