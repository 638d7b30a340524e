import fs from 'node:fs';
import path from 'node:path';

/** Writes all of `bytes` at `position`: one writeSync may write less, on a nearly full disk for example. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += fs.writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}

/** A name inside a run folder: relative, forward slashes, no way out of the folder. Throws Error: it is a caller's bug. */
export function checkName(name: string): string {
  const bad =
    name === '' ||
    path.isAbsolute(name) ||
    /[\\:\0]/.test(name) ||
    name.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (bad) throw new Error(`not a name inside a run folder: ${JSON.stringify(name)}`);
  return name;
}

/**
 * JSON text of a value that reads back as the same value. Throws Error where JSON would silently change it (NaN and
 * infinities become null, typed arrays become objects): a resumed run must see what the first one saw.
 */
export function exactJson(value: unknown): string {
  const text = JSON.stringify(value, (key, part) => {
    if (typeof part === 'number' && !Number.isFinite(part))
      throw new Error(`${key || 'value'} is ${part}, not JSON`);
    if (ArrayBuffer.isView(part)) throw new Error(`${key || 'value'} is a typed array, not JSON`);
    return part;
  });
  return text ?? 'null';
}
