/** The browser that drives VS Code and the panel in tests: a Chromium or Chrome that the machine has. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
  'microsoft-edge',
];
const APPLICATIONS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

/** Path of the browser: CCA_CHROMIUM, or the first that is found. */
export function findChromium(): string | null {
  const given = process.env.CCA_CHROMIUM;
  if (given) return given;
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const candidates = [
    ...NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))),
    ...APPLICATIONS,
  ];
  return candidates.find((file) => fs.existsSync(file)) ?? null;
}

/** Installs Debian's Chromium and fonts where that is possible without asking (root, apt-get); the path of a browser. */
export function ensureChromium(): string {
  const found = findChromium();
  if (found) return found;
  installDebian(['chromium', 'fonts-noto-cjk', 'fonts-noto-color-emoji']);
  const installed = findChromium();
  if (installed) return installed;
  throw new Error('the browser tests need Chromium or Chrome: install it, or set CCA_CHROMIUM to its path');
}

/** Installs Debian packages where the process may. */
export function installDebian(packages: readonly string[]): void {
  if (process.getuid?.() !== 0 || !fs.existsSync('/usr/bin/apt-get')) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  apt('update', '-q');
  apt('install', '-q', '-y', '--no-install-recommends', ...packages);
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: ensureChromium(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
