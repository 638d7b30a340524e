import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Native sessions live in the process, and some tests start and kill children: a process per file.
    pool: 'forks',
    // Sessions take threads of their own; more files at once would only make each slower.
    maxWorkers: 2,
    // No test asserts time. These only end one that hangs, on a machine that may be busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ['default', './test/closing-line.ts'],
  },
});
