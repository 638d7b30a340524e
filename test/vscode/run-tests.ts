/**
 * Runs a suite inside a real VS Code with the packaged extension installed: a desktop VS Code by @vscode/test-electron where
 * CCA_VSCODE=desktop asks for one (it is downloaded), else code-server with a browser. The suite is the same.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  downloadAndUnzipVSCode,
  resolveCliArgsFromVSCodeExecutablePath,
  runTests as runInDesktop,
} from '@vscode/test-electron';
import { launchBrowser } from './chromium.ts';
import { startCodeServer } from './code-server.ts';
import { COMPANION } from './folders.ts';
import { standStill } from './workbench.ts';

/** The part of @vscode/test-electron's TestOptions that is used, and the extension as users install it. */
export interface TestOptions {
  /** A .vsix, installed before the start; null for a window without it. */
  extension: string | null;
  /** Module with `run(): Promise<void>`, which throws if a test fails. */
  extensionTestsPath: string;
  extensionTestsEnv?: Record<string, string>;
  /** Folder that the window opens. */
  workspace: string;
  /** User settings. */
  settings?: Record<string, unknown>;
  /** Whether what turns in the window turns: where it is measured, not where it is tested. Without a graphics processor it is work. */
  animated?: boolean;
  /** Milliseconds until a suite that never ends is given up. */
  timeout?: number;
}

/** @throws Error with the suite's failures */
export function runTests(options: TestOptions): Promise<void> {
  return process.env.CCA_VSCODE === 'desktop' ? runOnDesktop(options) : runInCodeServer(options);
}

async function runOnDesktop({ extension, workspace, settings = {}, ...rest }: TestOptions): Promise<void> {
  const vscodeExecutablePath = await downloadAndUnzipVSCode('stable');
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-vscode-'));
  const [userData, extensions] = [path.join(home, 'user'), path.join(home, 'extensions')];
  fs.mkdirSync(path.join(userData, 'User'), { recursive: true });
  fs.writeFileSync(path.join(userData, 'User', 'settings.json'), JSON.stringify(settings));
  const folders = ['--user-data-dir', userData, '--extensions-dir', extensions];
  const [cli, ...args] = resolveCliArgsFromVSCodeExecutablePath(vscodeExecutablePath);
  if (extension) {
    execFileSync(cli!, [...args, ...folders, '--install-extension', extension], {
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
  }
  try {
    await runInDesktop({
      vscodeExecutablePath,
      // The suite needs an extension under development to run in; what it tests is the installed one.
      extensionDevelopmentPath: COMPANION,
      extensionTestsPath: rest.extensionTestsPath,
      extensionTestsEnv: { ...rest.extensionTestsEnv },
      launchArgs: [
        workspace,
        ...folders,
        '--disable-workspace-trust',
        '--skip-welcome',
        '--disable-telemetry',
      ],
    });
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}

async function runInCodeServer({
  extension,
  extensionTestsPath,
  extensionTestsEnv = {},
  workspace,
  settings = {},
  animated = false,
  timeout = 1_800_000,
}: TestOptions): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-suite-'));
  const result = path.join(folder, 'result.json');
  const server = await startCodeServer({
    extensions: extension ? [extension, COMPANION] : [COMPANION],
    settings,
    env: { ...extensionTestsEnv, CCA_TEST_SUITE: extensionTestsPath, CCA_TEST_RESULT: result },
  });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    if (!animated) await standStill(page);
    await page.goto(server.url(workspace), { timeout });
    const end = performance.now() + timeout;
    while (!fs.existsSync(result)) {
      if (performance.now() > end) {
        throw new Error(`the suite did not end within ${timeout / 1000} s; ${tail(server.log())}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { passed, error } = JSON.parse(fs.readFileSync(result, 'utf8'));
    if (!passed) throw new Error(error);
  } finally {
    await browser.close();
    await server.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function tail(log: string): string {
  if (!fs.existsSync(log)) return 'the extension host has no log';
  return `the extension host's log ends with:\n${fs.readFileSync(log, 'utf8').slice(-3000)}`;
}
