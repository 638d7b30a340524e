/** Making a whole folder atomically: built under a temporary name beside the target, then renamed. */
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.ts';
import { asInputError, syncFolder, temporaryName, withFileErrors } from '../runs/atomic.ts';

/**
 * @param out folder to make; must not exist yet, or be empty
 * @param source a folder that must stay untouched: `out` may be neither it nor inside it
 * @param build fills the temporary folder; if it fails nothing is left behind
 * @throws InputError when `out` is taken, lies in `source` or cannot be written
 */
export async function makeFolder(
  out: string,
  source: string | null,
  build: (temporary: string) => Promise<void> | void,
): Promise<void> {
  const target = path.resolve(out);
  if (source !== null) refuseInside(target, source, out);
  if (existsSync(target) && withFileErrors(out, () => readdirSync(target)).length > 0) {
    throw new InputError(out, 'the folder exists and is not empty', 'Choose a new folder');
  }
  const temporary = temporaryName(target);
  try {
    mkdirSync(temporary, { recursive: true });
    await build(temporary);
    syncFolder(temporary);
    if (existsSync(target)) rmdirSync(target); // empty, as checked; Windows cannot rename over it
    renameSync(temporary, target);
    syncFolder(path.dirname(target));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw asInputError(error, out);
  }
}

function refuseInside(target: string, source: string, out: string): void {
  let existing = target;
  while (!existsSync(existing)) existing = path.dirname(existing);
  const real = path.join(realpathSync(existing), path.relative(existing, target));
  const inside = path.relative(realpathSync(source), real);
  if (inside === '' || !(inside.startsWith('..') || path.isAbsolute(inside))) {
    throw new InputError(
      out,
      `it is, or lies in, the checkpoint ${source}, which is never changed`,
      'Choose another folder',
    );
  }
}
