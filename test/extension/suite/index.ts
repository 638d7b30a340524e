/** Entry of the suite inside the extension host: every *.suite.ts beside it, by mocha, its results to a file. */
import fs from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';

export interface SuiteTest {
  title: string;
  state: 'passed' | 'failed' | 'pending';
  milliseconds: number;
  error: string | null;
}

/** @throws Error when a test failed */
export async function run(): Promise<void> {
  const { CCA_TEST_REPORT, CCA_TEST_ONLY } = process.env;
  const mocha = new Mocha({ ui: 'bdd', timeout: 120_000, reporter: 'min' });
  const files = fs.readdirSync(__dirname).filter((name) => name.endsWith('.suite.cjs'));
  // While one is written: the suites with these words in their names.
  const wanted = (CCA_TEST_ONLY ?? '').split(',').filter(Boolean);
  for (const file of files.sort()) {
    if (wanted.length > 0 && !wanted.some((word) => file.includes(word))) continue;
    mocha.addFile(path.join(__dirname, file));
  }
  await mocha.loadFilesAsync();
  const tests: SuiteTest[] = [];
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    const note = (test: Mocha.Test, error?: Error) => {
      tests.push({
        title: test.fullTitle(),
        state: error ? 'failed' : test.pending ? 'pending' : 'passed',
        milliseconds: test.duration ?? 0,
        error: error ? (error.stack ?? error.message) : null,
      });
      // After each, so that one that hangs is known by what came before it; whole, whenever it is ended.
      if (!CCA_TEST_REPORT) return;
      fs.writeFileSync(`${CCA_TEST_REPORT}.part`, JSON.stringify(tests));
      fs.renameSync(`${CCA_TEST_REPORT}.part`, CCA_TEST_REPORT);
    };
    runner.on('pass', (test) => note(test));
    runner.on('pending', (test) => note(test));
    runner.on('fail', (test, error) => note(test as Mocha.Test, error));
  });
  if (failures > 0) throw new Error(`${failures} of ${tests.length} tests failed`);
}
