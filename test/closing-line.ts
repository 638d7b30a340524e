import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Ends a run with `N passed, N failed` alone on a line (`, N skipped` may follow), for scripts that read the outcome. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++;
      // A file that does not load, or a hook that throws, fails the run without a test of its own to count.
      const suites = [module, ...module.children.allSuites()];
      count.failed += suites.reduce((sum, suite) => sum + suite.errors().length, 0);
    }
    // A test that never ended is no pass.
    const failed = count.failed + count.pending + unhandledErrors.length;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    console.log(`${count.passed} passed, ${failed} failed${skipped}`);
  }
}
