/**
 * A real VS Code without a desktop or a download of one: npm's code-server, which serves the workbench to a browser and
 * runs extensions in a Node extension host. Installed on first use, apart from the project's own packages.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createVSIX } from '@vscode/vsce';
import { installDebian } from './chromium.ts';
import { CACHE } from './folders.ts';

/** VS Code 1.139.1. */
const VERSION = '4.139.1';
/** What compiles its native modules. */
const COMPILER = ['g++', 'make', 'python3'];
/** Those that a window needs. What else it comes with, a database, Kerberos and SSH among it, would take minutes to compile. */
const NATIVE = ['@vscode/spdlog', '@vscode/native-watchdog'];

/** The folder of an installed code-server: CCA_CODE_SERVER, or the tests' own. */
function packageFolder(): string {
  return (
    process.env.CCA_CODE_SERVER ?? path.join(CACHE, `code-server-${VERSION}`, 'node_modules', 'code-server')
  );
}

/** Installs code-server where it is missing: a minute, a compiler needed. Interrupted installs are begun anew. */
export function ensureCodeServer(): string {
  const target = packageFolder();
  const done = path.join(target, '.installed');
  if (process.env.CCA_CODE_SERVER || fs.existsSync(done)) return target;
  const home = path.join(CACHE, `code-server-${VERSION}`);
  fs.rmSync(home, { recursive: true, force: true });
  fs.mkdirSync(home, { recursive: true });
  fs.writeFileSync(path.join(home, 'package.json'), '{"private":true}\n');
  if (process.platform === 'linux' && !COMPILER.every(isThere)) installDebian(COMPILER);
  console.log(`installing code-server ${VERSION} for the tests (a minute, once)`);
  const npm = (cwd: string, ...args: string[]) =>
    execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd,
      env: installEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    });
  const vscode = path.join(target, 'lib/vscode');
  npm(home, 'install', `code-server@${VERSION}`, '--ignore-scripts');
  for (const folder of [vscode, path.join(vscode, 'extensions')]) {
    npm(folder, 'install', '--omit=dev', '--ignore-scripts');
  }
  npm(vscode, 'rebuild', ...NATIVE);
  fs.writeFileSync(done, '');
  return target;
}

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Of npm's settings, those that say where packages come from and whose word is taken for it. */
const ROUTES = ['registry', 'userconfig', 'globalconfig', 'cafile'];

/** npm's settings of the project are not code-server's: a nested install inherits only the way to the packages. */
function installEnvironment(): NodeJS.ProcessEnv {
  const inherited = new Set(ROUTES.map((name) => `npm_config_${name}`));
  const own = Object.entries(process.env).filter(
    ([key]) => inherited.has(key) || !/^npm_(config|lifecycle|package)_/i.test(key),
  );
  // Headers of the Node that runs, where it has them, rather than a download of them.
  const prefix = [path.dirname(path.dirname(process.execPath)), '/usr', '/usr/local'].find((folder) =>
    fs.existsSync(path.join(folder, 'include/node/node_version.h')),
  );
  return { ...Object.fromEntries(own), ...(prefix && { npm_config_nodedir: prefix }) };
}

export interface CodeServerOptions {
  /** Extension folders or .vsix files. */
  extensions: readonly string[];
  /** User settings beside those that keep a test quiet. */
  settings?: Record<string, unknown>;
  /** Of code-server and so of its extension host. */
  env?: Record<string, string>;
  /** Where user data and extensions are kept; a fresh folder that is deleted at the end unless given. */
  home?: string;
}

export interface CodeServer {
  /** Of a window on a folder or a .code-workspace file. */
  url(folder: string): string;
  /** User data: settings, logs, storage. */
  userData: string;
  /** Path of the extension host's log, once a window is open. */
  log(): string;
  close(): Promise<void>;
}

/** Starts code-server on a free port of this machine. */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const target = ensureCodeServer();
  const home = options.home ?? fs.mkdtempSync(path.join(os.tmpdir(), 'cca-vscode-'));
  const [userData, extensions] = [path.join(home, 'user'), path.join(home, 'extensions')];
  fs.mkdirSync(path.join(userData, 'User'), { recursive: true });
  fs.mkdirSync(extensions, { recursive: true });
  fs.writeFileSync(
    path.join(userData, 'User', 'settings.json'),
    JSON.stringify({
      'security.workspace.trust.enabled': false,
      'workbench.startupEditor': 'none',
      'workbench.tips.enabled': false,
      'telemetry.telemetryLevel': 'off',
      'extensions.autoCheckUpdates': false,
      'extensions.autoUpdate': false,
      'git.enabled': false,
      'chat.disableAIFeatures': true,
      'workbench.secondarySideBar.defaultVisibility': 'hidden',
      'window.restoreWindows': 'none',
      // Looks for servers to forward every two seconds, from within the extension host.
      'remote.autoForwardPorts': false,
      // Beside other tests, which want the processor too, a job would have to wait for all of them.
      'circuitAmplifier.jobs.background': false,
      ...options.settings,
    }),
  );
  const entry = path.join(target, 'out/node/entry.js');
  const common = ['--user-data-dir', userData, '--extensions-dir', extensions];
  await install(entry, common, options.extensions);
  const child = spawn(
    process.execPath,
    [
      entry,
      ...common,
      ...['--auth', 'none', '--bind-addr', '127.0.0.1:0', '--disable-telemetry', '--disable-update-check'],
      '--disable-getting-started-override',
    ],
    { env: { ...cleanEnvironment(), ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const origin = await listening(child);
  return {
    url: (opened) => {
      const kind = opened.endsWith('.code-workspace') ? 'workspace' : 'folder';
      return `${origin}?${kind}=${encodeURIComponent(opened)}`;
    },
    userData,
    log: () => newestLog(userData),
    close: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null) {
        child.kill();
        await ended;
      }
      if (!options.home) fs.rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/** As users do it. A folder is packaged first: VS Code takes no notice of folders that it did not install. */
async function install(entry: string, common: readonly string[], extensions: readonly string[]) {
  if (extensions.length === 0) return;
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-vsix-'));
  try {
    const files = await Promise.all(
      extensions.map(async (extension) => {
        if (extension.endsWith('.vsix')) return extension;
        const packagePath = path.join(scratch, `${path.basename(extension)}.vsix`);
        await createVSIX({ cwd: extension, packagePath, allowMissingRepository: true, skipLicense: true });
        return packagePath;
      }),
    );
    const wanted = files.flatMap((file) => ['--install-extension', file]);
    execFileSync(process.execPath, [entry, ...common, ...wanted], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

/** Variables of npm and of a VS Code around it would change how it starts. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([key]) => !/^(npm_|VSCODE_|ELECTRON_|NODE_OPTIONS|VITEST|PORT$)/.test(key),
    ),
  );
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk: Buffer) => {
      output += chunk;
      const match = output.match(/HTTP server listening on (http:\S+)/);
      if (match) resolve(match[1]!);
    };
    child.stdout!.on('data', read);
    child.stderr!.on('data', read);
    child.once('exit', (code) => reject(new Error(`code-server ended (${code}):\n${output}`)));
  });
}

function newestLog(userData: string): string {
  const logs = path.join(userData, 'logs');
  const found = fs
    .readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((file) => path.basename(file) === 'remoteexthost.log')
    .map((file) => path.join(logs, file));
  const [newest] = found.sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  return newest ?? '';
}
