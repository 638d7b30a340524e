import { readSync } from 'node:fs';
import { InputError } from '../errors.ts';

/** Fills `target` from `position`; a file that ends early (it was cut after its header was read) is an InputError. */
export function readFully(descriptor: number, target: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < target.byteLength; ) {
    const wanted = Math.min(target.byteLength - done, 1 << 30);
    const got = readSync(descriptor, target, done, wanted, position + done);
    if (got === 0) {
      throw new InputError(
        path,
        `the file ends before byte ${position + target.byteLength}`,
        'Download or copy the file again',
      );
    }
    done += got;
  }
}
