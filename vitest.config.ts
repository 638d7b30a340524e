import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes, in the order in which they begin: what begins last and alone keeps the other core idle. */
const LONG = [
  'e2e/story',
  'onnx/webgpu',
  'webview/panel',
  'server/recovery',
  'cli/shard',
  'extension/host',
  'fuzz/fuzz',
  'cli/families-run',
  'pipeline/resume',
  'e2e/keyboard',
  'e2e/windows',
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`${name}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Native sessions live in the process, and some tests start and kill children: a process per file.
    pool: 'forks',
    // Sessions take threads of their own; more files at once would only make each slower.
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    // No test asserts time. These only end one that hangs, on a machine that may be busy.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } },
    reporters: ['default', './test/closing-line.ts'],
  },
});
