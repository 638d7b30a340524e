// Runs a suite in the extension host where nothing else can ask it to: a module with run(), as extensionTestsPath names it.
// Started by the environment only, so that in a desktop VS Code, which runs the suite itself, it does nothing.
const fs = require('node:fs');

exports.activate = async () => {
  const { CCA_TEST_SUITE: suite, CCA_TEST_RESULT: result } = process.env;
  if (!suite || !result) return;
  let outcome;
  try {
    await require(suite).run();
    outcome = { passed: true };
  } catch (error) {
    outcome = { passed: false, error: String(error?.stack ?? error) };
  }
  fs.writeFileSync(`${result}.part`, JSON.stringify(outcome));
  fs.renameSync(`${result}.part`, result);
};
