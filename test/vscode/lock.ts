import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Test files that need the same thing at the same time wait for the first that makes it. */
export async function alone<T>(name: string, make: () => T | Promise<T>): Promise<T> {
  // Of one test run: its files are children of one process.
  const lock = path.join(os.tmpdir(), `cca-${name}-${process.ppid}`);
  for (;;) {
    try {
      fs.mkdirSync(lock);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    return await make();
  } finally {
    fs.rmdirSync(lock);
  }
}
