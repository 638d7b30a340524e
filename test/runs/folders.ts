import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

/** An empty folder that is deleted after the test file. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runs-'));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Name, size and digest of every file in a run folder, apart from the two that hold times. */
export function artefacts(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder).filter((name) => name !== 'manifest.json' && name !== 'journal.jsonl');
  const entries = names.sort().map((name) => {
    const data = fs.readFileSync(path.join(folder, name));
    return [name, `${data.length} ${createHash('sha256').update(data).digest('hex')}`];
  });
  return Object.fromEntries(entries);
}
