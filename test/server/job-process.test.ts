import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { JobFolder } from '../../server/jobs/job-folder.ts';
import { startProcess } from '../../server/jobs/job-process.ts';

let root: string;
let program: string;

beforeAll(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'cca-process-'));
  program = path.join(root, 'wait.mjs');
  writeFileSync(program, 'setInterval(() => {}, 1000);\n');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test.each([true, false])(
  'a job in the background (%s) has a lower priority, and so has its session',
  async (background) => {
    const { pid } = await startProcess(
      new JobFolder(root),
      program,
      { words: [], background },
      root,
      () => {},
    );
    try {
      const nice = background ? 10 : os.getPriority();
      expect(os.getPriority(pid)).toBe(nice);
      const session = `/proc/${pid}/autogroup`;
      if (existsSync(session)) {
        expect(
          readFileSync(session, 'utf8')
            .trim()
            .endsWith(`nice ${background ? 10 : 0}`),
        ).toBe(true);
      }
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  },
);
